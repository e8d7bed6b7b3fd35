#include "engine/core/arrivals.h"

/* A gap counts for half after some 14 more. */
#define FADING 0.95f
/* The prior weighs as much as so many gaps as long as the present one at least. */
#define PRIOR 1.5
/* Gaps are told apart from 2^16 ns on. */
#define UNIT_BITS 16

/* Four buckets to an octave, by the leading bits alone, so that all machines agree. */
static uint32_t bucket_of(uint64_t gap_ns)
{
    uint64_t units = gap_ns >> UNIT_BITS;
    if (units < 4)
        return (uint32_t)units;
    uint32_t top = 63 - (uint32_t)__builtin_clzll(units);
    uint32_t bucket = 4 * (top - 1) + ((uint32_t)(units >> (top - 2)) & 3);
    return bucket < SS_GAP_BUCKETS ? bucket : SS_GAP_BUCKETS - 1;
}

static double bucket_begin(uint32_t bucket)
{
    uint64_t units = bucket < 4 ? bucket : (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1);
    return (double)(units << UNIT_BITS);
}

void ss_arrivals_note(struct ss_arrivals *arrivals, uint64_t since_ns, uint64_t now_ns)
{
    if (arrivals->count++ == 0) {
        arrivals->gap_sum_ns = (double)(now_ns - since_ns);
    } else {
        uint64_t gap_ns = now_ns - arrivals->last_ns;
        uint32_t bucket = bucket_of(gap_ns);
        for (uint32_t i = 0; i < SS_GAP_BUCKETS; i++)
            arrivals->from[i] = arrivals->from[i] * FADING + (i <= bucket ? 1 : 0);
        arrivals->gap_sum_ns = arrivals->gap_sum_ns * (double)FADING + (double)gap_ns;
    }
    arrivals->last_ns = now_ns;
}

/* The weight of gaps longer than NS. */
static double beyond(const struct ss_arrivals *arrivals, double ns)
{
    uint32_t at = bucket_of((uint64_t)ns);
    double begin = bucket_begin(at), end = bucket_begin(at + 1);
    double weight = (double)arrivals->from[at + 1];
    if (ns < end)
        weight += ((double)arrivals->from[at] - weight) * (end - ns) / (end - begin);
    return weight;
}

struct ss_outlook ss_arrivals_within(const struct ss_arrivals *arrivals, uint64_t now_ns,
                                     double typical_ns, double within_ns)
{
    if (arrivals->count == 0)
        return (struct ss_outlook){0};
    double mean_ns = (arrivals->gap_sum_ns + typical_ns) / ((double)arrivals->from[0] + 1) + 1;
    double idle_ns = (double)(now_ns - arrivals->last_ns);
    double now = beyond(arrivals, idle_ns), then = beyond(arrivals, idle_ns + within_ns);
    double lasts = (mean_ns + idle_ns) / (mean_ns + idle_ns + within_ns);
    double chance = (now - then + PRIOR * (1 - lasts * lasts)) / (now + PRIOR);
    /* After the first, which comes in the middle, they go on at the mean rate. */
    return (struct ss_outlook){.chance = chance,
                               .count = chance * (1 + within_ns / (2 * mean_ns)),
                               .usual = within_ns / (within_ns + mean_ns)};
}
