#include "swap/convert.h"

#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Elements that go through F32 at once, in the first-level cache. */
#define BATCH 1024

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t narrow_f16(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) /* NaN: made quiet, its payload cut */
        return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x1ff));
    if (size >= 0x477ff000) /* 65520, half a step above the largest, and all beyond */
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) {
        /* Below 2^-14: an F32 at 0.5 has steps of 2^-24, F16's smallest, so that adding rounds. */
        uint32_t rounded = bits_of(from_bits(size) + 0.5f) - bits_of(0.5f);
        return (uint16_t)(sign | rounded);
    }
    uint32_t odd = size >> 13 & 1;
    return (uint16_t)(sign | (size + 0xfff + odd - (112u << 23)) >> 13);
}

static float widen_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, size = half & 0x7fff;
    if (size > 0x7c00)
        return from_bits(sign | 0x7fc00000 | size << 13);
    if (size == 0x7c00)
        return from_bits(sign | 0x7f800000);
    if (size < 0x400)
        return from_bits(sign | bits_of((float)size * 0x1.0p-24f));
    return from_bits(sign | ((size << 13) + (112u << 23)));
}

static uint16_t narrow_bf16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#if defined(__x86_64__)
/* Every processor with AVX2 has F16C, and not every compiler lets one ask for the latter. */
static bool has_f16c(void)
{
    return __builtin_cpu_supports("avx2");
}

__attribute__((target("avx,f16c"))) static size_t narrow_f16_fast(uint16_t *to, const float *from,
                                                                  size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)(to + i), halves);
    }
    return i;
}

__attribute__((target("avx,f16c"))) static size_t widen_f16_fast(float *to, const uint16_t *from,
                                                                 size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
    }
    return i;
}
#else
static bool has_f16c(void)
{
    return false;
}

static size_t narrow_f16_fast(uint16_t *to, const float *from, size_t count)
{
    (void)to, (void)from, (void)count;
    return 0;
}

static size_t widen_f16_fast(float *to, const uint16_t *from, size_t count)
{
    (void)to, (void)from, (void)count;
    return 0;
}
#endif

static void to_f32(float *to, const void *from, enum ss_dtype dtype, size_t count)
{
    const uint16_t *halves = from;
    size_t i = 0;
    if (dtype == SS_F32) {
        memcpy(to, from, count * sizeof *to);
    } else if (dtype == SS_F16) {
        if (has_f16c())
            i = widen_f16_fast(to, halves, count);
        for (; i < count; i++)
            to[i] = widen_f16(halves[i]);
    } else {
        for (; i < count; i++)
            to[i] = from_bits((uint32_t)halves[i] << 16);
    }
}

static void from_f32(void *to, enum ss_dtype dtype, const float *from, size_t count)
{
    uint16_t *halves = to;
    size_t i = 0;
    if (dtype == SS_F32) {
        memcpy(to, from, count * sizeof *from);
    } else if (dtype == SS_F16) {
        if (has_f16c())
            i = narrow_f16_fast(halves, from, count);
        for (; i < count; i++)
            halves[i] = narrow_f16(from[i]);
    } else {
        for (; i < count; i++)
            halves[i] = narrow_bf16(from[i]);
    }
}

void ss_convert(void *to, enum ss_dtype to_dtype, const void *from, enum ss_dtype from_dtype,
                size_t count)
{
    float wide[BATCH];
    if (to_dtype == from_dtype) {
        memcpy(to, from, count * ss_dtype_bytes(to_dtype));
        return;
    }
    if (from_dtype == SS_F32) {
        from_f32(to, to_dtype, from, count);
        return;
    }
    if (to_dtype == SS_F32) {
        to_f32(to, from, from_dtype, count);
        return;
    }
    for (size_t at = 0; at < count; at += BATCH) {
        size_t step = count - at < BATCH ? count - at : BATCH;
        to_f32(wide, (const uint16_t *)from + at, from_dtype, step);
        from_f32((uint16_t *)to + at, to_dtype, wide, step);
    }
}
