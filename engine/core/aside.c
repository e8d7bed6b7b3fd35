#include "engine/core/aside.h"

#include "engine/core/block.h"
#include "engine/core/operation.h"
#include "engine/core/placing.h"
#include "engine/core/sequence.h"

bool ss_aside_set(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    SS_ASSERT(sequence->state == SS_SEQUENCE_RUNNING && sequence->blocks > 0);
    if (!ss_operation_fits(controller, 1) || !ss_outbox_fits(&controller->outbox, 1, 0))
        return false;
    uint32_t spill_block = SS_NO_PAGE;
    if (controller->spill)
        spill_block =
            ss_page_map_take(controller->spill, sequence->blocks, SS_NO_PAGE, SS_PAGES_LOW);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_SPILL);
    entry->slot = sequence->slot;
    if (spill_block == SS_NO_PAGE) {
        ss_blocks_release_all(controller, index);
        sequence->fed = 0;
        ss_sequence_set(controller, index, SS_SEQUENCE_ASIDE);
        ss_operation_start(controller, entry->number, SS_OPERATION_FORGET, index);
        controller->recomputed++;
        return true;
    }
    entry->spill_block = sequence->spill_block = spill_block;
    entry->block_count = sequence->spill_count = sequence->blocks;
    ss_blocks_set_leaving(controller, index);
    ss_sequence_set(controller, index, SS_SEQUENCE_SPILLING);
    ss_operation_start(controller, entry->number, SS_OPERATION_SPILL, index);
    controller->spilled++;
    return true;
}

bool ss_aside_restore(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    uint32_t count = sequence->spill_count, page_count = count * (uint32_t)controller->pp;
    SS_ASSERT(sequence->state == SS_SEQUENCE_SPILLED && sequence->blocks == 0);
    if (!ss_operation_fits(controller, 1) ||
        !ss_outbox_fits(&controller->outbox, 1, ss_outbox_bytes(page_count, sizeof(uint32_t))) ||
        !ss_placing_take_blocks(controller, index, count))
        return false;
    /* Compaction may have sent entries since room was asked for. */
    if (!ss_operation_fits(controller, 1) ||
        !ss_outbox_fits(&controller->outbox, 1, ss_outbox_bytes(page_count, sizeof(uint32_t)))) {
        uint32_t spill_block = sequence->spill_block;
        sequence->spill_block = SS_NONE;
        ss_blocks_release_all(controller, index);
        sequence->spill_block = spill_block;
        return false;
    }
    uint32_t *pages = ss_outbox_array(&controller->outbox, page_count, sizeof *pages);
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t block = 0; block < count; block++)
            pages[stage * count + block] = *ss_block_page(controller, sequence->slot, stage, block);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_RESTORE);
    entry->slot = sequence->slot;
    entry->spill_block = sequence->spill_block;
    entry->block_count = count;
    entry->page_count = page_count;
    entry->pages = pages;
    ss_sequence_set(controller, index, SS_SEQUENCE_RESTORING);
    ss_operation_start(controller, entry->number, SS_OPERATION_RESTORE, index);
    return true;
}
