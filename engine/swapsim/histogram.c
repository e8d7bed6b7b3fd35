#include "engine/swapsim/histogram.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/memory.h"

#define MANTISSA_BITS 9u
#define BUCKETS       ((64u - MANTISSA_BITS + 1) << MANTISSA_BITS)

/* Values under 2^MANTISSA_BITS have a bucket each; above, as many for every power of two. */
static size_t bucket_of(uint64_t ns)
{
    if (ns >> MANTISSA_BITS == 0)
        return ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - MANTISSA_BITS;
    return ((size_t)(shift + 1) << MANTISSA_BITS) + (size_t)((ns >> shift) - (1u << MANTISSA_BITS));
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket >> MANTISSA_BITS == 0)
        return bucket;
    unsigned shift = (unsigned)(bucket >> MANTISSA_BITS) - 1;
    uint64_t low = ((bucket & ((1u << MANTISSA_BITS) - 1)) + (1u << MANTISSA_BITS));
    return (low << shift) + ((1ull << shift) >> 1);
}

static enum ss_status grow(struct ss_histogram *histogram)
{
    uint64_t room = histogram->exact_room ? 2 * histogram->exact_room : 1024;
    enum ss_status status =
        ss_realloc(&histogram->exact, room, sizeof *histogram->exact, "a histogram");
    if (!status)
        histogram->exact_room = room;
    return status;
}

static enum ss_status fill_buckets(struct ss_histogram *histogram)
{
    enum ss_status status =
        ss_alloc(&histogram->buckets, BUCKETS, sizeof *histogram->buckets, "a histogram");
    if (status)
        return status;
    for (uint64_t i = 0; i < histogram->count; i++)
        histogram->buckets[bucket_of(histogram->exact[i])]++;
    ss_free(histogram->exact);
    histogram->exact = 0;
    return SS_OK;
}

enum ss_status ss_histogram_add(struct ss_histogram *histogram, uint64_t ns)
{
    enum ss_status status = SS_OK;
    if (!histogram->buckets && histogram->count == SS_EXACT_MAX)
        status = fill_buckets(histogram);
    else if (!histogram->buckets && histogram->count == histogram->exact_room)
        status = grow(histogram);
    if (status)
        return status;
    if (histogram->buckets)
        histogram->buckets[bucket_of(ns)]++;
    else
        histogram->exact[histogram->count] = ns;
    histogram->count++;
    histogram->sum_ns += (double)ns;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
    return SS_OK;
}

void ss_histogram_release(struct ss_histogram *histogram)
{
    ss_free(histogram->exact);
    ss_free(histogram->buckets);
    *histogram = (struct ss_histogram){0};
}

double ss_histogram_mean_ns(const struct ss_histogram *histogram)
{
    return histogram->count ? histogram->sum_ns / (double)histogram->count : 0;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

uint64_t ss_histogram_quantile_ns(struct ss_histogram *histogram, double share)
{
    if (histogram->count == 0)
        return 0;
    double place = ceil(share * (double)histogram->count);
    uint64_t rank = place < 1 ? 1 : (uint64_t)place;
    if (rank > histogram->count)
        rank = histogram->count;
    if (!histogram->buckets) {
        qsort(histogram->exact, histogram->count, sizeof *histogram->exact, compare);
        return histogram->exact[rank - 1];
    }
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank)
            return value_of(bucket) < histogram->max_ns ? value_of(bucket) : histogram->max_ns;
    }
    return histogram->max_ns;
}
