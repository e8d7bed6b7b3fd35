/* Durations, counted for their quantiles. Exact up to SS_EXACT_MAX of them; beyond that in buckets
 * of a 512th of their power of two, so that a quantile is wrong by 0.1% at most (after HdrHistogram
 * by Gil Tene). The mean is exact in both. */
#ifndef SS_SWAPSIM_HISTOGRAM_H
#define SS_SWAPSIM_HISTOGRAM_H

#include <stdint.h>

#include "engine/base/status.h"

#define SS_EXACT_MAX 131072

struct ss_histogram {
    uint64_t count, max_ns;
    double sum_ns;
    uint64_t *exact; /* the first SS_EXACT_MAX; owned */
    uint64_t exact_room;
    uint64_t *buckets; /* owned; from when there are more */
};

/* A zeroed histogram is empty. */
SS_MUST_CHECK enum ss_status ss_histogram_add(struct ss_histogram *histogram, uint64_t ns);
void ss_histogram_release(struct ss_histogram *histogram);

double ss_histogram_mean_ns(const struct ss_histogram *histogram);

/* The smallest value that a share of at least SHARE of all does not exceed; 0 where there is none.
 * Sorts what is kept. */
uint64_t ss_histogram_quantile_ns(struct ss_histogram *histogram, double share);

#endif
