#include "engine/core/loading.h"

#include "engine/core/block.h"
#include "engine/core/guess.h"
#include "engine/core/model.h"
#include "engine/core/operation.h"
#include "engine/core/overdue.h"
#include "engine/core/placing.h"
#include "engine/core/precedence.h"
#include "engine/core/room.h"

#define SS_NO_MODEL UINT16_MAX

/* The load goes in if there is room for what is missing and for its first sequence to finish. What
 * leaves for it leaves room for its batch. */
static bool try_load(struct ss_controller *controller, uint16_t index, uint64_t order)
{
    struct ss_model *model = &controller->models[index];
    struct ss_claim claim = {.order = order, .model = index, .for_load = true};
    uint32_t head = ss_model_head(controller, model), blocks = 0;
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
    if (room == SS_ROOM_FREE && ss_placing_start_load(controller, index, 0))
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
    for (struct ss_load *load = ss_loading_next(controller, 0); load;
         load = ss_loading_next(controller, load)) {
        const struct ss_model *model = &controller->models[load->model];
        if (load->cancelled || model->flights > 0)
            continue;
        bool unwanted = !model->active || model->drop_wanted;
        if (unwanted && (others_wait || model->drop_wanted || controller->draining))
            if (!ss_loading_cancel(controller, load))
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
    for (struct ss_load *load = ss_loading_next(controller, 0); load;
         load = ss_loading_next(controller, load))
        awaited += !load->cancelled;
    return awaited == 0;
}

/* A guess that a request bears out is a load like any other. */
static void promote(struct ss_controller *controller)
{
    for (struct ss_load *load = ss_loading_next(controller, 0); load;
         load = ss_loading_next(controller, load)) {
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
        ss_model_view(controller, (uint16_t)i, &view);
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
        struct ss_policy_model view = ss_model_view_of(controller, (uint16_t)i);
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

/* Of a stage's chunks, those from the returned one on hold PAGES resident pages. */
static uint32_t tail_of(const struct ss_model *model, uint16_t stage, uint32_t pages)
{
    uint32_t at = model->chunk_count[stage];
    while (at > 0 && pages > 0) {
        const struct ss_chunk *chunk = &model->chunks[stage][--at];
        if (chunk->state == SS_CHUNK_RESIDENT)
            pages -= chunk->pages < pages ? chunk->pages : pages;
    }
    return at;
}

static void note_waste(struct ss_controller *controller, struct ss_model *model, uint64_t bytes)
{
    uint64_t wasted = bytes < model->guessed_bytes ? bytes : model->guessed_bytes;
    model->guessed_bytes -= wasted;
    ss_guess_judge(controller, model, wasted, false);
    controller->guess_wasted_bytes += wasted * (uint64_t)controller->tp;
}

bool ss_loading_drop(struct ss_controller *controller, uint16_t index, const uint32_t *pages)
{
    struct ss_model *model = &controller->models[index];
    uint64_t bytes_before = model->bytes_in[SS_CHUNK_RESIDENT];
    bool copy_back = controller->emulate.copy_back;
    if ((copy_back && !ss_operation_fits(controller, 1)) ||
        !ss_outbox_fits(
            &controller->outbox, 1,
            ss_outbox_bytes(model->chunks_in[SS_CHUNK_RESIDENT], sizeof(struct ss_placement))))
        return false;
    struct ss_placement *placements = ss_outbox_array(
        &controller->outbox, model->chunks_in[SS_CHUNK_RESIDENT], sizeof *placements);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_DROP);
    entry->model = index;
    entry->copy_back = copy_back;
    entry->placements = placements;
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t i = pages ? tail_of(model, stage, pages[stage]) : 0;
             i < model->chunk_count[stage]; i++) {
            const struct ss_chunk *chunk = &model->chunks[stage][i];
            if (chunk->state != SS_CHUNK_RESIDENT)
                continue;
            placements[entry->placement_count++] =
                (struct ss_placement){.stage = stage, .chunk = (uint16_t)i, .page = chunk->page};
            ss_chunk_set(controller, index, stage, i,
                         copy_back ? SS_CHUNK_DROPPING : SS_CHUNK_ABSENT);
        }
    SS_ASSERT(entry->placement_count > 0);
    if (copy_back)
        ss_operation_start(controller, entry->number, SS_OPERATION_DROP, index);
    note_waste(controller, model, bytes_before - model->bytes_in[SS_CHUNK_RESIDENT]);
    model->drops++;
    controller->drop_count++;
    return true;
}

/* How much of the chunk that is on its way to a stage may have moved since the last report. */
static double moved_ns(const struct ss_controller *controller, const struct ss_load *load,
                       uint16_t stage)
{
    const struct ss_load_part *part = &load->parts[stage];
    uint16_t chunk = part->chunks[part->ready];
    double since_ns = (double)(controller->now_ns - part->ready_ns);
    double chunk_ns = (double)controller->models[load->model].chunks[stage][chunk].bytes *
                      controller->byte_ns[stage];
    return since_ns < chunk_ns ? since_ns : chunk_ns;
}

/* What has moved of the chunks that a cancelled guess was moving is lost. */
static void note_unfinished(struct ss_controller *controller, const struct ss_load *load)
{
    for (uint16_t stage = 0; load->guess && stage < controller->pp; stage++) {
        if (load->parts[stage].ready == load->parts[stage].count)
            continue;
        uint64_t bytes = (uint64_t)(moved_ns(controller, load, stage) / controller->byte_ns[stage]);
        controller->guess_bytes += bytes * (uint64_t)controller->tp;
        controller->guess_wasted_bytes += bytes * (uint64_t)controller->tp;
    }
}

bool ss_loading_cancel(struct ss_controller *controller, struct ss_load *load)
{
    if (!ss_outbox_fits(&controller->outbox, 1, 0))
        return false;
    ss_outbox_send(&controller->outbox, SS_ENTRY_CANCEL)->target = load->number;
    load->cancelled = true;
    note_unfinished(controller, load);
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        const struct ss_load_part *part = &load->parts[stage];
        for (uint32_t i = part->ready; i < part->count; i++) {
            struct ss_chunk *chunk =
                &controller->models[load->model].chunks[stage][part->chunks[i]];
            if (chunk->state == SS_CHUNK_LOADING)
                ss_pool_set_leaving(&controller->pools[stage], chunk->page, true);
        }
    }
    return true;
}

double ss_loading_busy_ns(const struct ss_controller *controller, uint64_t number)
{
    double longest_ns = 0;
    for (uint16_t stage = 0; controller->loads_now > 0 && stage < controller->pp; stage++) {
        const struct ss_load *first = 0;
        uint64_t bytes = 0;
        for (const struct ss_load *load = ss_loading_next(controller, 0); load;
             load = ss_loading_next(controller, load)) {
            if (load->number > number || load->guess || load->parts[stage].bytes_left == 0)
                continue;
            bytes += load->parts[stage].bytes_left;
            if (!first || load->number < first->number)
                first = load;
        }
        double busy_ns = (double)bytes * controller->byte_ns[stage];
        if (first)
            busy_ns -= moved_ns(controller, first, stage);
        longest_ns = busy_ns > longest_ns ? busy_ns : longest_ns;
    }
    return longest_ns;
}

uint64_t ss_loading_left_ns(const struct ss_controller *controller, const struct ss_model *model)
{
    if (model->load == SS_NONE)
        return 0;
    const struct ss_load *load = &controller->loads[model->load];
    double longest_ns = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        const struct ss_load_part *part = &load->parts[stage];
        if (part->bytes_left == 0)
            continue;
        if (part->ready == 0)
            return UINT64_MAX;
        double left_ns = (double)part->bytes_left * controller->byte_ns[stage] -
                         (double)(controller->now_ns - part->ready_ns);
        longest_ns = left_ns > longest_ns ? left_ns : longest_ns;
    }
    return (uint64_t)longest_ns;
}
