/* One run of a workload against simulated groups. */
#ifndef SS_SWAPSIM_RUN_H
#define SS_SWAPSIM_RUN_H

#include <stdio.h>

#include "engine/serve/catalog.h"
#include "engine/swapsim/metrics.h"
#include "engine/swapsim/yardstick.h"
#include "engine/workload/workload.h"

struct ss_run_options {
    const struct ss_catalog *catalog; /* with a profile */
    const struct ss_workload *workload;
    uint64_t seed;
    uint32_t groups;
    bool check;                     /* every invariant after every step: slow */
    bool progress;                  /* on stderr, as a line that is written over */
    struct ss_yardstick *yardstick; /* gets what is answered; null: no bound is wanted */
    FILE *requests;                 /* requests.csv, a line when each is over; null: none */
    FILE *arrivals;                 /* as they come; null: none */
    FILE *tokens;                   /* a line for each token; null: none */
};

/* Sums over the groups. */
struct ss_run_totals {
    struct ss_controller_view view;
    uint64_t loaded_bytes, copied_back_bytes;
    uint64_t load_ns, hidden_ns, compute_ns; /* of all ranks: struct ss_sim_rank_times */
    uint64_t decisions;                      /* calls of the controller */
    uint64_t end_ns;                         /* when the last thing happened, virtual */
    uint64_t live_max;                       /* requests at once */
    struct ss_bound bound;                   /* of the caller's yardstick; mean_s 0: not wanted */
    uint64_t wall_ns, feeds; /* wall: real time of the run; feeds: happenings, of all kinds */
};

/* Runs to the end and fills METRICS, which the caller has opened, and TOTALS. Fails on a wrong line
 * of a trace, on memory, and on a broken promise, which the message says with its time. */
SS_MUST_CHECK enum ss_status ss_run(const struct ss_run_options *options,
                                    struct ss_metrics *metrics, struct ss_run_totals *totals);

#endif
