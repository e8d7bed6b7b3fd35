/* The streams of a stage wait for one another: compute for weights and KV on their way, links and
 * copy streams for pages that a batch still reads. Each knows only its own; here what one has done
 * lets the others go on. */
#include "engine/sim/internal.h"

void ss_sim_stage_advance(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    while (ss_sim_compute_advance(group, stage))
        for (int tp = 0; tp < group->tp; tp++) {
            struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
            ss_sim_report_done(group, rank, stage->computed);
            ss_sim_load_advance(group, rank);
            ss_sim_copies_advance(group, rank);
        }
}

void ss_sim_stage_computed(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    ss_sim_compute_over(group, stage);
    ss_sim_stage_advance(group, stage);
}

void ss_sim_stage_moved(struct ss_sim_group *group, struct ss_sim_rank *rank,
                        enum ss_sim_flow_kind kind, uint64_t serial)
{
    uint64_t bytes = ss_sim_flow_over(group, rank, kind, serial);
    if (bytes == 0)
        return;
    if (kind == SS_SIM_FLOW_LOAD)
        ss_sim_load_moved(group, rank, bytes);
    else if (kind == SS_SIM_FLOW_UNLOAD)
        ss_sim_copied_out(group, rank);
    else
        ss_sim_copied_in(group, rank);
    ss_sim_stage_advance(group, &group->stages[rank->stage]);
}
