/* What can be asked of a simulated group. */
#include "engine/sim/internal.h"

const struct ss_controller *ss_sim_group_controller(const struct ss_sim_group *group)
{
    return group->controller;
}

uint64_t ss_sim_group_loaded_bytes(const struct ss_sim_group *group)
{
    return group->loaded_bytes;
}

uint64_t ss_sim_group_copied_back_bytes(const struct ss_sim_group *group)
{
    return group->copied_back_bytes;
}

uint64_t ss_sim_group_entries(const struct ss_sim_group *group, enum ss_entry_kind kind)
{
    return group->entry_counts[kind];
}

size_t ss_sim_group_live(const struct ss_sim_group *group)
{
    return group->store.live;
}

uint64_t ss_sim_group_decisions(const struct ss_sim_group *group)
{
    return group->decisions;
}

uint64_t ss_sim_group_events(const struct ss_sim_group *group)
{
    return group->events;
}

void ss_sim_group_times(const struct ss_sim_group *group, uint32_t rank,
                        struct ss_sim_rank_times *out)
{
    SS_ASSERT(rank < group->rank_count);
    *out = group->ranks[rank].times;
}
