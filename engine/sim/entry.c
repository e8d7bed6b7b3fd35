/* What the controller sent, kept until all stages are through with it. */
#include <string.h>

#include "engine/sim/internal.h"

/* Copies an array into the entry's block. */
static const void *put(char *block, size_t *used, const void *from, size_t bytes)
{
    char *to = block + *used;
    if (bytes > 0)
        memcpy(to, from, bytes);
    *used += (bytes + 7) / 8 * 8;
    return to;
}

static size_t room_of(size_t count, size_t size)
{
    return (count * size + 7) / 8 * 8;
}

/* The plans of the sequences that open, and what a step's cost depends on. */
static void look_at_batch(struct ss_sim_group *group, struct ss_sim_entry *to)
{
    const struct ss_entry *entry = &to->entry;
    uint32_t opened = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        if (part->flags & SS_SEQUENCE_OPEN)
            to->plans[opened++] = *group->options.request(group->options.user, part->request);
        to->rows += part->count;
        to->context += part->position + part->count;
    }
}

static struct ss_sim_entry *copy_of(struct ss_sim_group *group, const struct ss_entry *entry)
{
    uint32_t opens = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        opens += (entry->sequences[i].flags & SS_SEQUENCE_OPEN) != 0;
    size_t used = room_of(1, sizeof(struct ss_sim_entry));
    size_t bytes = used + room_of(entry->placement_count, sizeof *entry->placements) +
                   room_of(entry->move_count, sizeof *entry->moves) +
                   room_of(entry->sequence_count, sizeof *entry->sequences) +
                   room_of(entry->page_count, sizeof *entry->pages) +
                   room_of(entry->slot_count, sizeof *entry->slots) +
                   room_of(opens, sizeof(struct ss_sim_request));
    char *block = ss_sim_store_take(&group->store, bytes);
    struct ss_sim_entry *copy = (struct ss_sim_entry *)(void *)block;
    *copy = (struct ss_sim_entry){.users = 1, .bytes = bytes, .entry = *entry};
    struct ss_entry *to = &copy->entry;
    to->placements =
        put(block, &used, entry->placements, entry->placement_count * sizeof *entry->placements);
    to->moves = put(block, &used, entry->moves, entry->move_count * sizeof *entry->moves);
    to->sequences =
        put(block, &used, entry->sequences, entry->sequence_count * sizeof *entry->sequences);
    to->pages = put(block, &used, entry->pages, entry->page_count * sizeof *entry->pages);
    to->slots = put(block, &used, entry->slots, entry->slot_count * sizeof *entry->slots);
    copy->plans = (struct ss_sim_request *)(void *)(block + used);
    return copy;
}

void ss_sim_entry_send(struct ss_sim_group *group, const struct ss_entry *entry)
{
    if (entry->number != group->last_number + 1) {
        ss_sim_fail(group, "entry %llu follows %llu", (unsigned long long)entry->number,
                    (unsigned long long)group->last_number);
        return;
    }
    group->last_number = entry->number;
    group->entry_counts[entry->kind]++;
    SS_ASSERT(entry->sequence_count <= group->sequences_max);
    struct ss_sim_entry *copy = copy_of(group, entry);
    look_at_batch(group, copy);
    ss_sim_at(group, group->now_ns + group->options.costs.entry_ns,
              (struct ss_sim_event){.kind = SS_SIM_ENTRY_AT_STAGE, .subject = copy});
}

struct ss_sim_entry *ss_sim_entry_use(struct ss_sim_entry *entry)
{
    entry->users++;
    return entry;
}

void ss_sim_entry_leave(struct ss_sim_group *group, struct ss_sim_entry *entry)
{
    if (--entry->users == 0)
        ss_sim_store_give(&group->store, entry, entry->bytes);
}
