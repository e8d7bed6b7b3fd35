#include "engine/core/room.h"

#include "engine/core/aside.h"
#include "engine/core/block_need.h"
#include "engine/core/head.h"
#include "engine/core/link.h"
#include "engine/core/model.h"
#include "engine/core/policy_view.h"
#include "engine/core/precedence.h"
#include "engine/core/weights.h"

/* A load leaves to the models at work the KV cache that their sequences have and will need, however
 * old its request: as weights, the pages would serve fewer. Turns end its wait (overdue.h): a claim
 * of a turn, or one whose wait no turn would end, takes from whatever comes later. */
static bool yields(const struct ss_controller *controller, const struct ss_claim *claim)
{
    const struct ss_model *model = &controller->models[claim->model];
    return claim->for_load && controller->limits.overdue_ns > 0 &&
           ss_level_of(claim->order) >= SS_LEVEL_OVERDUE && model->queued + model->running > 0;
}

/* Its sequences get on, or could. */
static bool is_at_work(const struct ss_controller *controller, const struct ss_model *model)
{
    return ss_model_is_loaded(controller, model) && (!model->stuck || model->flights > 0);
}

static uint32_t blocks_to_come(const struct ss_controller *controller, const struct ss_model *model)
{
    uint32_t blocks = 0;
    for (int class = 0; class < SS_CLASSES; class ++)
        for (uint32_t i = model->live[class].first; i != SS_NONE; i = controller->sequences[i].next)
            blocks += ss_blocks_expected(controller, i);
    return blocks;
}

/* Blocks of the model that the claim must leave. */
static uint32_t blocks_reserved(const struct ss_controller *controller,
                                const struct ss_claim *claim, const struct ss_model *model)
{
    uint32_t head = ss_head_of(controller, model);
    if (head == SS_NONE || !ss_model_is_loaded(controller, model))
        return 0;
    if (claim->order == SS_NO_ORDER)
        return ss_blocks_of_batch(controller, model);
    uint32_t of_head = 0, of_all = 0;
    if (ss_precedence_of(controller, head) < claim->order)
        of_head = ss_blocks_left(controller, head);
    if (yields(controller, claim) && is_at_work(controller, model))
        of_all = blocks_to_come(controller, model);
    return of_head > of_all ? of_head : of_all;
}

/* Adds what the heads of loaded models that are older than the claim still need to finish, for a
 * load and a guess what all at work need, and what an older load waits for. */
static void add_reserves(const struct ss_controller *controller, struct ss_claim *claim)
{
    for (uint32_t i = controller->first_engaged; i != SS_NONE;
         i = controller->models[i].engaged_next) {
        const struct ss_model *model = &controller->models[i];
        uint32_t blocks = blocks_reserved(controller, claim, model);
        for (int stage = 0; stage < controller->pp; stage++)
            claim->need[stage] += blocks * model->block_pages[stage];
    }
    /* A later sequence's blocks can be taken at any time, so they keep no load waiting that finds
     * too little even so: the model that must leave for it serves meanwhile whom it can. */
    if (controller->blocked_order < claim->order &&
        (claim->for_load || controller->blocked_leaving))
        for (int stage = 0; stage < controller->pp; stage++)
            claim->need[stage] += controller->blocked_need[stage];
}

/* Some stage has fewer free pages than needed, counting EXTRA of each stage as free. */
static bool is_short(const struct ss_controller *controller, const struct ss_claim *claim,
                     const uint64_t *extra)
{
    for (int stage = 0; stage < controller->pp; stage++)
        if (ss_pool_free_pages(&controller->pools[stage]) + extra[stage] < claim->need[stage])
            return true;
    return false;
}

/* What the claim lacks now, what is leaving being as good as free. */
static struct ss_policy_claim lack_of(const struct ss_controller *controller,
                                      const struct ss_policy_context *context,
                                      const struct ss_claim *claim)
{
    struct ss_policy_claim lack = {
        .order = claim->order, .link_ns = claim->link_ns + ss_link_busy_ns(controller, UINT64_MAX)};
    if (claim->for_load) {
        struct ss_policy_model claimant = ss_policy_view_of(controller, claim->model);
        lack.link_ns += ss_policy_missing_ns(context, &claimant);
        if (yields(controller, claim)) {
            lack.weight = claimant.weight;
            lack.whole_ns = ss_policy_whole_ns(context, &claimant);
            lack.answer_ns = ss_model_answer_ns(&controller->models[claim->model]);
            lack.oldest_ns = claimant.oldest_ns;
        }
    }
    for (int stage = 0; stage < controller->pp; stage++) {
        uint32_t has =
            ss_pool_free_pages(&controller->pools[stage]) + controller->pools[stage].leaving_pages;
        has = claim->counted ? 0 : has;
        if (claim->need[stage] > has)
            lack.short_of[stage] = claim->need[stage] + claim->wish[stage] - has;
    }
    return lack;
}

/* The model's weights may be dropped for the claim, and that helps. */
static bool may_drop(const struct ss_controller *controller,
                     const struct ss_policy_context *context, const struct ss_claim *claim,
                     const struct ss_policy_claim *lack, uint32_t index,
                     struct ss_policy_model *view)
{
    const struct ss_model *model = &controller->models[index];
    if (index == claim->model || model->pinned || model->load != SS_NONE ||
        model->chunks_in[SS_CHUNK_RESIDENT] == 0 || model->chunks_in[SS_CHUNK_DROPPING] > 0)
        return false;
    if (index == controller->turn_model)
        return false;
    *view = ss_policy_view_of(controller, (uint16_t)index);
    view->spare =
        (!ss_model_is_loaded(controller, model) || ss_model_is_finishing(controller, model)) &&
        controller->policy->leaves_early && controller->policy->leaves_early(context);
    if (ss_level_of(claim->order) < SS_LEVEL_OVERDUE)
        return true; /* it is overdue, and its turn: no policy has a say */
    return controller->policy->may_drop(context, view, lack);
}

/* The claim goes before it, and need not leave it what it has. */
static bool comes_after(const struct ss_controller *controller, const struct ss_claim *claim,
                        uint32_t index)
{
    const struct ss_model *model = &controller->models[controller->sequences[index].model];
    return ss_precedence_of(controller, index) > claim->order &&
           !(yields(controller, claim) && is_at_work(controller, model));
}

/* Its blocks may be taken for the claim. */
static bool may_take(const struct ss_controller *controller, const struct ss_claim *claim,
                     uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    return sequence->state == SS_SEQUENCE_RUNNING && sequence->blocks > 0 && !sequence->in_batch &&
           comes_after(controller, claim, index);
}

/* The last sequence of the model and class whose blocks may be taken; SS_NONE: none. */
static uint32_t last_of(const struct ss_controller *controller, const struct ss_claim *claim,
                        const struct ss_list *live)
{
    const struct ss_sequence *sequences = controller->sequences;
    for (uint32_t i = live->last; i != SS_NONE; i = sequences[i].previous) {
        if (ss_precedence_of(controller, i) <= claim->order)
            return SS_NONE;
        if (may_take(controller, claim, i))
            return i;
    }
    return SS_NONE;
}

/* Its blocks may be taken for the claim, or may be once they are back: else loads could wait
 * without end while later sequences return one after the other. */
static bool will_be_takable(const struct ss_controller *controller, const struct ss_claim *claim,
                            uint32_t index)
{
    if (may_take(controller, claim, index))
        return true;
    return claim->for_load && controller->sequences[index].state == SS_SEQUENCE_RESTORING &&
           comes_after(controller, claim, index);
}

/* What could be taken for the claim, all victims together. */
static void add_victims(const struct ss_controller *controller, const struct ss_claim *claim,
                        uint64_t *extra)
{
    struct ss_policy_context context = ss_policy_context_of(controller);
    struct ss_policy_claim lack = lack_of(controller, &context, claim);
    struct ss_policy_model view;
    for (uint32_t i = controller->first_resident; i != SS_NONE;
         i = controller->models[i].resident_next) {
        bool may = may_drop(controller, &context, claim, &lack, i, &view);
        for (int stage = 0; may && stage < controller->pp; stage++)
            extra[stage] += controller->models[i].pages_in[stage][SS_CHUNK_RESIDENT];
    }
    const struct ss_sequence *sequences = controller->sequences;
    for (uint32_t i = controller->first_engaged; i != SS_NONE;
         i = controller->models[i].engaged_next) {
        const struct ss_model *model = &controller->models[i];
        for (int class = 0; class < SS_CLASSES; class ++)
            for (uint32_t at = model->live[class].last; at != SS_NONE; at = sequences[at].previous)
                for (int stage = 0;
                     will_be_takable(controller, claim, at) && stage < controller->pp; stage++)
                    extra[stage] += (uint64_t)sequences[at].blocks * model->block_pages[stage];
    }
}

static bool is_idle(const struct ss_policy_model *view)
{
    return view->oldest_order == SS_NO_ORDER || view->spare;
}

/* It holds pages of a stage that the claim is short of. */
static bool helps(const struct ss_controller *controller, const struct ss_policy_model *view,
                  const struct ss_policy_claim *lack)
{
    for (int stage = 0; stage < controller->pp; stage++)
        if (lack->short_of[stage] > 0 && view->resident_pages[stage] > 0)
            return true;
    return false;
}

/* The policy's best victim among the models that help; SS_NONE: none may go. */
static uint32_t best_model(const struct ss_controller *controller, const struct ss_claim *claim,
                           bool at_work, struct ss_policy_model *best)
{
    uint32_t found = SS_NONE;
    struct ss_policy_model view;
    struct ss_policy_context context = ss_policy_context_of(controller);
    struct ss_policy_claim lack = lack_of(controller, &context, claim);
    for (uint32_t i = controller->first_resident; i != SS_NONE;
         i = controller->models[i].resident_next) {
        if (!may_drop(controller, &context, claim, &lack, i, &view) ||
            (!at_work && !is_idle(&view)) || !helps(controller, &view, &lack))
            continue;
        controller->policy->appraise(&context, &view, &lack);
        if (found != SS_NONE && !controller->policy->drops_before(&context, &view, best))
            continue;
        found = i;
        *best = view;
    }
    return found;
}

/* As much of the victim as the policy said and the claim needs. */
static bool drop(struct ss_controller *controller, const struct ss_claim *claim,
                 const struct ss_policy_model *victim)
{
    if (victim->share >= 1)
        return ss_weights_drop(controller, victim->model, 0);
    uint32_t pages[SS_STAGES_MAX];
    struct ss_policy_context context = ss_policy_context_of(controller);
    struct ss_policy_claim lack = lack_of(controller, &context, claim);
    for (int stage = 0; stage < controller->pp; stage++) {
        pages[stage] = (uint32_t)(victim->share * victim->resident_pages[stage]) + 1;
        if (pages[stage] > lack.short_of[stage])
            pages[stage] = lack.short_of[stage];
    }
    return ss_weights_drop(controller, victim->model, pages);
}

/* The last of all sequences whose blocks may be taken. */
static uint32_t last_sequence(const struct ss_controller *controller, const struct ss_claim *claim)
{
    uint32_t found = SS_NONE;
    for (uint32_t i = controller->first_engaged; i != SS_NONE;
         i = controller->models[i].engaged_next)
        for (int class = 0; class < SS_CLASSES; class ++) {
            uint32_t of = last_of(controller, claim, &controller->models[i].live[class]);
            if (of != SS_NONE && (found == SS_NONE || ss_precedence_of(controller, of) >
                                                          ss_precedence_of(controller, found)))
                found = of;
        }
    return found;
}

/* Idle models go first. Then, for a load, models at work (their sequences' KV may stay); for KV,
 * sequences, as their model keeps serving the others. */
static bool take_victim(struct ss_controller *controller, const struct ss_claim *claim)
{
    struct ss_policy_model view;
    if (best_model(controller, claim, claim->for_load, &view) != SS_NONE)
        return drop(controller, claim, &view);
    uint32_t sequence = last_sequence(controller, claim);
    if (sequence != SS_NONE)
        return ss_aside_set(controller, sequence);
    return best_model(controller, claim, true, &view) != SS_NONE && drop(controller, claim, &view);
}

enum ss_room ss_room_make(struct ss_controller *controller, const struct ss_claim *given)
{
    struct ss_claim claim = *given;
    add_reserves(controller, &claim);
    uint64_t nothing[SS_STAGES_MAX] = {0}, leaving[SS_STAGES_MAX] = {0}, all[SS_STAGES_MAX];
    if (!is_short(controller, &claim, nothing))
        return SS_ROOM_FREE;
    for (int stage = 0; stage < controller->pp; stage++)
        all[stage] = leaving[stage] = controller->pools[stage].leaving_pages;
    add_victims(controller, &claim, all);
    if (is_short(controller, &claim, all))
        return SS_ROOM_NONE;
    while (is_short(controller, &claim, leaving)) {
        if (!take_victim(controller, &claim))
            return SS_ROOM_LEAVING;
        for (int stage = 0; stage < controller->pp; stage++)
            leaving[stage] = controller->pools[stage].leaving_pages;
    }
    return is_short(controller, &claim, nothing) ? SS_ROOM_LEAVING : SS_ROOM_FREE;
}

/* What idle models hold whose pages cost LIMIT each at most. */
static void add_cheap(const struct ss_controller *controller, const struct ss_claim *claim,
                      double limit, uint64_t *extra)
{
    struct ss_policy_model view;
    struct ss_policy_context context = ss_policy_context_of(controller);
    struct ss_policy_claim lack = lack_of(controller, &context, claim);
    for (uint32_t i = controller->first_resident; i != SS_NONE;
         i = controller->models[i].resident_next) {
        if (!may_drop(controller, &context, claim, &lack, i, &view) || !is_idle(&view))
            continue;
        controller->policy->appraise(&context, &view, &lack);
        for (int stage = 0; view.price <= limit && stage < controller->pp; stage++)
            extra[stage] += view.resident_pages[stage];
    }
}

void ss_room_make_cheaply(struct ss_controller *controller, const struct ss_claim *given,
                          double limit, uint32_t *pages)
{
    struct ss_claim claim = *given;
    struct ss_policy_model view;
    uint64_t nothing[SS_STAGES_MAX] = {0}, cheap[SS_STAGES_MAX] = {0};
    add_reserves(controller, &claim);
    add_cheap(controller, &claim, limit, cheap);
    while (!is_short(controller, &claim, cheap) && is_short(controller, &claim, nothing) &&
           best_model(controller, &claim, false, &view) != SS_NONE && view.price <= limit &&
           drop(controller, &claim, &view))
        continue;
    for (int stage = 0; stage < controller->pp; stage++) {
        uint32_t kept = claim.need[stage] - given->need[stage];
        uint32_t free_pages = ss_pool_free_pages(&controller->pools[stage]);
        pages[stage] = free_pages > kept ? free_pages - kept : 0;
    }
}

bool ss_room_count_models(struct ss_controller *controller, const struct ss_claim *given)
{
    struct ss_claim claim = *given;
    claim.counted = true;
    if (controller->emulate.models_max == 0)
        return true;
    uint32_t in = 0;
    for (uint32_t i = controller->first_resident; i != SS_NONE;
         i = controller->models[i].resident_next)
        in += i != claim.model && controller->models[i].chunks_in[SS_CHUNK_DROPPING] == 0;
    while (in >= controller->emulate.models_max) {
        struct ss_policy_model view;
        uint32_t victim = best_model(controller, &claim, true, &view);
        if (victim == SS_NONE || !ss_weights_drop(controller, (uint16_t)victim, 0))
            return false;
        in--;
    }
    return true;
}
