#include "engine/core/block.h"

uint32_t *ss_block_page(const struct ss_controller *controller, uint16_t slot, uint16_t stage,
                        uint32_t block)
{
    SS_ASSERT(block < controller->blocks_max);
    size_t row = (size_t)slot * (size_t)controller->pp + stage;
    return &controller->tables[row * controller->blocks_max + block];
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
