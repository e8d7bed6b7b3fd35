/* What stepbench measures of a bed: loads, first tokens, prefills, decode steps, and the ceilings
 * of the machine beside them. */
#ifndef SS_EXPERIMENTS_STEPBENCH_MEASURE_H
#define SS_EXPERIMENTS_STEPBENCH_MEASURE_H

#include <jansson.h>

#include "experiments/stepbench/bed.h"

/* What there is to be measured. */
enum measure_part {
    MEASURE_CEILINGS = 1,
    MEASURE_LOADS = 2,
    MEASURE_PREFILL = 4,
    MEASURE_DECODE = 8,
    MEASURE_RETURNS = 16,
    MEASURE_ALL = 31
};

/* Measures PARTS and fills ROWS (rank 0's; null elsewhere). */
SS_MUST_CHECK enum ss_status measure_parts(struct bed *bed, json_t *rows, unsigned parts);

#endif
