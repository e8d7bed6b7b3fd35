/* What the kernels share on top of any lanes_*.h: weights of any type, parts of vectors, exp.
 * Included after a lanes_*.h. */
#ifndef SS_PIPELINE_OPS_CPU_LANES_MATH_H
#define SS_PIPELINE_OPS_CPU_LANES_MATH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "swap/image.h"

#define SS_INLINE static inline __attribute__((always_inline))

/* COUNT < LANES elements; the lanes past them are +0. */
SS_INLINE lanes lanes_load_part(const float *from, uint32_t count)
{
    float padded[LANES] = {0};
    memcpy(padded, from, count * sizeof *from);
    return lanes_load(padded);
}

SS_INLINE void lanes_store_part(float *to, lanes v, uint32_t count)
{
    float all[LANES];
    lanes_store(all, v);
    memcpy(to, all, count * sizeof *to);
}

/* Elements [INDEX, INDEX + LANES) of weights of type DTYPE. */
SS_INLINE lanes lanes_load_as(const void *base, size_t index, enum ss_dtype dtype)
{
    switch (dtype) {
    case SS_F16:
        return lanes_load_f16((const uint16_t *)base + index);
    case SS_BF16:
        return lanes_load_bf16((const uint16_t *)base + index);
    case SS_F32:
        break;
    }
    return lanes_load((const float *)base + index);
}

SS_INLINE lanes lanes_load_part_as(const void *base, size_t index, uint32_t count,
                                   enum ss_dtype dtype)
{
    uint16_t padded[LANES] = {0};
    switch (dtype) {
    case SS_F16:
        memcpy(padded, (const uint16_t *)base + index, count * sizeof *padded);
        return lanes_load_f16(padded);
    case SS_BF16:
        memcpy(padded, (const uint16_t *)base + index, count * sizeof *padded);
        return lanes_load_bf16(padded);
    case SS_F32:
        break;
    }
    return lanes_load_part((const float *)base + index, count);
}

/* The lanes of a vector of LENGTH elements from INDEX on, zero past its end. */
SS_INLINE lanes lanes_load_within(const float *from, uint32_t index, uint32_t length)
{
    return index + LANES <= length ? lanes_load(from + index)
                                   : lanes_load_part(from + index, length - index);
}

SS_INLINE lanes lanes_load_within_as(const void *base, uint32_t index, uint32_t length,
                                     enum ss_dtype dtype)
{
    return index + LANES <= length ? lanes_load_as(base, index, dtype)
                                   : lanes_load_part_as(base, index, length - index, dtype);
}

SS_INLINE void lanes_store_within(float *to, uint32_t index, uint32_t length, lanes v)
{
    if (index + LANES <= length)
        lanes_store(to + index, v);
    else
        lanes_store_part(to + index, v, length - index);
}

/* e^x to about 1 ulp, x clamped to [-87, 88] (beyond them e^x is no normal number). x = n ln 2 + r
 * with |r| <= ln 2 / 2 (ln 2 in two parts, so that r is exact enough), e^r by its Taylor series to
 * r^7, whose rest is under 2^-27. Not a number stays so. */
SS_INLINE lanes lanes_exp(lanes x)
{
    const lanes round = lanes_set(0x1.8p23f);
    x = lanes_min(lanes_set(88.0f), lanes_max(lanes_set(-87.0f), x));
    lanes biased = lanes_fma(x, lanes_set(0x1.715476p0f), round);
    lanes n = lanes_subtract(biased, round);
    lanes r = lanes_fma(n, lanes_set(-0x1.62e4p-1f), x);
    r = lanes_fma(n, lanes_set(-0x1.7f7d1cp-20f), r);
    lanes p = lanes_set(1.0f / 5040);
    p = lanes_fma(p, r, lanes_set(1.0f / 720));
    p = lanes_fma(p, r, lanes_set(1.0f / 120));
    p = lanes_fma(p, r, lanes_set(1.0f / 24));
    p = lanes_fma(p, r, lanes_set(1.0f / 6));
    p = lanes_fma(p, r, lanes_set(0.5f));
    p = lanes_fma(p, r, lanes_set(1.0f));
    p = lanes_fma(p, r, lanes_set(1.0f));
    return lanes_multiply(p, lanes_power_of_two(biased));
}

#endif
