/* What benchmarks make of the times they took, over all ranks and over all repeats. */
#ifndef SS_EXPERIMENTS_STEPBENCH_TIMES_H
#define SS_EXPERIMENTS_STEPBENCH_TIMES_H

#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/link/link.h"

/* Seconds from the first rank's BEGIN to the last rank's END; all ranks call it, those that had no
 * part with 0 and 0. */
SS_MUST_CHECK enum ss_status times_span(struct ss_link *link, uint64_t begin_ns, uint64_t end_ns,
                                        double *seconds);

/* The median of COUNT values; sorts them. */
double times_median(double *values, int count);

#endif
