/* What things cost on the ranks of a simulated group.
 *
 * Links: a copy has the rate of its link while it is alone; all copies of the group share the
 * bandwidth of the host's memory max-min fairly, two copies of one rank in one direction share its
 * link, and copies both ways share what it carries both ways. Where a rate is short, a copy to the
 * host has TO_HOST_SHARE of it and one to the device 1. A piece costs
 * its latency beside its bytes. With h copies to the devices and d to the host at rates r, sum(r_h)
 * / total + sum(r_d) / to_host_total is at most 1.
 *
 * Compute: a chunk takes what ss_step_cost_ns() says of its cost, the rows of the batch and the
 * cached tokens that it reads. */
#ifndef SS_SIM_COSTS_H
#define SS_SIM_COSTS_H

#include "engine/core/controller.h"

/* Per model; all is borrowed for as long as the group. */
struct ss_sim_model {
    const struct ss_step_cost *chunks[SS_STAGES_MAX]; /* by chunk of the stage's shard */
    double edge_row_ns; /* activations of a row to the next stage, beside edge_ns */
};

struct ss_sim_costs {
    double link_bytes_per_s;          /* host to device, one rank alone */
    double link_total_bytes_per_s;    /* ... all that copy at once, together; 0: no limit */
    double to_host_bytes_per_s;       /* device to host: spills and drops that copy back */
    double to_host_total_bytes_per_s; /* 0: no limit */
    double both_bytes_per_s;          /* both ways at once, one rank alone; 0: no limit */
    double to_host_share;             /* of what is short, a copy to the device having 1; 0: 1 */
    uint64_t piece_bytes, piece_latency_ns;

    const struct ss_sim_model *models; /* by model; null: chunk_ns and row_ns say it of all */
    uint64_t chunk_ns;                 /* computing a chunk, beside its rows */
    uint64_t row_ns;                   /* of a row in a chunk */
    uint64_t move_page_ns;

    uint64_t entry_ns;         /* an entry to the next stage */
    uint64_t edge_ns;          /* activations to the next stage, tokens to the first */
    uint64_t report_ns;        /* a report to the controller, at least ... */
    uint64_t report_jitter_ns; /* ... and less than this more; 0: none */

    uint32_t duplicate_in; /* one report in so many comes twice; 0: none does */
    uint32_t late_in;      /* one report in so many, and with it all that follow it, is ... */
    uint64_t late_ns;      /* ... so much later; 0: none is */
};

#endif
