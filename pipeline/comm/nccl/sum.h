/* The ordered sum of a tensor-parallel set; C and CUDA C++ include it, the latter as extern "C". */
#ifndef SS_PIPELINE_COMM_NCCL_SUM_H
#define SS_PIPELINE_COMM_NCCL_SUM_H

#include <stddef.h>

#include "swap/image.h"

/* to[count] = sum of parts[ranks][count], in rank order, in fp32. STREAM is a cudaStream_t; returns
 * a cudaError_t. */
int ss_nccl_sum(void *stream, void *to, const void *parts, int ranks, size_t count,
                enum ss_dtype dtype);

/* Loads the kernels, as their first launch would. */
int ss_nccl_sum_load(void);

#endif
