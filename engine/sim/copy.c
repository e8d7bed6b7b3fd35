/* A rank's copy streams: KV that leaves and comes back, and drops that copy back, each in order. */
#include <string.h>

#include "engine/sim/internal.h"

static struct ss_sim_copy *make(struct ss_sim_group *group, const struct ss_sim_rank *rank,
                                struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                                uint64_t copied_bytes)
{
    uint32_t kept = group->options.check ? count : 0;
    size_t bytes = sizeof(struct ss_sim_copy) + kept * sizeof *pages;
    struct ss_sim_copy *copy = ss_sim_store_take(&group->store, bytes);
    *copy = (struct ss_sim_copy){.entry = ss_sim_entry_use(entry),
                                 .bytes = bytes,
                                 .after = group->stages[rank->stage].last_compute,
                                 .copied_bytes = copied_bytes,
                                 .count = kept,
                                 .pages = (uint32_t *)(copy + 1)};
    if (kept > 0)
        memcpy(copy->pages, pages, kept * sizeof *pages);
    return copy;
}

static void append(struct ss_sim_copy **list, struct ss_sim_copy *copy)
{
    while (*list)
        list = &(*list)->next;
    *list = copy;
}

void ss_sim_copy_out(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                     uint64_t bytes)
{
    struct ss_sim_copy *copy = make(group, rank, entry, pages, count, bytes);
    append(&rank->unloads, copy);
    ss_sim_audit_copy_begin(group, rank, copy);
    ss_sim_copies_advance(group, rank);
}

void ss_sim_copy_in(struct ss_sim_group *group, struct ss_sim_rank *rank,
                    struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                    uint64_t bytes)
{
    struct ss_sim_copy *copy = make(group, rank, entry, pages, count, bytes);
    append(&rank->restores, copy);
    ss_sim_audit_copy_begin(group, rank, copy);
    ss_sim_copies_advance(group, rank);
}

static void start(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_copy *copy,
                  enum ss_sim_flow_kind kind)
{
    if (!copy || copy->running || group->stages[rank->stage].computed < copy->after)
        return;
    copy->running = true;
    ss_sim_flow_start(group, rank, kind, copy->copied_bytes, 0);
}

void ss_sim_copies_advance(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    start(group, rank, rank->unloads, SS_SIM_FLOW_UNLOAD);
    start(group, rank, rank->restores, SS_SIM_FLOW_RESTORE);
}

static void end(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_copy *copy)
{
    ss_sim_audit_copy_end(group, rank, copy);
    ss_sim_report_done(group, rank, copy->entry->entry.number);
    ss_sim_entry_leave(group, copy->entry);
    ss_sim_store_give(&group->store, copy, copy->bytes);
    ss_sim_copies_advance(group, rank);
}

void ss_sim_copied_out(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    struct ss_sim_copy *copy = rank->unloads;
    rank->unloads = copy->next;
    end(group, rank, copy);
}

void ss_sim_copied_in(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    struct ss_sim_copy *copy = rank->restores;
    rank->restores = copy->next;
    rank->restored = copy->entry->entry.number;
    end(group, rank, copy);
}
