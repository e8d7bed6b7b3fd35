/* Sequence slots on this rank: block tables, and KV that leaves for the host and comes back. */
#include <inttypes.h>
#include <string.h>

#include "engine/base/assert.h"
#include "pipeline/stage/internal.h"

uint64_t ss_stage_block_bytes(const struct ss_stage *stage, uint16_t model)
{
    const struct stage_model *found = &stage->models[model];
    uint32_t layers = 0;
    for (int i = 0; i < found->given.image->chunk_count; i++)
        layers += found->given.image->chunks[i].kind == SS_CHUNK_LAYER;
    return layers * found->kv.layer_bytes;
}

/* What a slot's pages were last used by must be known before the controller gives them away. */
static void release_blocks(struct ss_stage *stage, struct slot *slot)
{
    uint64_t bytes = ss_stage_block_bytes(stage, slot->model);
    for (uint32_t i = 0; i < slot->block_count; i++)
        ss_stage_touch_pages(stage, slot->blocks[i], bytes, slot->last_batch);
    slot->block_count = 0;
}

static enum ss_status open_slot(struct ss_stage *stage, struct slot *slot, uint16_t model,
                                const struct ss_opening *opening)
{
    uint32_t context = stage->models[model].given.context_max;
    if (opening->prompt_count == 0 || opening->length_max > context ||
        opening->prompt_count >= opening->length_max || opening->stop_id_count > SS_STOP_IDS_MAX)
        return ss_fail(SS_INVALID,
                       "opening: prompt of %" PRIu32 " tokens, length %" PRIu32 ", context %" PRIu32
                       ", %" PRIu32 " stop ids",
                       opening->prompt_count, opening->length_max, context, opening->stop_id_count);
    release_blocks(stage, slot);
    slot->open = true;
    slot->model = model;
    slot->restored = slot->sampled = slot->sampled_before = 0;
    slot->opening = *opening;
    slot->opening.prompt = 0;
    return SS_OK;
}

static enum ss_status extend(struct ss_stage *stage, const struct ss_entry *entry,
                             const struct ss_batch_sequence *sequence, const uint32_t *pages)
{
    struct slot *slot = &stage->slots[sequence->slot];
    const struct stage_model *model = &stage->models[entry->model];
    if (sequence->position == 0)
        release_blocks(stage, slot);
    if (slot->block_count + sequence->new_blocks > model->blocks_max)
        return ss_fail(SS_INVALID, "batch: slot %u: %" PRIu32 " + %" PRIu32 " blocks of %" PRIu32,
                       sequence->slot, slot->block_count, sequence->new_blocks, model->blocks_max);
    uint64_t bytes = ss_stage_block_bytes(stage, entry->model);
    for (uint32_t i = 0; i < sequence->new_blocks; i++) {
        enum ss_status status = ss_stage_check_pages(stage, pages[i], bytes, "batch: KV block");
        if (status)
            return status;
        slot->blocks[slot->block_count++] = pages[i];
    }
    uint64_t end = (uint64_t)sequence->position + sequence->count;
    uint64_t room = (uint64_t)slot->block_count * stage->options.limits.block_tokens;
    if (sequence->count == 0 || end > model->given.context_max || end > room)
        return ss_fail(SS_INVALID,
                       "batch: slot %u: tokens %" PRIu32 " to %" PRIu64 " of a context of %" PRIu32
                       " with room for %" PRIu64,
                       sequence->slot, sequence->position, end, model->given.context_max, room);
    slot->last_batch = entry->number;
    return SS_OK;
}

enum ss_status ss_stage_update_slots(struct ss_stage *stage, const struct ss_entry *entry,
                                     const struct ss_opening *openings, uint32_t opening_count)
{
    const uint32_t *pages = entry->pages;
    uint32_t opened = 0, used = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *sequence = &entry->sequences[i];
        uint64_t page_count = (uint64_t)sequence->new_blocks * (uint32_t)stage->pp;
        if (sequence->slot >= stage->options.limits.slots_max ||
            used + page_count > entry->page_count)
            return ss_fail(SS_INVALID, "batch: slot %u with %" PRIu32 " new blocks", sequence->slot,
                           sequence->new_blocks);
        struct slot *slot = &stage->slots[sequence->slot];
        enum ss_status status = SS_OK;
        if (sequence->flags & SS_SEQUENCE_OPEN) {
            SS_ASSERT(opened < opening_count);
            status = open_slot(stage, slot, entry->model, &openings[opened++]);
        } else if (!slot->open || slot->model != entry->model) {
            status = ss_fail(SS_INVALID, "batch: slot %u is not open for model %u", sequence->slot,
                             entry->model);
        }
        if (!status)
            status = extend(stage, entry, sequence,
                            pages + used + (uint32_t)stage->stage * sequence->new_blocks);
        if (status)
            return status;
        used += (uint32_t)page_count;
    }
    return SS_OK;
}

enum ss_status ss_stage_close(struct ss_stage *stage, const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->slot_count; i++) {
        if (entry->slots[i] >= stage->options.limits.slots_max)
            return ss_fail(SS_INVALID, "close: slot %u of %" PRIu32, entry->slots[i],
                           stage->options.limits.slots_max);
        struct slot *slot = &stage->slots[entry->slots[i]];
        if (slot->open)
            release_blocks(stage, slot);
        slot->open = false;
    }
    return SS_OK;
}

enum ss_status ss_stage_move_block(struct ss_stage *stage, const struct ss_page_move *move,
                                   uint64_t number, uint64_t *bytes)
{
    struct slot *slot = &stage->slots[move->slot];
    if (move->slot >= stage->options.limits.slots_max || move->index >= slot->block_count ||
        slot->blocks[move->index] != move->from)
        return ss_fail(SS_INVALID, "move: block %u of slot %u is not at page %" PRIu32, move->index,
                       move->slot, move->from);
    *bytes = ss_stage_block_bytes(stage, slot->model);
    slot->blocks[move->index] = move->to;
    slot->last_batch = number;
    return SS_OK;
}

/* The spill area is counted in units of this rank's largest KV block. */
static enum ss_status check_spill(const struct ss_stage *stage, const struct ss_entry *entry)
{
    uint64_t end = entry->spill_block + (uint64_t)entry->block_count;
    if (entry->slot >= stage->options.limits.slots_max || !stage->slots[entry->slot].open)
        return ss_fail(SS_INVALID, "%s: slot %u is not open", ss_entry_kind_name(entry->kind),
                       entry->slot);
    if (end * stage->spill_unit > stage->options.spill_bytes)
        return ss_fail(SS_INVALID,
                       "%s: blocks %" PRIu32 " to %" PRIu64 " of %" PRIu64
                       " bytes: the spill area has %" PRIu64 " bytes",
                       ss_entry_kind_name(entry->kind), entry->spill_block, end, stage->spill_unit,
                       stage->options.spill_bytes);
    return SS_OK;
}

static unsigned char *spill_at(const struct ss_stage *stage, const struct ss_entry *entry,
                               uint32_t index)
{
    return (unsigned char *)stage->options.spill + (entry->spill_block + index) * stage->spill_unit;
}

enum ss_status ss_stage_spill(struct ss_stage *stage, const struct ss_entry *entry)
{
    struct slot *slot = &stage->slots[entry->slot];
    uint64_t bytes = 0;
    enum ss_status status = check_spill(stage, entry);
    if (!status)
        bytes = ss_stage_block_bytes(stage, slot->model);
    if (!status && entry->block_count > slot->block_count)
        status = ss_fail(SS_INVALID, "spill: %" PRIu32 " blocks of %" PRIu32, entry->block_count,
                         slot->block_count);
    if (!status)
        status = stage->device->wait(stage->unload, stage->computed, slot->last_batch);
    if (!status && slot->restored)
        status = stage->device->wait(stage->unload, stage->restored, slot->restored);
    for (uint32_t i = 0; i < entry->block_count && !status; i++)
        status = stage->device->copy_to_host(stage->unload, spill_at(stage, entry, i),
                                             ss_stage_page_address(stage, slot->blocks[i]), bytes);
    if (status)
        return status;
    release_blocks(stage, slot);
    return ss_stage_report_when_done(stage, stage->unload, entry->number);
}

enum ss_status ss_stage_restore(struct ss_stage *stage, const struct ss_entry *entry)
{
    struct slot *slot = &stage->slots[entry->slot];
    uint64_t bytes = 0;
    enum ss_status status = check_spill(stage, entry);
    if (!status)
        bytes = ss_stage_block_bytes(stage, slot->model);
    if (!status &&
        (slot->block_count || entry->block_count > stage->models[slot->model].blocks_max ||
         (uint64_t)entry->block_count * (uint32_t)stage->pp > entry->page_count))
        status = ss_fail(SS_INVALID, "restore: %" PRIu32 " blocks into slot %u that has %" PRIu32,
                         entry->block_count, entry->slot, slot->block_count);
    const uint32_t *pages = entry->pages + (size_t)stage->stage * entry->block_count;
    for (uint32_t i = 0; i < entry->block_count && !status; i++) {
        status = ss_stage_check_pages(stage, pages[i], bytes, "restore");
        if (!status)
            status = stage->device->wait(stage->restore, stage->computed,
                                         ss_stage_last_use(stage, pages[i], bytes));
        if (!status)
            status = stage->device->copy_to_device(stage->restore,
                                                   ss_stage_page_address(stage, pages[i]),
                                                   spill_at(stage, entry, i), bytes);
        if (!status)
            slot->blocks[slot->block_count++] = pages[i];
    }
    if (!status)
        status = stage->device->signal(stage->restore, stage->restored, entry->number);
    if (status)
        return status;
    slot->restored = entry->number;
    return ss_stage_report_when_done(stage, stage->restore, entry->number);
}
