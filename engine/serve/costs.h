/* What a step and a load cost on a group, from the shapes of its models and the profile of its
 * machine: the one place, for the controller and for the simulator. A roofline model (Williams,
 * Waterman and Patterson, CACM 2009); what is left out: attention's arithmetic beyond reading the
 * cache, and that a head computes only the rows that are sampled, for which its rows cost nothing
 * beside reading its weights. */
#ifndef SS_SERVE_COSTS_H
#define SS_SERVE_COSTS_H

#include "engine/serve/catalog.h"

/* Chunk CHUNK of STAGE in a step of MODEL. What a stage pays once a step is in its first chunk. The
 * catalog has a profile. */
void ss_costs_of_chunk(const struct ss_catalog *catalog, int model, int stage, int chunk,
                       struct ss_step_cost *out);

/* All chunks of STAGE together. */
void ss_costs_of_stage(const struct ss_catalog *catalog, int model, int stage,
                       struct ss_step_cost *out);

/* Of one rank's link while all ranks of the group load. */
uint64_t ss_costs_link_bytes_per_s(const struct ss_catalog *catalog);

#endif
