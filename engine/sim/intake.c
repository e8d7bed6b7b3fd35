/* A stage takes an entry: it is checked against what the ranks hold in the order of entries, and
 * becomes work for compute, links and copy streams. */
#include "engine/sim/internal.h"

typedef unsigned long long number;

/* The range belongs to nobody, and nothing that runs outside the order of entries touches it. */
static bool claim_range(struct ss_sim_group *group, const struct ss_sim_stage *stage, uint32_t page,
                        uint32_t pages, uint32_t owner, const struct ss_entry *entry)
{
    if (page + pages > group->options.controller.pool_pages[stage->index]) {
        ss_sim_fail(group, "entry %llu names page %u + %u, past the pool's end",
                    (number)entry->number, page, pages);
        return false;
    }
    for (int tp = 0; tp < group->tp; tp++) {
        struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
        for (uint32_t i = page; i < page + pages; i++) {
            if (rank->pages[i].owner != 0 || rank->pages[i].busy > 0) {
                ss_sim_fail(group, "%s entry %llu gives page %u of stage %u to %x; it is %x's, %s",
                            ss_entry_kind_name(entry->kind), (number)entry->number, i, stage->index,
                            owner, rank->pages[i].owner, rank->pages[i].busy ? "busy" : "not busy");
                return false;
            }
            rank->pages[i].owner = owner;
        }
    }
    return true;
}

static void release_range(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          uint32_t page, uint32_t pages)
{
    for (int tp = 0; tp < group->tp; tp++)
        for (uint32_t i = page; i < page + pages; i++)
            ss_sim_rank_of(group, stage->index, tp)->pages[i].owner = 0;
}

static void touch_range(struct ss_sim_group *group, const struct ss_sim_stage *stage, uint32_t page,
                        uint32_t pages, uint64_t by)
{
    for (int tp = 0; tp < group->tp; tp++)
        for (uint32_t i = page; i < page + pages; i++)
            ss_sim_rank_of(group, stage->index, tp)->pages[i].last_use = by;
}

static void release_blocks(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                           struct ss_sim_slot *slot)
{
    uint32_t pages = ss_sim_block_pages(group, stage->index, slot->model);
    for (uint32_t i = 0; i < slot->block_count; i++)
        release_range(group, stage, slot->blocks[i], pages);
    slot->block_count = 0;
}

static void take_load(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != stage->index)
            continue;
        struct ss_sim_chunk *chunk = &stage->chunks[entry->model][placement->chunk];
        if (chunk->held)
            ss_sim_fail(group, "entry %llu loads chunk %u of model %u, which is held",
                        (number)entry->number, placement->chunk, entry->model);
        chunk->held = true;
        chunk->page = placement->page;
        chunk->load = entry->number;
        claim_range(group, stage, chunk->page, chunk->pages,
                    ss_sim_chunk_owner(entry->model, placement->chunk), entry);
    }
    for (int tp = 0; tp < group->tp && !group->failure[0]; tp++)
        ss_sim_link_load(group, ss_sim_rank_of(group, stage->index, tp), taken);
}

static void take_drop(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    uint32_t *pages = ss_sim_take(group, group->options.controller.pool_pages[stage->index], 4);
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != stage->index)
            continue;
        struct ss_sim_chunk *chunk = &stage->chunks[entry->model][placement->chunk];
        if (!chunk->held) {
            ss_sim_fail(group, "entry %llu drops chunk %u of model %u, which is not held",
                        (number)entry->number, placement->chunk, entry->model);
            return;
        }
        chunk->held = false;
        release_range(group, stage, chunk->page, chunk->pages);
        for (uint32_t page = 0; page < chunk->pages; page++)
            pages[count++] = chunk->page + page;
        bytes += chunk->bytes;
    }
    for (int tp = 0; tp < group->tp && entry->copy_back; tp++) {
        ss_sim_unload(group, ss_sim_rank_of(group, stage->index, tp), taken, pages, count, bytes);
        group->copied_back_bytes += bytes;
    }
}

static void take_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    for (uint32_t i = 0; i < entry->move_count; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        if (move->stage != stage->index)
            continue;
        uint32_t *place = move->slot == SS_NO_SLOT ? &stage->chunks[move->model][move->index].page
                                                   : &stage->slots[move->slot].blocks[move->index];
        if (*place != move->from ||
            (move->slot == SS_NO_SLOT && !stage->chunks[move->model][move->index].held) ||
            (move->slot != SS_NO_SLOT && move->index >= stage->slots[move->slot].block_count))
            ss_sim_fail(group, "entry %llu moves what is not at page %u", (number)entry->number,
                        move->from);
        uint32_t owner = ss_sim_rank_of(group, stage->index, 0)->pages[move->from].owner;
        for (int tp = 0; tp < group->tp; tp++)
            for (uint32_t page = 0; page < move->pages; page++)
                if (ss_sim_rank_of(group, stage->index, tp)->pages[move->from + page].busy > 0)
                    ss_sim_fail(group, "entry %llu moves page %u, which is being copied",
                                (number)entry->number, move->from + page);
        release_range(group, stage, move->from, move->pages);
        claim_range(group, stage, move->to, move->pages, owner, entry);
        touch_range(group, stage, move->from, move->pages, entry->number);
        touch_range(group, stage, move->to, move->pages, entry->number);
        *place = move->to;
    }
    ss_sim_compute_move(group, stage, taken);
}

static void take_sequence(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          struct ss_sim_entry *taken, uint32_t index, const uint32_t *pages)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_batch_sequence *part = &entry->sequences[index];
    const struct ss_sim_request *request = taken->opened[index];
    struct ss_sim_slot *slot = &stage->slots[part->slot];
    if (part->flags & SS_SEQUENCE_OPEN) {
        if (slot->open || part->position != 0)
            ss_sim_fail(group, "entry %llu opens slot %u, which is open", (number)entry->number,
                        part->slot);
        slot->open = true;
        slot->request = request;
        slot->model = entry->model;
        slot->known = request->prompt;
        slot->kv = slot->block_count = 0;
        slot->last_sample = slot->restored = 0;
    }
    uint32_t end = part->position + part->count;
    uint32_t bt = group->options.controller.block_tokens;
    bool samples = part->flags & SS_SEQUENCE_SAMPLE;
    if (!slot->open || slot->request != request || slot->model != entry->model ||
        part->position != slot->kv || part->count == 0 || end > slot->known ||
        samples != (end == slot->known) || (slot->block_count + part->new_blocks) * bt < end ||
        (samples && slot->known >= request->prompt + request->tokens_max)) {
        ss_sim_fail(
            group,
            "entry %llu: slot %u of request %llu: tokens %u + %u (sample %d), has %u of %u, "
            "%u + %u blocks",
            (number)entry->number, part->slot, (number)part->request, part->position, part->count,
            samples, slot->kv, slot->known, slot->block_count, part->new_blocks);
        return;
    }
    uint32_t block_pages = ss_sim_block_pages(group, stage->index, entry->model);
    for (uint32_t i = 0; i < part->new_blocks; i++) {
        slot->blocks[slot->block_count++] = pages[i];
        if (!claim_range(group, stage, pages[i], block_pages, ss_sim_slot_owner(part->slot), entry))
            return;
    }
    for (uint32_t i = 0; i < slot->block_count; i++)
        touch_range(group, stage, slot->blocks[i], block_pages, entry->number);
    slot->kv = end;
}

static void take_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                       struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_controller_options *options = &group->options.controller;
    const struct ss_controller_model *model = &options->models[entry->model];
    uint32_t used = 0, rows = 0;
    for (uint32_t i = 0; i < entry->sequence_count && !group->failure[0]; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        take_sequence(group, stage, taken, i,
                      entry->pages + used + stage->index * part->new_blocks);
        used += part->new_blocks * (uint32_t)group->pp;
        rows += part->count;
    }
    if (used != entry->page_count || rows > options->limits.step_tokens_max ||
        entry->sequence_count > model->batch_max || entry->sequence_count == 0 ||
        ++stage->batches > options->limits.batches_in_flight)
        ss_sim_fail(group, "entry %llu: %u of %u pages, %u rows, %u sequences, %u batches here",
                    (number)entry->number, used, entry->page_count, rows, entry->sequence_count,
                    stage->batches);
    for (uint32_t i = 0; i < model->chunk_count[stage->index]; i++) {
        struct ss_sim_chunk *chunk = &stage->chunks[entry->model][i];
        if (!chunk->held) {
            ss_sim_fail(group,
                        "entry %llu computes over chunk %u of model %u: neither here nor on "
                        "its way",
                        (number)entry->number, i, entry->model);
            return;
        }
        touch_range(group, stage, chunk->page, chunk->pages, entry->number);
    }
    if (!group->failure[0])
        ss_sim_compute_batch(group, stage, taken);
}

static void take_spill(struct ss_sim_group *group, struct ss_sim_stage *stage,
                       struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    struct ss_sim_slot *slot = &stage->slots[entry->slot];
    if (!slot->open || (entry->block_count != 0 && entry->block_count != slot->block_count)) {
        ss_sim_fail(group, "entry %llu spills %u of %u blocks of slot %u", (number)entry->number,
                    entry->block_count, slot->block_count, entry->slot);
        return;
    }
    uint64_t bytes = entry->block_count * group->options.costs.piece_bytes / 4;
    for (int tp = 0; tp < group->tp; tp++)
        ss_sim_unload(group, ss_sim_rank_of(group, stage->index, tp), taken, slot->blocks,
                      entry->block_count, bytes);
    if (entry->block_count == 0)
        slot->kv = 0;
    release_blocks(group, stage, slot);
}

static void take_restore(struct ss_sim_group *group, struct ss_sim_stage *stage,
                         struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    struct ss_sim_slot *slot = &stage->slots[entry->slot];
    const uint32_t *pages = entry->pages + stage->index * entry->block_count;
    if (!slot->open || slot->block_count != 0)
        ss_sim_fail(group, "entry %llu restores slot %u, which has blocks", (number)entry->number,
                    entry->slot);
    for (uint32_t i = 0; i < entry->block_count && !group->failure[0]; i++) {
        slot->blocks[slot->block_count++] = pages[i];
        claim_range(group, stage, pages[i], ss_sim_block_pages(group, stage->index, slot->model),
                    ss_sim_slot_owner(entry->slot), entry);
    }
    slot->restored = entry->number;
    uint64_t bytes = entry->block_count * group->options.costs.piece_bytes / 4;
    for (int tp = 0; tp < group->tp && !group->failure[0]; tp++)
        ss_sim_restore(group, ss_sim_rank_of(group, stage->index, tp), taken, pages,
                       entry->block_count, bytes);
}

static void take_close(struct ss_sim_group *group, struct ss_sim_stage *stage,
                       const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->slot_count; i++) {
        struct ss_sim_slot *slot = &stage->slots[entry->slots[i]];
        if (!slot->open)
            ss_sim_fail(group, "entry %llu closes slot %u, which is not open",
                        (number)entry->number, entry->slots[i]);
        release_blocks(group, stage, slot);
        slot->open = false;
    }
}

void ss_sim_intake(struct ss_sim_group *group, struct ss_sim_stage *stage,
                   struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    SS_ASSERT(entry->number == stage->next_number);
    stage->next_number++;
    switch (entry->kind) {
    case SS_ENTRY_LOAD:
        take_load(group, stage, taken);
        return;
    case SS_ENTRY_DROP:
        take_drop(group, stage, taken);
        return;
    case SS_ENTRY_MOVE:
        take_move(group, stage, taken);
        return;
    case SS_ENTRY_BATCH:
        take_batch(group, stage, taken);
        return;
    case SS_ENTRY_CANCEL:
        for (int tp = 0; tp < group->tp; tp++)
            ss_sim_link_cancel(group, ss_sim_rank_of(group, stage->index, tp), entry->target);
        return;
    case SS_ENTRY_SPILL:
        take_spill(group, stage, taken);
        return;
    case SS_ENTRY_RESTORE:
        take_restore(group, stage, taken);
        return;
    case SS_ENTRY_CLOSE:
        take_close(group, stage, entry);
        return;
    case SS_ENTRY_PROMOTE:
    case SS_ENTRY_STOP:
    case SS_ENTRY_KINDS:
        return;
    }
}
