/* The inner loop of the matrix product: rows x COLUMN_TILE dot products at once.
 * Included after a lanes_*.h. */
#ifndef SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_H
#define SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_H

#include "pipeline/ops/cpu/lanes_math.h"

#define COLUMN_TILE 4

/* sums[r][c] += the products of row R of IN and WEIGHT[c] over K elements, a multiple of LANES.
 * ROWS is a constant where this is inlined, so that the sums are registers. */
SS_INLINE void sum_products_together(const float *in, size_t in_stride,
                                     const void *const weight[COLUMN_TILE], uint32_t k,
                                     enum ss_dtype dtype, int rows, lanes sums[][COLUMN_TILE])
{
    const void *w0 = weight[0], *w1 = weight[1], *w2 = weight[2], *w3 = weight[3];
    for (uint32_t i = 0; i < k; i += LANES) {
        const lanes w[COLUMN_TILE] = {lanes_load_as(w0, i, dtype), lanes_load_as(w1, i, dtype),
                                      lanes_load_as(w2, i, dtype), lanes_load_as(w3, i, dtype)};
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            lanes x = lanes_load(in + (size_t)r * in_stride + i);
#pragma GCC unroll 4
            for (int c = 0; c < COLUMN_TILE; c++)
                sums[r][c] = lanes_fma(x, w[c], sums[r][c]);
        }
    }
}

#endif
