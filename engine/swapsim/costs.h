/* The simulated ranks' costs, from a catalog and its profile. */
#ifndef SS_SWAPSIM_COSTS_H
#define SS_SWAPSIM_COSTS_H

#include "engine/serve/catalog.h"
#include "engine/sim/group.h"

struct ss_swapsim_costs {
    struct ss_sim_costs sim;        /* without its models */
    struct ss_sim_model *models;    /* of the catalog; owned */
    struct ss_step_cost **of_entry; /* [model of the catalog]: owned where it is the first alike */
    int model_count;
};

/* The catalog has a profile. */
SS_MUST_CHECK enum ss_status ss_swapsim_costs_make(const struct ss_catalog *catalog,
                                                   struct ss_swapsim_costs *out);
void ss_swapsim_costs_release(struct ss_swapsim_costs *costs);

#endif
