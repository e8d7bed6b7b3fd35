/* Every invariant that can be seen from inside, the slow way. */
#include "engine/core/block.h"
#include "engine/core/model.h"
#include "engine/core/operation.h"
#include "engine/core/sequence.h"

/* The ranges of a pool neither overlap nor disagree with the map, and each belongs to whom it says.
 */
static void check_pool(const struct ss_controller *controller, uint16_t stage)
{
    const struct ss_pool *pool = &controller->pools[stage];
    uint32_t free_pages = 0, leaving = 0;
    for (uint32_t page = 0; page < pool->pages;) {
        const struct ss_page_range *range = &pool->ranges[page];
        if (range->use == SS_PAGE_FREE) {
            uint32_t end = page;
            while (end < pool->pages && pool->ranges[end].use == SS_PAGE_FREE)
                end++;
            SS_ASSERT(ss_page_map_is_free(pool->map, page, end - page));
            free_pages += end - page;
            page = end;
            continue;
        }
        leaving += range->leaving ? range->pages : 0;
        for (uint32_t i = 1; i < range->pages; i++)
            SS_ASSERT(pool->ranges[page + i].use == SS_PAGE_FREE);
        if (range->use == SS_PAGE_CHUNK) {
            const struct ss_chunk *chunk =
                &controller->models[range->holder].chunks[stage][range->index];
            SS_ASSERT(chunk->page == page && chunk->pages == range->pages);
            SS_ASSERT(chunk->state != SS_CHUNK_ABSENT);
            SS_ASSERT(range->fixed == (chunk->state != SS_CHUNK_RESIDENT));
        } else {
            SS_ASSERT(controller->slot_owner[range->holder] != SS_NONE);
            SS_ASSERT(*ss_block_page(controller, range->holder, stage, range->index) == page);
        }
        page += range->pages;
    }
    /* All that is free here is free there, and no more is: so the rest is taken there too. */
    SS_ASSERT(free_pages == ss_pool_free_pages(pool));
    SS_ASSERT(leaving == pool->leaving_pages);
}

static void check_chunks(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_model *model = &controller->models[index];
    uint32_t chunks_in[SS_CHUNK_STATES] = {0}, total = 0;
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        uint32_t pages_in[SS_CHUNK_STATES] = {0};
        for (uint32_t i = 0; i < model->chunk_count[stage]; i++) {
            const struct ss_chunk *chunk = &model->chunks[stage][i];
            chunks_in[chunk->state]++;
            pages_in[chunk->state] += chunk->pages;
            if (chunk->state == SS_CHUNK_ABSENT)
                continue;
            const struct ss_page_range *range = &controller->pools[stage].ranges[chunk->page];
            SS_ASSERT(range->use == SS_PAGE_CHUNK && range->holder == index && range->index == i);
        }
        for (int state = 0; state < SS_CHUNK_STATES; state++)
            SS_ASSERT(pages_in[state] == model->pages_in[stage][state]);
    }
    for (int state = 0; state < SS_CHUNK_STATES; state++) {
        SS_ASSERT(chunks_in[state] == model->chunks_in[state]);
        total += chunks_in[state];
    }
    SS_ASSERT(model->listed == (chunks_in[SS_CHUNK_ABSENT] < total));
    SS_ASSERT(chunks_in[SS_CHUNK_LOADING] == 0 || model->load != SS_NONE);
    SS_ASSERT(!model->pinned || chunks_in[SS_CHUNK_DROPPING] == 0);
    if (model->load != SS_NONE)
        SS_ASSERT(controller->loads[model->load].number != 0 &&
                  controller->loads[model->load].model == index);
}

static void check_sequence(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    bool has_slot = sequence->state != SS_SEQUENCE_FREE && sequence->state != SS_SEQUENCE_QUEUED;
    if (sequence->state == SS_SEQUENCE_FREE)
        return;
    SS_ASSERT((sequence->slot != SS_NO_SLOT) == has_slot);
    SS_ASSERT(!has_slot || controller->slot_owner[sequence->slot] == index);
    if (sequence->state == SS_SEQUENCE_CLOSING)
        return;
    SS_ASSERT(ss_handle_map_find(&controller->handles, sequence->handle) == index);
    SS_ASSERT(sequence->issued <= sequence->tokens_max && sequence->reported <= sequence->issued);
    SS_ASSERT(sequence->reported < sequence->tokens_max);
    SS_ASSERT(sequence->issued - sequence->reported + sequence->slices <= 2);
    SS_ASSERT(sequence->fed <= ss_sequence_known(sequence));
    if (sequence->state == SS_SEQUENCE_RUNNING || sequence->state == SS_SEQUENCE_RESTORING)
        SS_ASSERT(sequence->blocks * controller->block_tokens >= sequence->fed);
    if (sequence->state == SS_SEQUENCE_ASIDE)
        SS_ASSERT(sequence->blocks == 0 && sequence->fed == 0);
    bool spilled = sequence->state == SS_SEQUENCE_SPILLING ||
                   sequence->state == SS_SEQUENCE_SPILLED ||
                   sequence->state == SS_SEQUENCE_RESTORING;
    SS_ASSERT(spilled == (sequence->spill_block != SS_NONE));
    if (!ss_blocks_are_in(sequence) || sequence->state == SS_SEQUENCE_SPILLING)
        return;
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t i = 0; i < sequence->blocks; i++) {
            const struct ss_page_range *range =
                &controller->pools[stage]
                     .ranges[*ss_block_page(controller, sequence->slot, stage, i)];
            SS_ASSERT(range->use == SS_PAGE_BLOCK && range->holder == sequence->slot &&
                      range->index == i);
            SS_ASSERT(range->pages == controller->models[sequence->model].block_pages[stage]);
            SS_ASSERT(range->fixed ==
                      (sequence->state == SS_SEQUENCE_RESTORING && i < sequence->spill_count));
        }
}

static uint32_t check_list(const struct ss_controller *controller, const struct ss_list *list,
                           uint32_t model, uint32_t class, bool queued)
{
    uint32_t count = 0, previous = SS_NONE;
    for (uint32_t i = list->first; i != SS_NONE; i = controller->sequences[i].next) {
        const struct ss_sequence *sequence = &controller->sequences[i];
        SS_ASSERT(sequence->model == model && sequence->class == class);
        SS_ASSERT(sequence->previous == previous && !sequence->in_batch);
        SS_ASSERT((sequence->state == SS_SEQUENCE_QUEUED) == queued);
        SS_ASSERT(previous == SS_NONE || controller->sequences[previous].order < sequence->order);
        previous = i;
        count++;
    }
    SS_ASSERT(list->last == previous && list->count == count);
    return count;
}

static void check_sequences(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_model *model = &controller->models[index];
    uint32_t queued = 0, running = 0;
    for (uint32_t class = 0; class < SS_CLASSES; class ++) {
        const struct ss_list *queue = &model->queue[class], *live = &model->live[class];
        queued += check_list(controller, queue, index, class, true);
        running += check_list(controller, live, index, class, false);
        SS_ASSERT(queue->count == 0 || live->count == 0 ||
                  controller->sequences[live->last].order <
                      controller->sequences[queue->first].order);
    }
    SS_ASSERT(queued == model->queued && running == model->running);
    SS_ASSERT(model->active || queued + running == 0);
    SS_ASSERT(model->engaged || running == 0);
    SS_ASSERT(model->engaged || !model->active || !ss_model_is_loaded(controller, model));
}

static void check_counts(const struct ss_controller *controller)
{
    uint32_t closing = 0, owned = 0, flights = 0, operations = 0, loads = 0;
    for (uint32_t i = 0; i < controller->sequence_count; i++)
        closing += controller->sequences[i].state == SS_SEQUENCE_CLOSING;
    for (uint32_t i = 0; i < controller->limits.slots_max; i++)
        owned += controller->slot_owner[i] != SS_NONE;
    SS_ASSERT(owned + controller->free_slot_count + controller->closing_slot_count ==
              controller->limits.slots_max);
    SS_ASSERT(owned == closing + controller->accepted_now - controller->slotless_count);
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        flights += controller->flights[i].number != 0;
    for (int i = 0; i < SS_OPERATIONS_MAX; i++)
        operations += controller->operations[i].number != 0;
    for (uint32_t i = 0; i < controller->limits.loads_in_flight; i++)
        loads += controller->loads[i].number != 0;
    SS_ASSERT(flights == controller->flights_now && operations == controller->operations_now &&
              loads == controller->loads_now);
    SS_ASSERT(controller->accepted == controller->answered + controller->accepted_now);
}

void ss_controller_check(const struct ss_controller *controller)
{
    check_counts(controller);
    if (controller->lost) {
        SS_ASSERT(controller->accepted_now == 0);
        return;
    }
    uint32_t requests = 0, active = 0;
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        check_pool(controller, stage);
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        check_chunks(controller, i);
        check_sequences(controller, i);
        requests += model->queued + model->running;
        active += model->active;
    }
    SS_ASSERT(requests == controller->accepted_now && active == controller->active_count);
    for (uint32_t i = 0; i < controller->sequence_count; i++)
        check_sequence(controller, i);
}
