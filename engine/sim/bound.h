/* A lower bound on the mean latency of any scheduler, one that knows the future included, for given
 * arrivals on the simulated machine: the yardstick that says how far from the best possible a
 * policy is. The pool is empty at time 0, every request is served, and latency counts from arrival
 * to the last token's report.
 *
 * It is the larger of two bounds, each a relaxation of the machine:
 *
 * 1. Warm time and loads. Alone, with everything resident, a request takes its steps at the least
 *    that they cost on each stage, one after the other, and what links the stages. Its prompt may
 * be cut into slices that follow each other through the stages, so of a cut prompt only the rows of
 *    one stage and one row on each other stage count. To that comes what loads make requests wait
 *    (bound_loads.h says how), seen by one resource at a time, the one that gives the most: a rank
 * of each stage, with its own link and pool; and the group as a whole, where the host's memory
 * limits what all its links bring together.
 *
 * 2. Compute. A stage is one machine. A step of b sequences costs it at least fixed + weights, and
 * at least fixed + rows * row, so each sequence's part is at least 1 / batch_max of the former, or
 *    its rows' time and 1 / batch_max of fixed; keys and values are read for each sequence apart.
 * For one machine, jobs with such parts and release times, shortest remaining time first has the
 * least sum of completions (Schrage, "A Proof of the Optimality of the Shortest Remaining
 * Processing Time Discipline", 1968); a request is not over before its parts are done. */
#ifndef SS_SIM_BOUND_H
#define SS_SIM_BOUND_H

#include "engine/core/controller.h"

/* The machine of one group: the controller's view of its models, pools and step costs, and the
 * links. */
struct ss_bound_machine {
    const struct ss_controller_options *controller;
    double link_bytes_per_s;  /* of one rank alone */
    double total_bytes_per_s; /* of all ranks of the host together; 0: no limit */
    uint64_t piece_bytes;     /* a chunk moves in pieces ... */
    double piece_s;           /* ... each of which costs the link so much beside its bytes */
    double hop_s;    /* the least from one stage to the next, and from the last to the first */
    double report_s; /* the least from the last stage's end to the answer */
};

struct ss_bound_request {
    double arrival_s; /* from 0 on */
    uint32_t model, prompt_tokens, output_tokens;
};

struct ss_bound {
    double mean_s;         /* latency: no scheduler has less */
    double first_mean_s;   /* time to first token: likewise */
    double warm_mean_s;    /* mean of unloaded warm latencies, a part of mean_s */
    double loads_mean_s;   /* what loads add to it */
    double compute_mean_s; /* the second bound */
    double load_mean_s;    /* a whole load of the requests' models, at line rate: for scale */
};

/* The bound for REQUESTS, by arrival. EFFORT as in ss_bound_loads(), for each resource. */
SS_MUST_CHECK enum ss_status ss_bound_of(const struct ss_bound_machine *machine,
                                         const struct ss_bound_request *requests, size_t count,
                                         double effort, struct ss_bound *out);

/* The latency of a request alone: with everything resident, and from an empty pool at line rate
 * (what SLOs are multiples of). The cold one is no bound: it adds the warm time to the load. */
double ss_bound_warm_s(const struct ss_bound_machine *machine,
                       const struct ss_bound_request *request);
double ss_bound_load_s(const struct ss_bound_machine *machine, uint32_t model);

#endif
