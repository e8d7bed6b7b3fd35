/* The simulated ranks' costs, from a catalog and its profile. */
#ifndef SS_SWAPSIM_COSTS_H
#define SS_SWAPSIM_COSTS_H

#include "engine/serve/catalog.h"
#include "engine/sim/group.h"

/* The catalog has a profile. */
void ss_swapsim_costs(const struct ss_catalog *catalog, struct ss_sim_costs *out);

#endif
