/* What a step costs on a rank of one stage. Four numbers that follow from a model's shape and the
 * machine's profile: the weights are read once whatever the batch, arithmetic grows with the rows
 * until it takes longer than that, and attention reads the cached tokens of every sequence (the
 * roofline model of Williams, Waterman and Patterson, CACM 2009, applied to a transformer's step).
 *
 * The controller bounds steps and judges deadlines by it; the simulator may take its own times from
 * the same profile. All zero: unknown. */
#ifndef SS_CORE_COST_H
#define SS_CORE_COST_H

#include <stdbool.h>
#include <stdint.h>

struct ss_step_cost {
    uint64_t fixed_ns;   /* launches, the latency of collectives: what every step pays */
    uint64_t weights_ns; /* reading the shard's weights once: the floor of the arithmetic */
    double row_ns;       /* arithmetic of one row, its part of the collectives' bytes included */
    double context_ns;   /* reading the keys and values of one cached token */
};

/* What a step is made of. */
struct ss_step_load {
    uint64_t rows;    /* tokens fed */
    uint64_t context; /* the sum over its sequences of the tokens in the cache when it ends */
};

static inline bool ss_step_cost_is_known(const struct ss_step_cost *cost)
{
    return cost->fixed_ns > 0 || cost->weights_ns > 0 || cost->row_ns > 0;
}

/* The time of a step of ROWS tokens fed over CONTEXT tokens, as in struct ss_step_load. Rows of one
 * sequence count their context once: its keys are read together. 0 where nothing is known. */
static inline uint64_t ss_step_cost_ns(const struct ss_step_cost *cost, uint64_t rows,
                                       uint64_t context)
{
    double arithmetic_ns = (double)rows * cost->row_ns;
    double floor_ns = (double)cost->weights_ns;
    return cost->fixed_ns + (uint64_t)((arithmetic_ns > floor_ns ? arithmetic_ns : floor_ns) +
                                       (double)context * cost->context_ns);
}

#endif
