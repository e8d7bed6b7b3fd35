/* Sixteen fp32 lanes in plain C: the definition that the other lanes_*.h must match bit for bit.
 * A kernels_*.c includes one of them, then the *_lanes.h kernels, which are written once. */
#ifndef SS_PIPELINE_OPS_CPU_LANES_PORTABLE_H
#define SS_PIPELINE_OPS_CPU_LANES_PORTABLE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pipeline/ops/cpu/quad.h"
#include "pipeline/ops/cpu/row_ops.h"

#define LANES          16
#define LANES_ROW_TILE 1

typedef struct {
    float lane[LANES];
} lanes;

static inline lanes lanes_set(float value)
{
    lanes v;
    for (int i = 0; i < LANES; i++)
        v.lane[i] = value;
    return v;
}

static inline lanes lanes_load(const float *from)
{
    lanes v;
    memcpy(v.lane, from, sizeof v.lane);
    return v;
}

static inline void lanes_store(float *to, lanes v)
{
    memcpy(to, v.lane, sizeof v.lane);
}

static inline lanes lanes_load_f16(const uint16_t *from)
{
    lanes v;
    ss_cpu_widen(v.lane, from, 0, LANES, SS_F16);
    return v;
}

static inline lanes lanes_load_bf16(const uint16_t *from)
{
    lanes v;
    ss_cpu_widen(v.lane, from, 0, LANES, SS_BF16);
    return v;
}

static inline lanes lanes_add(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline lanes lanes_subtract(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.lane[i] -= b.lane[i];
    return a;
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline lanes lanes_divide(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.lane[i] /= b.lane[i];
    return a;
}

/* a * b + c, rounded once. */
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    for (int i = 0; i < LANES; i++)
        c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

/* a > b ? a : b, so B where either is not a number. */
static inline lanes lanes_max(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        b.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

static inline lanes lanes_min(lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        b.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

/* Lanes at and past COUNT become +0. */
static inline lanes lanes_first(lanes v, uint32_t count)
{
    for (uint32_t i = count; i < LANES; i++)
        v.lane[i] = 0;
    return v;
}

/* 2^n from the bits of 1.5 * 2^23 + n, for n in [-126, 127]. */
static inline lanes lanes_power_of_two(lanes biased)
{
    for (int i = 0; i < LANES; i++) {
        uint32_t bits;
        memcpy(&bits, &biased.lane[i], sizeof bits);
        bits = (bits << 23) + 0x3f800000u;
        memcpy(&biased.lane[i], &bits, sizeof bits);
    }
    return biased;
}

/* The order of every sum: lane i + lane i + 8, then + 4, + 2, + 1. */
static inline float lanes_sum(lanes v)
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v.lane[i] += v.lane[i + half];
    return v.lane[0];
}

/* The sums of four. */
static inline quad lanes_sum_4(const lanes v[4])
{
    return (quad){lanes_sum(v[0]), lanes_sum(v[1]), lanes_sum(v[2]), lanes_sum(v[3])};
}

#endif
