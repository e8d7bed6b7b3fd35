/* A stage takes an entry, and sends it on to the next: it is checked against what the ranks hold in
 * the order of entries, and becomes work for compute, links and copy streams. */
#include "engine/sim/internal.h"

typedef unsigned long long number;

static void release_blocks(struct ss_sim_group *group, struct ss_sim_stage *stage,
                           struct ss_sim_slot *slot)
{
    uint32_t pages = ss_sim_block_pages(group, stage->index, slot->model);
    for (uint32_t i = 0; i < slot->block_count; i++) {
        ss_sim_give_up(stage, slot->blocks[i], pages, slot->last_use);
        ss_sim_audit_release(group, stage, slot->blocks[i], pages);
    }
    slot->block_count = 0;
}

static struct ss_sim_residency *model_of(struct ss_sim_group *group, struct ss_sim_stage *stage,
                                         uint32_t index)
{
    struct ss_sim_residency *model = &stage->models[index];
    uint32_t chunks = ss_sim_model(group, index)->chunk_count[stage->index];
    if (!model->chunks && chunks > 0) {
        model->chunks = ss_sim_store_keep(&group->store, chunks, sizeof *model->chunks);
        model->ready =
            ss_sim_store_keep(&group->store, (size_t)group->tp * chunks, sizeof *model->ready);
    }
    return model;
}

static void take_load(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    struct ss_sim_residency *model = model_of(group, stage, entry->model);
    const uint32_t *pages = ss_sim_model(group, entry->model)->chunk_pages[stage->index];
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != stage->index)
            continue;
        struct ss_sim_chunk *chunk = &model->chunks[placement->chunk];
        if (chunk->held)
            ss_sim_fail(group, "entry %llu loads chunk %u of model %u, which is held",
                        (number)entry->number, placement->chunk, entry->model);
        *chunk =
            (struct ss_sim_chunk){.held = true, .page = placement->page, .load = entry->number};
        model->held++;
        ss_sim_audit_claim(group, stage, chunk->page, pages[placement->chunk],
                           ss_sim_audit_chunk(entry->model, placement->chunk), entry);
    }
    model->moving += (uint32_t)group->tp;
    for (int tp = 0; tp < group->tp && !group->failure[0]; tp++)
        ss_sim_load_add(group, ss_sim_rank_of(group, stage->index, tp), taken);
}

static void take_drop(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_controller_model *sizes = ss_sim_model(group, entry->model);
    struct ss_sim_residency *model = model_of(group, stage, entry->model);
    size_t room = group->options.controller.pool_pages[stage->index] * sizeof(uint32_t);
    uint32_t *pages = ss_sim_store_take(&group->store, room), count = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != stage->index)
            continue;
        struct ss_sim_chunk *chunk = &model->chunks[placement->chunk];
        if (!chunk->held) {
            ss_sim_fail(group, "entry %llu drops chunk %u of model %u, which is not held",
                        (number)entry->number, placement->chunk, entry->model);
            break;
        }
        uint32_t chunk_pages = sizes->chunk_pages[stage->index][placement->chunk];
        chunk->held = false;
        model->held--;
        ss_sim_give_up(stage, chunk->page, chunk_pages, model->last_use);
        ss_sim_audit_release(group, stage, chunk->page, chunk_pages);
        for (uint32_t page = 0; page < chunk_pages && group->options.check; page++)
            pages[count++] = chunk->page + page;
        bytes += sizes->chunk_bytes[stage->index][placement->chunk];
    }
    for (int tp = 0; tp < group->tp && entry->copy_back && !group->failure[0]; tp++) {
        ss_sim_copy_out(group, ss_sim_rank_of(group, stage->index, tp), taken, pages, count, bytes);
        group->copied_back_bytes += bytes;
    }
    ss_sim_store_give(&group->store, pages, room);
}

static void take_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    for (uint32_t i = 0; i < entry->move_count; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        if (move->stage != stage->index)
            continue;
        bool is_chunk = move->slot == SS_NO_SLOT;
        struct ss_sim_residency *model = is_chunk ? model_of(group, stage, move->model) : 0;
        struct ss_sim_slot *slot = is_chunk ? 0 : &stage->slots[move->slot];
        uint32_t *place = is_chunk ? &model->chunks[move->index].page : &slot->blocks[move->index];
        if (*place != move->from || (is_chunk && !model->chunks[move->index].held) ||
            (!is_chunk && move->index >= slot->block_count))
            ss_sim_fail(group, "entry %llu moves what is not at page %u", (number)entry->number,
                        move->from);
        ss_sim_audit_move(group, stage, move, entry);
        ss_sim_give_up(stage, move->from, move->pages, entry->number);
        ss_sim_give_up(stage, move->to, move->pages, entry->number);
        *place = move->to;
    }
    ss_sim_compute_move(group, stage, taken);
    ss_sim_stage_advance(group, stage);
}

static void open_slot(struct ss_sim_group *group, struct ss_sim_slot *slot,
                      const struct ss_entry *entry, const struct ss_batch_sequence *part,
                      const struct ss_sim_request *plan)
{
    if (slot->open || part->position != 0)
        ss_sim_fail(group, "entry %llu opens slot %u, which is open", (number)entry->number,
                    part->slot);
    *slot = (struct ss_sim_slot){.open = true,
                                 .plan = *plan,
                                 .model = entry->model,
                                 .known = plan->prompt,
                                 .blocks = slot->blocks};
}

static void take_sequence(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          const struct ss_entry *entry, const struct ss_batch_sequence *part,
                          const uint32_t *pages)
{
    struct ss_sim_slot *slot = &stage->slots[part->slot];
    uint32_t end = part->position + part->count;
    uint32_t bt = group->options.controller.block_tokens;
    bool samples = part->flags & SS_SEQUENCE_SAMPLE;
    if (!slot->open || slot->plan.handle != part->request || slot->model != entry->model ||
        part->position != slot->kv || part->count == 0 || end > slot->known ||
        samples != (end == slot->known) || (slot->block_count + part->new_blocks) * bt < end ||
        slot->block_count + part->new_blocks > group->blocks_max ||
        (samples && slot->known >= slot->plan.prompt + slot->plan.tokens_max)) {
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
        if (!ss_sim_audit_claim(group, stage, pages[i], block_pages, ss_sim_audit_slot(part->slot),
                                entry))
            return;
    }
    slot->last_use = entry->number;
    slot->kv = end;
}

static void take_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                       struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_controller_options *options = &group->options.controller;
    const struct ss_controller_model *model = &options->models[entry->model];
    struct ss_sim_residency *residency = model_of(group, stage, entry->model);
    const struct ss_sim_request *plan = taken->plans;
    uint32_t used = 0;
    for (uint32_t i = 0; i < entry->sequence_count && !group->failure[0]; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        if (part->flags & SS_SEQUENCE_OPEN)
            open_slot(group, &stage->slots[part->slot], entry, part, plan++);
        take_sequence(group, stage, entry, part,
                      entry->pages + used + stage->index * part->new_blocks);
        used += part->new_blocks * (uint32_t)group->pp;
    }
    if (used != entry->page_count || taken->rows > options->limits.step_tokens_max ||
        entry->sequence_count > model->batch_max || entry->sequence_count == 0 ||
        ++stage->batches > options->limits.batches_in_flight)
        ss_sim_fail(group, "entry %llu: %u of %u pages, %u rows, %u sequences, %u batches here",
                    (number)entry->number, used, entry->page_count, taken->rows,
                    entry->sequence_count, stage->batches);
    if (residency->held != model->chunk_count[stage->index])
        ss_sim_fail(group,
                    "entry %llu computes over model %u, of which %u of %u chunks are here or on "
                    "their way",
                    (number)entry->number, entry->model, residency->held,
                    model->chunk_count[stage->index]);
    residency->last_use = entry->number;
    if (group->failure[0])
        return;
    ss_sim_compute_batch(group, stage, taken);
    ss_sim_stage_advance(group, stage);
}

/* Bytes of a slot's first COUNT blocks on a rank. */
static uint64_t block_bytes(const struct ss_sim_group *group, const struct ss_sim_stage *stage,
                            const struct ss_sim_slot *slot, uint32_t count)
{
    return (uint64_t)count * ss_sim_block_pages(group, stage->index, slot->model) *
           group->options.controller.page_bytes;
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
    uint64_t bytes = block_bytes(group, stage, slot, entry->block_count);
    for (int tp = 0; tp < group->tp; tp++)
        ss_sim_copy_out(group, ss_sim_rank_of(group, stage->index, tp), taken, slot->blocks,
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
        ss_sim_audit_claim(group, stage, pages[i],
                           ss_sim_block_pages(group, stage->index, slot->model),
                           ss_sim_audit_slot(entry->slot), entry);
    }
    slot->restored = entry->number;
    uint64_t bytes = block_bytes(group, stage, slot, entry->block_count);
    for (int tp = 0; tp < group->tp && !group->failure[0]; tp++)
        ss_sim_copy_in(group, ss_sim_rank_of(group, stage->index, tp), taken, pages,
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

static void take(struct ss_sim_group *group, struct ss_sim_stage *stage, struct ss_sim_entry *taken)
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
    case SS_ENTRY_PROMOTE:
        for (int tp = 0; tp < group->tp; tp++)
            ss_sim_load_promote(group, ss_sim_rank_of(group, stage->index, tp), entry->target);
        return;
    case SS_ENTRY_CANCEL:
        for (int tp = 0; tp < group->tp; tp++)
            ss_sim_load_cancel(group, ss_sim_rank_of(group, stage->index, tp), entry->target);
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
    case SS_ENTRY_STOP:
    case SS_ENTRY_KINDS:
        return;
    }
}

void ss_sim_intake(struct ss_sim_group *group, struct ss_sim_stage *stage,
                   struct ss_sim_entry *taken)
{
    bool last = (int)stage->index + 1 == group->pp;
    if (!last)
        ss_sim_at(group, group->now_ns + group->options.costs.entry_ns,
                  (struct ss_sim_event){
                      .kind = SS_SIM_ENTRY_AT_STAGE, .a = stage->index + 1, .subject = taken});
    take(group, stage, taken);
    if (last)
        ss_sim_entry_leave(group, taken);
}
