/* Which group serves which models, for good. The models of the catalog, shuffled by the seed, are
 * dealt to the groups one by one; with one group they keep their order. */
#ifndef SS_SWAPSIM_ASSIGNMENT_H
#define SS_SWAPSIM_ASSIGNMENT_H

#include <stdint.h>

#include "engine/base/status.h"

struct ss_assignment {
    uint32_t groups;
    uint32_t *group; /* [model of the catalog] */
    uint32_t *local; /* [model of the catalog]: its index in its group */
    uint32_t *count; /* [group] */
};

SS_MUST_CHECK enum ss_status ss_assignment_make(uint32_t models, uint32_t groups, uint64_t seed,
                                                struct ss_assignment *out);
void ss_assignment_release(struct ss_assignment *assignment);

#endif
