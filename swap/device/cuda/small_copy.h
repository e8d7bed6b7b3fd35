/* Small copies by a kernel; C and CUDA C++ include it, the latter as extern "C". */
#ifndef SS_SWAP_DEVICE_CUDA_SMALL_COPY_H
#define SS_SWAP_DEVICE_CUDA_SMALL_COPY_H

#include <stdint.h>

#include "swap/device/device.h"

/* Queues COUNT copies on STREAM, a cudaStream_t; returns a cudaError_t. */
int ss_cuda_small_copies(void *stream, const struct ss_small_copy *copies, uint32_t count);

/* Loads the kernel, as its first launch would. */
int ss_cuda_small_copies_load(void);

#endif
