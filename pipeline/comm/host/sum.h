/* Sums that do not depend on who adds: parts are added in order, in fp32, and rounded once. */
#ifndef SS_PIPELINE_COMM_SUM_H
#define SS_PIPELINE_COMM_SUM_H

#include <stddef.h>

#include "swap/image.h"

/* out[i] = round(((part 0 [i] + part 1 [i]) + part 2 [i]) + ...); PARTS is [part_count][count], OUT
 * does not overlap it. Rounds to nearest, ties to even. */
void ss_sum_in_order(void *out, const void *parts, int part_count, size_t count,
                     enum ss_dtype dtype);

#endif
