/* sum_products() for lanes of one register, or of none. */
#ifndef SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_ONE_H
#define SS_PIPELINE_OPS_CPU_SUM_PRODUCTS_ONE_H

#include "pipeline/ops/cpu/sum_products.h"

SS_INLINE void sum_products(const float *in, size_t in_stride,
                            const void *const weight[COLUMN_TILE], uint32_t k, enum ss_dtype dtype,
                            int rows, lanes sums[][COLUMN_TILE])
{
    sum_products_together(in, in_stride, weight, k, dtype, rows, sums);
}

#endif
