#include "engine/core/batching.h"

#include "engine/base/assert.h"
#include "engine/core/compose.h"
#include "engine/core/flight.h"
#include "engine/core/head.h"
#include "engine/core/link.h"
#include "engine/core/model.h"
#include "engine/core/policy_view.h"
#include "engine/core/precedence.h"
#include "engine/core/sequence.h"

/* The model has work that the ranks could compute without waiting for anything that is loaded after
 * LOAD. */
static bool could_compute_before(const struct ss_controller *controller,
                                 const struct ss_model *model, const struct ss_load *load)
{
    if (!ss_model_is_loaded(controller, model) || ss_head_of(controller, model) == SS_NONE ||
        (model->stuck && model->flights == 0))
        return false;
    return model->chunks_in[SS_CHUNK_LOADING] == 0 ||
           controller->loads[model->load].number < load->number;
}

/* Requests to other models that are all there, as many as are likely to come before LEFT_NS are
 * over. */
static double others_to_come(const struct ss_controller *controller,
                             const struct ss_policy_context *context, const struct ss_model *model,
                             double left_ns)
{
    double count = 0;
    for (uint32_t i = controller->first_resident; i != SS_NONE;
         i = controller->models[i].resident_next) {
        const struct ss_model *other = &controller->models[i];
        if (other != model && other->load == SS_NONE && ss_model_is_loaded(controller, other))
            count += ss_arrivals_within(&other->arrivals, controller->now_ns,
                                        context->typical_gap_ns, left_ns)
                         .count;
    }
    return count;
}

/* How long before the end of its load a batch may be sent so that its first stage computes beside
 * what is still moving, and not for longer. */
static double lead_ns_of(const struct ss_controller *controller, const struct ss_model *model)
{
    uint64_t rows = 0;
    uint32_t count = 0;
    for (int class = 0; class < SS_CLASSES; class ++) {
        const struct ss_list *lists[] = {&model->live[class], &model->queue[class]};
        for (int i = 0; i < 2; i++)
            for (uint32_t at = lists[i]->first; at != SS_NONE && count < model->batch_max;
                 at = controller->sequences[at].next, count++)
                rows +=
                    ss_sequence_known(&controller->sequences[at]) - controller->sequences[at].fed;
    }
    if (rows > controller->limits.step_tokens_max)
        rows = controller->limits.step_tokens_max;
    return (double)(ss_step_cost_is_known(&model->cost[0])
                        ? ss_step_cost_ns(&model->cost[0], rows, rows)
                        : controller->stall_max_ns);
}

/* Compute is in order on a rank: a batch behind a half-arrived load stalls all that come after it.
 */
static bool may_follow_load(struct ss_controller *controller, const struct ss_model *model)
{
    if (controller->emulate.wait_whole_load)
        return false;
    struct ss_policy_context context = ss_policy_context_of(controller);
    const struct ss_load *load = &controller->loads[model->load];
    struct ss_policy_follow follow = {.left_ns = ss_link_busy_ns(controller, load->number),
                                      .reported_ns = ss_link_left_ns(controller, model),
                                      .lead_ns = lead_ns_of(controller, model),
                                      .stall_max_ns = controller->stall_max_ns,
                                      .waiting = model->queued + model->running};
    for (uint32_t i = controller->first_engaged; i != SS_NONE && !follow.others;
         i = controller->models[i].engaged_next)
        follow.others = &controller->models[i] != model &&
                        could_compute_before(controller, &controller->models[i], load);
    if (!follow.others)
        follow.expected = others_to_come(controller, &context, model, follow.left_ns);
    uint64_t after_ns = controller->policy->follows_after(&context, &follow);
    if (after_ns > 0 && after_ns < UINT64_MAX - controller->now_ns &&
        controller->now_ns + after_ns < controller->wake_ns)
        controller->wake_ns = controller->now_ns + after_ns;
    return after_ns == 0;
}

static bool is_servable(struct ss_controller *controller, const struct ss_model *model)
{
    if (model->passed_round == controller->round || !ss_model_is_loaded(controller, model) ||
        ss_head_of(controller, model) == SS_NONE)
        return false;
    if (model->load == SS_NONE)
        return true;
    if (model->chunks_in[SS_CHUNK_LOADING] == 0 && !controller->emulate.wait_whole_load)
        return true;
    return may_follow_load(controller, model);
}

/* The first level from LEAST on at which a sequence of the list has a step to issue; FRESH: and
 * nothing under way. */
static uint64_t level_in(const struct ss_controller *controller, uint32_t index, bool fresh,
                         uint64_t least)
{
    const struct ss_sequence *sequences = controller->sequences;
    for (; index != SS_NONE; index = sequences[index].next) {
        if (!ss_sequence_is_ready(&sequences[index], fresh) ||
            sequences[index].state == SS_SEQUENCE_SPILLING)
            continue;
        uint64_t level = ss_level_of(ss_precedence_of(controller, index));
        return level >= least ? level : SS_LEVEL_NONE; /* a list has one level */
    }
    return SS_LEVEL_NONE;
}

/* A step that is sent while the one before is under way does not wait for its tokens in vain once
 * as many batches of others as there are further stages have been sent in between. */
static bool may_go_ahead(const struct ss_controller *controller, const struct ss_model *model)
{
    return controller->turn - model->last_turn + 1 >= (uint64_t)controller->pp;
}

/* What goes first in the model's next batch, among what has not been found in this round to have no
 * room. */
struct ready {
    uint64_t level; /* SS_LEVEL_NONE: nothing */
    bool early;     /* it would wait for its own tokens and keep a stage from others */
};

static struct ready ready_of(const struct ss_controller *controller, const struct ss_model *model)
{
    bool ahead = may_go_ahead(controller, model);
    struct ready ready = {.level = SS_LEVEL_NONE};
    uint64_t least = model->tried_round == controller->round ? model->tried_level + 1 : 0;
    uint32_t queued = ss_head_queued(controller, model);
    if (queued != SS_NONE && ss_head_may_open(controller, queued)) {
        uint64_t level = ss_level_of(ss_precedence_of(controller, queued));
        ready.level = level >= least ? level : SS_LEVEL_NONE;
    }
    for (int fresh = !ahead; fresh >= 0; fresh--) {
        for (int class = 0; class < SS_CLASSES; class ++) {
            uint64_t level = level_in(controller, model->live[class].first, fresh, least);
            ready.level = level < ready.level ? level : ready.level;
        }
        if (ready.level != SS_LEVEL_NONE) {
            ready.early = !fresh && !ahead;
            break;
        }
    }
    return ready;
}

/* Behind all levels, and before what has nothing. */
#define RANK_EARLY 100

/* Whose steps go first. Realtime ones keep their share beside those of an overdue model. */
static uint64_t service_rank(const struct ss_controller *controller, uint64_t level)
{
    if (level < SS_LEVEL_OVERDUE && controller->turn_balance_ns >= 0)
        return 0;
    if (level == controller->class_levels[SS_CLASS_REALTIME] && level == SS_LEVEL_CLASSES)
        return 1;
    return 2 + level;
}

/* Who is served next, and for what. */
struct choice {
    uint32_t model; /* SS_NONE: nobody */
    uint64_t level; /* of what goes first in the batch */
    bool fills;     /* until what goes before it has its tokens: it must not hold that up */
};

static struct choice choose(struct ss_controller *controller)
{
    struct choice best = {.model = SS_NONE};
    uint64_t best_rank = 0, early_rank = UINT64_MAX;
    struct ss_policy_model best_view = {0};
    struct ss_policy_context context = ss_policy_context_of(controller);
    for (uint32_t i = controller->first_engaged; i != SS_NONE;
         i = controller->models[i].engaged_next) {
        if (!is_servable(controller, &controller->models[i]))
            continue;
        struct ready ready = ready_of(controller, &controller->models[i]);
        uint64_t rank = service_rank(controller, ready.level);
        if (ready.early && rank < early_rank)
            early_rank = rank;
        rank += ready.early ? RANK_EARLY : 0;
        struct ss_policy_model view = ss_policy_view_of(controller, (uint16_t)i);
        if (best.model != SS_NONE &&
            (rank != best_rank ? rank > best_rank
                               : !controller->policy->serves_before(&context, &view, &best_view)))
            continue;
        best.model = i;
        best.level = ready.level;
        best_rank = rank;
        best_view = view;
    }
    best.fills = early_rank < best_rank && best_rank < RANK_EARLY;
    return best;
}

/* The model keeps the stages busy beside another: one that still waits for its load does not. */
static bool is_at_work(const struct ss_controller *controller, const struct ss_model *model)
{
    return ss_model_is_loaded(controller, model) && ss_head_of(controller, model) != SS_NONE &&
           (model->chunks_in[SS_CHUNK_LOADING] == 0 || model->flights > 0);
}

/* Into how many batches SERVED's sequences are split, so that all stages have one: as few as fill
 * the pipeline together with the other models at work. */
static uint32_t groups_of(const struct ss_controller *controller, const struct ss_model *served)
{
    uint32_t at_work = 1, stages = (uint32_t)controller->pp;
    for (uint32_t i = controller->first_engaged; i != SS_NONE && at_work < stages;
         i = controller->models[i].engaged_next)
        at_work +=
            &controller->models[i] != served && is_at_work(controller, &controller->models[i]);
    return (stages + at_work - 1) / at_work;
}

static bool serve(struct ss_controller *controller, const struct choice *choice)
{
    struct ss_model *model = &controller->models[choice->model];
    uint32_t groups = groups_of(controller, model), most = model->batch_max * groups;
    uint32_t sequences = model->running + model->queued;
    SS_ASSERT(groups > 0);
    if (sequences > most)
        sequences = most;
    struct ss_batch_form form = {.sequences_max = (sequences + groups - 1) / groups,
                                 .fresh_only = !may_go_ahead(controller, model),
                                 .hidden_only = choice->fills,
                                 .level = choice->level};
    if (choice->level == SS_LEVEL_NONE ||
        !ss_compose_batch(controller, (uint16_t)choice->model, &form))
        return false;
    model->stuck = false;
    model->last_turn = ++controller->turn;
    model->last_used_ns = controller->now_ns;
    return true;
}

bool ss_batching_decide(struct ss_controller *controller)
{
    bool changed = false;
    uint64_t number = controller->outbox.number;
    controller->round++;
    while (ss_flight_may_start(controller) && !controller->outbox.cut) {
        struct choice choice = choose(controller);
        if (choice.model == SS_NONE)
            break;
        struct ss_model *model = &controller->models[choice.model];
        if (serve(controller, &choice)) {
            changed = true;
            continue;
        }
        if (controller->outbox.cut)
            break;
        /* Others go before what it has of later levels. */
        model->tried_round = controller->round;
        model->tried_level = choice.level;
        if (choice.level != SS_LEVEL_NONE)
            continue;
        model->passed_round = controller->round;
        if (model->flights == 0 && !model->stuck) {
            model->stuck = true;
            changed = true;
        }
    }
    /* What one that found too little has made free may do for another that was asked before it. */
    return changed || controller->outbox.number != number;
}
