#include "engine/core/guess.h"

#include "engine/base/clock.h"
#include "engine/core/model.h"
#include "engine/core/overdue.h"
#include "engine/core/policy_view.h"
#include "engine/core/room.h"
#include "engine/core/trust.h"
#include "engine/core/weights.h"

/* It moves such a part of a model, and is thought over before the next. */
#define PARTS 8
/* So many models at most are thought of, those with the latest requests first. */
#define LOOK_MAX 64
/* The longer nothing came, the less may have changed. */
#define BACKOFF 8
/* After such a silence nothing is expected, and the controller rests. */
#define REST_NS (600 * SS_NS_PER_S)

static bool may_guess(const struct ss_controller *controller)
{
    return ss_policy_says(controller, controller->policy->guesses) && !controller->draining &&
           !controller->load_wanted && controller->loads_now == 0 &&
           controller->blocked_order == SS_NO_ORDER && !ss_overdue_waits(controller) &&
           controller->first_recent != SS_NONE && !controller->outbox.cut &&
           controller->now_ns - controller->last_arrival_ns < REST_NS;
}

/* Between two thoughts: a part of what moving a guess takes. */
static uint64_t pause_ns(const struct ss_controller *controller,
                         const struct ss_policy_context *context)
{
    const struct ss_model *model = &controller->models[controller->first_recent];
    double longest_ns = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        double pages = 0;
        for (int state = 0; state < SS_CHUNK_STATES; state++)
            pages += model->pages_in[stage][state];
        if (pages * context->page_ns[stage] > longest_ns)
            longest_ns = pages * context->page_ns[stage];
    }
    uint64_t part_ns = (uint64_t)(longest_ns / (2 * PARTS));
    uint64_t idle_ns = (controller->now_ns - controller->last_arrival_ns) / BACKOFF;
    double silence_ns = (double)(controller->now_ns - controller->last_arrival_ns);
    if (silence_ns < 4 * context->typical_gap_ns && (double)idle_ns > context->horizon_ns / 4)
        idle_ns = (uint64_t)(context->horizon_ns / 4);
    return 1 + (part_ns > idle_ns ? part_ns : idle_ns);
}

/* The share of the model's missing pages that one guess brings. */
static double share_of(const struct ss_controller *controller, const struct ss_policy_model *view)
{
    if (!ss_policy_says(controller, controller->policy->guesses_parts))
        return 1;
    double share = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        double missing = view->missing_pages[stage];
        double part = (missing + view->resident_pages[stage]) / PARTS;
        if (missing > 0 && part / missing > share)
            share = part / missing;
    }
    return share < 1 ? share : 1;
}

struct guess {
    uint32_t model;
    double worth, share;
};

static struct guess best_guess(const struct ss_controller *controller,
                               const struct ss_policy_context *context)
{
    struct guess best = {.model = SS_NONE};
    uint32_t looked = 0;
    for (uint32_t i = controller->first_recent; i != SS_NONE && looked < LOOK_MAX;
         i = controller->models[i].recent_next, looked++) {
        const struct ss_model *model = &controller->models[i];
        if (model->chunks_in[SS_CHUNK_ABSENT] == 0 || model->chunks_in[SS_CHUNK_DROPPING] > 0 ||
            model->load != SS_NONE || model->active || model->put_away)
            continue;
        struct ss_policy_model view = ss_policy_view_of(controller, (uint16_t)i);
        double share = share_of(controller, &view);
        double worth = controller->policy->guess_worth(context, &view, share);
        if (worth > best.worth)
            best = (struct guess){.model = i, .worth = worth, .share = share};
    }
    return best;
}

/* The first absent chunks of each stage, as many as PAGES hold. */
static bool extend(const struct ss_controller *controller, const struct ss_model *model,
                   const uint32_t *pages, uint32_t *end)
{
    bool any = false;
    for (int stage = 0; stage < controller->pp; stage++) {
        uint32_t left = pages[stage];
        for (end[stage] = 0; end[stage] < model->chunk_count[stage]; end[stage]++) {
            const struct ss_chunk *chunk = &model->chunks[stage][end[stage]];
            if (chunk->state != SS_CHUNK_ABSENT)
                continue;
            if (chunk->pages > left)
                break;
            left -= chunk->pages;
            any = true;
        }
    }
    return any;
}

static void order(struct ss_controller *controller, const struct ss_policy_context *context,
                  const struct guess *guess)
{
    const struct ss_model *model = &controller->models[guess->model];
    struct ss_claim claim = {.order = SS_NO_ORDER, .model = (uint16_t)guess->model};
    uint32_t pages[SS_STAGES_MAX], end[SS_STAGES_MAX];
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        double missing = model->pages_in[stage][SS_CHUNK_ABSENT];
        uint32_t wanted = (uint32_t)(guess->share * missing + 0.999);
        for (end[stage] = 0; end[stage] < model->chunk_count[stage]; end[stage]++)
            if (ss_model_absent_pages(model, stage, end[stage]) >= wanted)
                break;
        claim.need[stage] = ss_model_absent_pages(model, stage, end[stage]);
        double link_ns = claim.need[stage] * context->page_ns[stage];
        if (link_ns > claim.link_ns)
            claim.link_ns = link_ns;
    }
    ss_room_make_cheaply(controller, &claim, guess->worth * ss_trust_of(controller), pages);
    for (int stage = 0; stage < controller->pp; stage++)
        if (pages[stage] > claim.need[stage])
            pages[stage] = claim.need[stage];
    if (extend(controller, model, pages, end))
        ss_weights_load(controller, (uint16_t)guess->model, end);
}

void ss_guess_decide(struct ss_controller *controller)
{
    if (!may_guess(controller))
        return;
    struct ss_policy_context context = ss_policy_context_of(controller);
    uint64_t next_ns = controller->guessed_ns + pause_ns(controller, &context);
    if (controller->now_ns >= next_ns) {
        struct guess guess = best_guess(controller, &context);
        controller->guessed_ns = controller->now_ns;
        if (guess.model != SS_NONE)
            order(controller, &context, &guess);
        next_ns = controller->now_ns + pause_ns(controller, &context);
    }
    if (controller->loads_now == 0 && next_ns < controller->wake_ns)
        controller->wake_ns = next_ns;
}
