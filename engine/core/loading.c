#include "engine/core/loading.h"

#include "engine/core/block_need.h"
#include "engine/core/head.h"
#include "engine/core/link.h"
#include "engine/core/model.h"
#include "engine/core/overdue.h"
#include "engine/core/policy_view.h"
#include "engine/core/room.h"
#include "engine/core/weights.h"

#define SS_NO_MODEL UINT16_MAX

/* The load goes in if there is room for what is missing and for its first sequence to finish. What
 * leaves for it leaves room for its batch. */
static bool try_load(struct ss_controller *controller, uint16_t index, uint64_t order)
{
    struct ss_model *model = &controller->models[index];
    struct ss_claim claim = {.order = order, .model = index, .for_load = true};
    uint32_t head = ss_head_of(controller, model), blocks = 0;
    if (head != SS_NONE)
        blocks = ss_blocks_left(controller, head);
    uint32_t of_batch = ss_blocks_of_batch(controller, model);
    for (int stage = 0; stage < controller->pp; stage++) {
        claim.need[stage] =
            model->pages_in[stage][SS_CHUNK_ABSENT] + blocks * model->block_pages[stage];
        if (of_batch > blocks)
            claim.wish[stage] = (of_batch - blocks) * model->block_pages[stage];
    }
    enum ss_room room = SS_ROOM_NONE;
    if (model->chunks_in[SS_CHUNK_DROPPING] == 0 && ss_room_count_models(controller, &claim))
        room = ss_room_make(controller, &claim);
    if (room == SS_ROOM_FREE && ss_weights_load(controller, index, 0))
        return true;
    controller->blocked_order = order;
    controller->blocked_leaving = room != SS_ROOM_NONE;
    for (int stage = 0; stage < controller->pp; stage++)
        controller->blocked_need[stage] = claim.need[stage];
    return false;
}

static bool wants_load(const struct ss_controller *controller, const struct ss_model *model)
{
    return model->load == SS_NONE && !model->drop_wanted &&
           !ss_model_is_loaded(controller, model) &&
           !(model->wanted_order == SS_NO_ORDER && ss_model_is_finishing(controller, model) &&
             ss_policy_says(controller, controller->policy->leaves_early));
}

/* A load whose requests have all gone stops where another model waits for the link or for room; not
 * while a batch of them waits on the ranks for the chunks that it brings. */
static void cancel_unwanted(struct ss_controller *controller, bool others_wait)
{
    for (struct ss_load *load = ss_link_next_load(controller, 0); load;
         load = ss_link_next_load(controller, load)) {
        const struct ss_model *model = &controller->models[load->model];
        if (load->cancelled || model->flights > 0)
            continue;
        bool unwanted = !model->active || model->drop_wanted;
        if (unwanted && (others_wait || model->drop_wanted || controller->draining))
            if (!ss_weights_cancel(controller, load))
                return;
    }
}

static bool may_start(const struct ss_controller *controller)
{
    if (controller->loads_now == controller->limits.loads_in_flight)
        return false;
    if (!ss_policy_says(controller, controller->policy->loads_in_turn))
        return true;
    uint32_t awaited = 0;
    for (struct ss_load *load = ss_link_next_load(controller, 0); load;
         load = ss_link_next_load(controller, load))
        awaited += !load->cancelled;
    return awaited == 0;
}

/* A guess that a request bears out is a load like any other. */
static void promote(struct ss_controller *controller)
{
    for (struct ss_load *load = ss_link_next_load(controller, 0); load;
         load = ss_link_next_load(controller, load)) {
        const struct ss_model *model = &controller->models[load->model];
        if (!load->guess || load->cancelled || !model->active || model->drop_wanted ||
            !ss_outbox_fits(&controller->outbox, 1, 0))
            continue;
        ss_outbox_send(&controller->outbox, SS_ENTRY_PROMOTE)->target = load->number;
        load->guess = false;
    }
}

/* While overdue models stand in line, others do not load. */
static bool may_load(const struct ss_controller *controller, const struct ss_policy_model *model)
{
    return model->oldest_order != SS_NO_ORDER &&
           (!ss_overdue_waits(controller) || ss_overdue_rank(controller, model->model) < 2);
}

/* Whom to load next: overdue models, then by class, then as the policy says. The place where
 * precedence overrides price. */
static bool goes_before(const struct ss_controller *controller,
                        const struct ss_policy_context *context, const struct ss_policy_model *a,
                        const struct ss_policy_model *b)
{
    int a_rank = ss_overdue_rank(controller, a->model);
    int b_rank = ss_overdue_rank(controller, b->model);
    if (a_rank != b_rank)
        return a_rank < b_rank;
    uint64_t a_level = ss_level_of(a->oldest_order), b_level = ss_level_of(b->oldest_order);
    if (a_level != b_level)
        return a_level < b_level;
    return controller->policy->loads_before(context, a, b);
}

struct choice {
    struct ss_policy_model best, first; /* model SS_NO_MODEL: nobody wants to be loaded */
};

/* The one that should be loaded next, and the one that precedes all others. */
static struct choice choose(const struct ss_controller *controller)
{
    struct choice choice = {.best.model = SS_NO_MODEL, .first.model = SS_NO_MODEL};
    struct ss_policy_context context = ss_policy_context_of(controller);
    struct ss_policy_model view;
    for (uint32_t i = controller->first_active; i != SS_NONE;
         i = controller->models[i].active_next) {
        if (!wants_load(controller, &controller->models[i]))
            continue;
        ss_policy_view(controller, (uint16_t)i, &view);
        if (!may_load(controller, &view))
            continue;
        if (choice.best.model == SS_NO_MODEL ||
            goes_before(controller, &context, &view, &choice.best))
            choice.best = view;
        if (choice.first.model == SS_NO_MODEL || view.oldest_order < choice.first.oldest_order)
            choice.first = view;
    }
    if (choice.first.model != SS_NO_MODEL && choice.first.oldest_order == controller->claimed_order)
        choice.best = choice.first;
    return choice;
}

/* Some model wants to be loaded, and may. */
static bool someone_waits(const struct ss_controller *controller)
{
    for (uint32_t i = controller->first_active; i != SS_NONE;
         i = controller->models[i].active_next) {
        if (!wants_load(controller, &controller->models[i]))
            continue;
        struct ss_policy_model view = ss_policy_view_of(controller, (uint16_t)i);
        if (may_load(controller, &view))
            return true;
    }
    return false;
}

void ss_loading_decide(struct ss_controller *controller)
{
    controller->blocked_order = SS_NO_ORDER;
    promote(controller);
    for (;;) {
        controller->load_wanted = someone_waits(controller);
        cancel_unwanted(controller, controller->load_wanted);
        /* Whom to load is asked only where something can be loaded: it looks at all that wait. */
        if (!controller->load_wanted || !may_start(controller))
            return;
        struct choice choice = choose(controller);
        if (try_load(controller, choice.best.model, choice.best.oldest_order))
            continue;
        /* What precedes all others may take room that the best may not, so that something
         * progresses; and what it was given is not for others, however long the rest takes. */
        controller->claimed_order = choice.first.oldest_order;
        if (choice.first.model == choice.best.model ||
            !try_load(controller, choice.first.model, choice.first.oldest_order))
            return;
    }
}
