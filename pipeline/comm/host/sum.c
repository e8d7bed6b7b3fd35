#include "pipeline/comm/host/sum.h"

#include <stdint.h>
#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of_bf16(uint16_t half)
{
    return float_of_bits((uint32_t)half << 16);
}

static uint16_t bf16_of_float(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u); /* a NaN stays one */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static float float_of_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 31u;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f; /* exact */
    return sign ? -small : small;
}

static uint16_t f16_of_float(float value)
{
    uint32_t bits = bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        /* Below 2^-14 halves are multiples of 2^-24: adding 1/2, whose last place is that, lets the
         * processor round. */
        uint32_t sum = bits_of_float(float_of_bits(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - bits_of_float(0.5f)));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - (112u << 23)) >> 13);
}

static void sum_f32(float *out, const float *parts, int part_count, size_t count)
{
    memcpy(out, parts, count * sizeof *out);
    for (int part = 1; part < part_count; part++) {
        const float *more = parts + (size_t)part * count;
        for (size_t i = 0; i < count; i++)
            out[i] += more[i];
    }
}

static void sum_16(uint16_t *out, const uint16_t *parts, int part_count, size_t count,
                   float (*widen)(uint16_t), uint16_t (*narrow)(float))
{
    for (size_t i = 0; i < count; i++) {
        float sum = widen(parts[i]);
        for (int part = 1; part < part_count; part++)
            sum += widen(parts[(size_t)part * count + i]);
        out[i] = narrow(sum);
    }
}

void ss_sum_in_order(void *out, const void *parts, int part_count, size_t count,
                     enum ss_dtype dtype)
{
    switch (dtype) {
    case SS_F32:
        sum_f32(out, parts, part_count, count);
        break;
    case SS_F16:
        sum_16(out, parts, part_count, count, float_of_f16, f16_of_float);
        break;
    case SS_BF16:
        sum_16(out, parts, part_count, count, float_of_bf16, bf16_of_float);
        break;
    }
}
