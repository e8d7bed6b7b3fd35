#include "engine/core/block.h"

#include "engine/core/room.h"
#include "engine/core/sequence.h"

uint32_t *ss_block_page(const struct ss_controller *controller, uint16_t slot, uint16_t stage,
                        uint32_t block)
{
    SS_ASSERT(block < controller->blocks_max);
    size_t row = (size_t)slot * (size_t)controller->pp + stage;
    return &controller->tables[row * controller->blocks_max + block];
}

static bool take_on_stage(struct ss_controller *controller, uint32_t index, uint16_t stage,
                          uint32_t count)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    struct ss_pool *pool = &controller->pools[stage];
    uint32_t pages = controller->models[sequence->model].block_pages[stage];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = sequence->blocks + i;
        struct ss_page_range range = {.use = SS_PAGE_BLOCK,
                                      .fixed = true,
                                      .holder = sequence->slot,
                                      .index = block,
                                      .pages = pages};
        uint32_t page = ss_pool_take(pool, range, SS_NO_PAGE, SS_PAGES_HIGH);
        if (page == SS_NO_PAGE) {
            while (i-- > 0)
                ss_pool_release(
                    pool, *ss_block_page(controller, sequence->slot, stage, sequence->blocks + i));
            return false;
        }
        *ss_block_page(controller, sequence->slot, stage, block) = page;
    }
    return true;
}

bool ss_blocks_take(struct ss_controller *controller, uint32_t index, uint32_t count)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    const struct ss_model *model = &controller->models[sequence->model];
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        uint32_t need = count * model->block_pages[stage];
        if (take_on_stage(controller, index, stage, count) ||
            (ss_room_compact(controller, stage, need) &&
             take_on_stage(controller, index, stage, count)))
            continue;
        while (stage-- > 0)
            for (uint32_t i = 0; i < count; i++)
                ss_pool_release(
                    &controller->pools[stage],
                    *ss_block_page(controller, sequence->slot, stage, sequence->blocks + i));
        return false;
    }
    sequence->blocks += count;
    return true;
}

void ss_blocks_set_fixed(struct ss_controller *controller, uint32_t index, uint32_t from,
                         uint32_t to, bool fixed)
{
    uint16_t slot = controller->sequences[index].slot;
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t block = from; block < to; block++)
            ss_pool_set_fixed(&controller->pools[stage],
                              *ss_block_page(controller, slot, stage, block), fixed);
}

void ss_blocks_set_leaving(struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    ss_blocks_set_fixed(controller, index, 0, sequence->blocks, true);
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t block = 0; block < sequence->blocks; block++)
            ss_pool_set_leaving(&controller->pools[stage],
                                *ss_block_page(controller, sequence->slot, stage, block), true);
}

void ss_blocks_release_stage(struct ss_controller *controller, uint32_t index, uint16_t stage)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    for (uint32_t block = 0; block < sequence->blocks; block++) {
        uint32_t *page = ss_block_page(controller, sequence->slot, stage, block);
        if (*page == SS_NO_PAGE)
            continue;
        ss_pool_release(&controller->pools[stage], *page);
        *page = SS_NO_PAGE;
    }
}

void ss_blocks_release_all(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        ss_blocks_release_stage(controller, index, stage);
    if (sequence->spill_block != SS_NONE)
        ss_page_map_release(controller->spill, sequence->spill_block, sequence->spill_count);
    sequence->spill_block = SS_NONE;
    sequence->blocks = 0;
}

uint32_t ss_blocks_left(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint32_t end = ss_blocks_at_end(controller, sequence);
    return end > has ? end - has : 0;
}

/* Answers' lengths differ by so much that what is left of one is hardly less than a whole one. The
 * mean is all tokens by the answers that came to their end: that counts what was cut, and what
 * still runs, as longer than it got. */
uint32_t ss_blocks_expected(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    const struct ss_model *model = &controller->models[sequence->model];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint64_t end = sequence->prompt + sequence->tokens_max;
    if (model->completed > 0 &&
        ss_sequence_known(sequence) + model->tokens / model->completed + 1 < end)
        end = ss_sequence_known(sequence) + model->tokens / model->completed + 1;
    uint32_t blocks = ss_blocks_of(controller, (uint32_t)end - 1);
    return blocks > has ? blocks - has : 0;
}

uint32_t ss_blocks_of_batch(const struct ss_controller *controller, const struct ss_model *model)
{
    uint32_t blocks = 0, count = 0;
    for (int class = 0; class < SS_CLASSES; class ++) {
        const struct ss_list *lists[] = {&model->live[class], &model->queue[class]};
        for (int i = 0; i < 2; i++)
            for (uint32_t at = lists[i]->first; at != SS_NONE && count < model->batch_max;
                 at = controller->sequences[at].next, count++)
                blocks += ss_blocks_left(controller, at);
    }
    return blocks;
}
