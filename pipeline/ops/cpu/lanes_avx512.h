/* Sixteen fp32 lanes as one AVX-512 register (AVX-512F alone). Contracts: lanes_portable.h. */
#ifndef SS_PIPELINE_OPS_CPU_LANES_AVX512_H
#define SS_PIPELINE_OPS_CPU_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "pipeline/ops/cpu/quad.h"

#define LANES          16
#define LANES_ROW_TILE 6

typedef __m512 lanes;

static inline lanes lanes_set(float value)
{
    return _mm512_set1_ps(value);
}

static inline lanes lanes_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

static inline void lanes_store(float *to, lanes v)
{
    _mm512_storeu_ps(to, v);
}

static inline lanes lanes_load_f16(const uint16_t *from)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
}

static inline lanes lanes_load_bf16(const uint16_t *from)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}

static inline lanes lanes_subtract(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}

static inline lanes lanes_divide(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}

static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}

static inline lanes lanes_first(lanes v, uint32_t count)
{
    return _mm512_maskz_mov_ps((__mmask16)((1u << count) - 1), v);
}

static inline lanes lanes_power_of_two(lanes biased)
{
    __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(biased), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x3f800000)));
}

/* Sums of four registers at once: each step halves the lanes of all of them. */
static inline __m512 lanes_sum_4_spread(const lanes v[4])
{
    enum { LOW = 0x44, HIGH = 0xee, EVEN = 0x88, ODD = 0xdd, SWAP_PAIRS = 0x4e, SWAP_ONES = 0xb1 };
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], LOW),
                              _mm512_shuffle_f32x4(v[0], v[1], HIGH));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], LOW),
                              _mm512_shuffle_f32x4(v[2], v[3], HIGH));
    __m512 four =
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, EVEN), _mm512_shuffle_f32x4(ab, cd, ODD));
    __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, SWAP_PAIRS));
    return _mm512_add_ps(two, _mm512_permute_ps(two, SWAP_ONES));
}

static inline quad lanes_sum_4(const lanes v[4])
{
    __m512 sums = lanes_sum_4_spread(v);
    __m512i firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return (quad)_mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, sums));
}

static inline float lanes_sum(lanes v)
{
    const lanes four[4] = {v, v, v, v};
    return _mm512_cvtss_f32(lanes_sum_4_spread(four));
}

#endif
