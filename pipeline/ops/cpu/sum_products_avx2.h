/* sum_products() for lanes of two registers: more than one row passes twice over the elements, once
 * for the lower lanes and once for the upper, so that a tile of 3 x 4 sums fits the sixteen
 * registers. The second pass finds the tile in the first-level cache. */
#ifndef SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_AVX2_H
#define SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_AVX2_H

#include "pipeline/ops/cpu/lanes_avx2.h"
#include "pipeline/ops/cpu/sum_products.h"

SS_INLINE __m256 load_half_as(const void *base, size_t index, enum ss_dtype dtype)
{
    switch (dtype) {
    case SS_F16:
        return lanes_half_f16((const uint16_t *)base + index);
    case SS_BF16:
        return lanes_half_bf16((const uint16_t *)base + index);
    case SS_F32:
        break;
    }
    return _mm256_loadu_ps((const float *)base + index);
}

SS_INLINE void sum_products_half(const float *in, size_t in_stride,
                                 const void *const weight[COLUMN_TILE], uint32_t first, uint32_t k,
                                 enum ss_dtype dtype, int rows,
                                 __m256 sums[LANES_ROW_TILE][COLUMN_TILE])
{
    const void *w0 = weight[0], *w1 = weight[1], *w2 = weight[2], *w3 = weight[3];
    for (uint32_t i = first; i < k; i += LANES) {
        __m256 x[LANES_ROW_TILE];
#pragma GCC unroll 3
        for (int r = 0; r < rows; r++)
            x[r] = _mm256_loadu_ps(in + (size_t)r * in_stride + i);
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++) {
            const void *base = c == 0 ? w0 : c == 1 ? w1 : c == 2 ? w2 : w3;
            __m256 w = load_half_as(base, i, dtype);
#pragma GCC unroll 3
            for (int r = 0; r < rows; r++)
                sums[r][c] = _mm256_fmadd_ps(x[r], w, sums[r][c]);
        }
    }
}

SS_INLINE void sum_products(const float *in, size_t in_stride,
                            const void *const weight[COLUMN_TILE], uint32_t k, enum ss_dtype dtype,
                            int rows, lanes sums[][COLUMN_TILE])
{
    if (rows == 1) {
        sum_products_together(in, in_stride, weight, k, dtype, rows, sums);
        return;
    }
    __m256 half[LANES_ROW_TILE][COLUMN_TILE];
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++)
            half[r][c] = sums[r][c].low;
    sum_products_half(in, in_stride, weight, 0, k, dtype, rows, half);
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++) {
            sums[r][c].low = half[r][c];
            half[r][c] = sums[r][c].high;
        }
    sum_products_half(in, in_stride, weight, LANES / 2, k, dtype, rows, half);
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_TILE; c++)
            sums[r][c].high = half[r][c];
}

#endif
