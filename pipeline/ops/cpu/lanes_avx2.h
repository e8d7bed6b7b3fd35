/* Sixteen fp32 lanes as two AVX registers (AVX2, FMA, F16C). Contracts: lanes_portable.h. */
#ifndef SS_PIPELINE_OPS_CPU_LANES_AVX2_H
#define SS_PIPELINE_OPS_CPU_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "pipeline/ops/cpu/quad.h"

#define LANES          16
#define LANES_ROW_TILE 3

typedef struct {
    __m256 low, high;
} lanes;

static inline lanes lanes_set(float value)
{
    return (lanes){_mm256_set1_ps(value), _mm256_set1_ps(value)};
}

static inline lanes lanes_load(const float *from)
{
    return (lanes){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

static inline void lanes_store(float *to, lanes v)
{
    _mm256_storeu_ps(to, v.low);
    _mm256_storeu_ps(to + 8, v.high);
}

static inline __m256 lanes_half_f16(const uint16_t *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
}

static inline lanes lanes_load_f16(const uint16_t *from)
{
    return (lanes){lanes_half_f16(from), lanes_half_f16(from + 8)};
}

static inline __m256 lanes_half_bf16(const uint16_t *from)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline lanes lanes_load_bf16(const uint16_t *from)
{
    return (lanes){lanes_half_bf16(from), lanes_half_bf16(from + 8)};
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return (lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

static inline lanes lanes_subtract(lanes a, lanes b)
{
    return (lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return (lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

static inline lanes lanes_divide(lanes a, lanes b)
{
    return (lanes){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return (lanes){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return (lanes){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

static inline __m256 lanes_half_first(__m256 half, uint32_t begin, uint32_t count)
{
    __m256i index =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)begin));
    __m256i keep = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), index);
    return _mm256_and_ps(half, _mm256_castsi256_ps(keep));
}

static inline lanes lanes_first(lanes v, uint32_t count)
{
    return (lanes){lanes_half_first(v.low, 0, count), lanes_half_first(v.high, 8, count)};
}

static inline __m256 lanes_half_power_of_two(__m256 biased)
{
    __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(biased), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(0x3f800000)));
}

static inline lanes lanes_power_of_two(lanes biased)
{
    return (lanes){lanes_half_power_of_two(biased.low), lanes_half_power_of_two(biased.high)};
}

static inline __m128 lanes_sum_to_quarter(lanes v)
{
    __m256 eight = _mm256_add_ps(v.low, v.high);
    return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

static inline float lanes_sum(lanes v)
{
    __m128 four = lanes_sum_to_quarter(v);
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline quad lanes_sum_4(const lanes v[4])
{
    __m128 a = lanes_sum_to_quarter(v[0]), b = lanes_sum_to_quarter(v[1]);
    __m128 c = lanes_sum_to_quarter(v[2]), d = lanes_sum_to_quarter(v[3]);
    /* [a02 a13 b02 b13], [c02 c13 d02 d13] */
    __m128 ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    __m128 cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    return (quad)_mm_add_ps(_mm_shuffle_ps(ab, cd, _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 1, 3, 1)));
}

#endif
