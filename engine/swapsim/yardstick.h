/* The offline bound of a run (engine/sim/bound.h) on the arrivals that it answered, each group with
 * the models that it was dealt. */
#ifndef SS_SWAPSIM_YARDSTICK_H
#define SS_SWAPSIM_YARDSTICK_H

#include "engine/serve/catalog.h"
#include "engine/sim/bound.h"
#include "engine/swapsim/metrics.h"

struct ss_yardstick {
    struct ss_yardstick_request {
        struct ss_bound_request bound;
        uint32_t group;
    } * requests;
    size_t count, count_max;
};

/* OUTCOME was answered by GROUP. */
SS_MUST_CHECK enum ss_status ss_yardstick_add(struct ss_yardstick *yardstick, uint32_t group,
                                              const struct ss_outcome *outcome);
void ss_yardstick_release(struct ss_yardstick *yardstick);

/* The bound over all requests of all groups. Sorts them. EFFORT: ss_bound_loads(), for all
 * together. */
SS_MUST_CHECK enum ss_status ss_yardstick_measure(struct ss_yardstick *yardstick,
                                                  const struct ss_catalog *catalog,
                                                  uint32_t group_count, double effort,
                                                  struct ss_bound *out);

#endif
