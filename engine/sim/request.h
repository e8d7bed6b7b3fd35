/* What a request will generate: tokens are a function of (request, index). */
#ifndef SS_SIM_REQUEST_H
#define SS_SIM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/random.h"

struct ss_sim_request {
    uint64_t handle;
    uint32_t prompt, tokens_max;
    uint32_t eos_after; /* tokens; 0: never */
    bool stops;         /* at eos_after, by a stop id instead */
};

/* The token that a request generates as its INDEX-th (from 0). */
static inline int32_t ss_sim_token(uint64_t handle, uint32_t index)
{
    return (int32_t)(ss_random_u64(handle, index) & 0x7fffffff);
}

#endif
