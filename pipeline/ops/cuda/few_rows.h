/* Products of few rows, bound by the weights' bytes: few_rows.cu. For devices of compute capability
 * 9.0 and later, weights of the activations' type and rows of a multiple of 16 bytes. */
#ifndef SS_PIPELINE_OPS_CUDA_FEW_ROWS_H
#define SS_PIPELINE_OPS_CUDA_FEW_ROWS_H

#include "pipeline/ops/cuda/internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By shapes alone. */
bool ss_cuda_few_rows_fit(const struct ss_cuda_ops *ops, const struct ss_dense *dense);

/* DENSE fits, and its rows are not 0. A row's bits depend on that row alone. */
SS_MUST_CHECK enum ss_status ss_cuda_multiply_few(struct ss_cuda_ops *ops, struct ss_stream *stream,
                                                  const struct ss_dense *dense);

#ifdef __cplusplus
}
#endif

#endif
