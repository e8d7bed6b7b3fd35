/* The ceilings of the machine: device memory, products of one row and of many, sums over the
 * tensor-parallel ranks, messages between ranks. */
#ifndef SS_EXPERIMENTS_STEPBENCH_CEILINGS_H
#define SS_EXPERIMENTS_STEPBENCH_CEILINGS_H

#include <jansson.h>

#include "experiments/stepbench/bed.h"

/* Measures them and fills ROWS (rank 0's; null elsewhere). The bed's pool holds no weights yet. */
SS_MUST_CHECK enum ss_status measure_ceilings(struct bed *bed, json_t *rows);

#endif
