#include "engine/base/assert.h"
#include "pipeline/entry/entry.h"
#include "pipeline/entry/little_endian.h"

static void put_placements(struct ss_message_writer *writer, const struct ss_entry *entry)
{
    ss_put(writer, entry->placement_count, 4);
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        ss_put(writer, placement->stage, 2);
        ss_put(writer, placement->chunk, 2);
        ss_put(writer, placement->page, 4);
    }
}

static void put_moves(struct ss_message_writer *writer, const struct ss_entry *entry)
{
    ss_put(writer, entry->move_count, 4);
    for (uint32_t i = 0; i < entry->move_count; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        ss_put(writer, move->stage, 2);
        ss_put(writer, move->slot, 2);
        ss_put(writer, move->model, 2);
        ss_put(writer, move->index, 2);
        ss_put(writer, move->from, 4);
        ss_put(writer, move->to, 4);
        ss_put(writer, move->pages, 4);
    }
}

static void put_pages(struct ss_message_writer *writer, const struct ss_entry *entry)
{
    ss_put(writer, entry->page_count, 4);
    for (uint32_t i = 0; i < entry->page_count; i++)
        ss_put(writer, entry->pages[i], 4);
}

static void put_opening(struct ss_message_writer *writer, const struct ss_opening *opening)
{
    SS_ASSERT(opening->stop_id_count <= SS_STOP_IDS_MAX);
    SS_ASSERT(opening->eos_id_count <= opening->stop_id_count);
    ss_put_float(writer, opening->temperature);
    ss_put_float(writer, opening->top_p);
    ss_put(writer, (uint32_t)opening->top_k, 4);
    ss_put(writer, opening->seed, 8);
    ss_put(writer, opening->length_max, 4);
    ss_put(writer, opening->stop_id_count, 1);
    ss_put(writer, opening->eos_id_count, 1);
    for (uint32_t i = 0; i < opening->stop_id_count; i++)
        ss_put(writer, (uint32_t)opening->stop_ids[i], 4);
    ss_put(writer, opening->prompt_count, 4);
    for (uint32_t i = 0; i < opening->prompt_count; i++)
        ss_put(writer, (uint32_t)opening->prompt[i], 4);
}

static void put_batch(struct ss_message_writer *writer, const struct ss_entry *entry,
                      ss_opening_lookup *lookup, void *user)
{
    ss_put(writer, entry->model, 2);
    ss_put(writer, entry->sequence_count, 4);
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *sequence = &entry->sequences[i];
        ss_put(writer, sequence->request, 8);
        ss_put(writer, sequence->slot, 2);
        ss_put(writer, sequence->flags, 2);
        ss_put(writer, sequence->position, 4);
        ss_put(writer, sequence->count, 4);
        ss_put(writer, sequence->new_blocks, 4);
    }
    put_pages(writer, entry);
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        if (!(entry->sequences[i].flags & SS_SEQUENCE_OPEN))
            continue;
        SS_ASSERT(lookup);
        const struct ss_opening *opening = lookup(user, entry->sequences[i].request);
        SS_ASSERT(opening);
        put_opening(writer, opening);
    }
}

static void put_spill(struct ss_message_writer *writer, const struct ss_entry *entry)
{
    ss_put(writer, entry->slot, 2);
    ss_put(writer, entry->spill_block, 4);
    ss_put(writer, entry->block_count, 4);
    if (entry->kind == SS_ENTRY_RESTORE)
        put_pages(writer, entry);
}

static void put_entry(struct ss_message_writer *writer, const struct ss_entry *entry,
                      ss_opening_lookup *lookup, void *user)
{
    ss_put(writer, SS_MESSAGE_ENTRY, 1);
    ss_put(writer, entry->kind, 1);
    ss_put(writer, entry->number, 8);
    switch (entry->kind) {
    case SS_ENTRY_LOAD:
        ss_put(writer, entry->model, 2);
        ss_put(writer, entry->lane, 1);
        put_placements(writer, entry);
        return;
    case SS_ENTRY_DROP:
        ss_put(writer, entry->model, 2);
        ss_put(writer, entry->copy_back, 1);
        put_placements(writer, entry);
        return;
    case SS_ENTRY_MOVE:
        put_moves(writer, entry);
        return;
    case SS_ENTRY_BATCH:
        put_batch(writer, entry, lookup, user);
        return;
    case SS_ENTRY_PROMOTE:
    case SS_ENTRY_CANCEL:
        ss_put(writer, entry->target, 8);
        return;
    case SS_ENTRY_SPILL:
    case SS_ENTRY_RESTORE:
        put_spill(writer, entry);
        return;
    case SS_ENTRY_CLOSE:
        ss_put(writer, entry->slot_count, 4);
        for (uint32_t i = 0; i < entry->slot_count; i++)
            ss_put(writer, entry->slots[i], 2);
        return;
    case SS_ENTRY_STOP:
    case SS_ENTRY_KINDS:
        return;
    }
}

enum ss_status ss_entry_encode(const struct ss_entry *entry, ss_opening_lookup *lookup, void *user,
                               void *buffer, size_t bytes_max, size_t *bytes)
{
    SS_ASSERT((unsigned)entry->kind < SS_ENTRY_KINDS);
    struct ss_message_writer writer = {.bytes = buffer, .bytes_max = bytes_max};
    put_entry(&writer, entry, lookup, user);
    if (writer.used > bytes_max)
        return ss_fail(SS_FULL, "%s entry %llu takes %zu bytes, the buffer has %zu",
                       ss_entry_kind_name(entry->kind), (unsigned long long)entry->number,
                       writer.used, bytes_max);
    *bytes = writer.used;
    return SS_OK;
}
