#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

extern "C" {
#include "pipeline/comm/nccl/sum.h"
}

#define THREADS    256
#define BLOCKS_MAX 1024u

template <typename T> static __global__ void sum(T *to, const T *parts, int ranks, size_t count)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count;
         i += (size_t)gridDim.x * THREADS) {
        float total = (float)parts[i];
        for (int rank = 1; rank < ranks; rank++)
            total += (float)parts[rank * count + i];
        to[i] = (T)total;
    }
}

extern "C" int ss_nccl_sum(void *stream, void *to, const void *parts, int ranks, size_t count,
                           enum ss_dtype dtype)
{
    size_t blocks = (count + THREADS - 1) / THREADS;
    unsigned grid = (unsigned)(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX);
    cudaStream_t s = (cudaStream_t)stream;
    if (count == 0)
        return cudaSuccess;
    if (dtype == SS_F32)
        sum<<<grid, THREADS, 0, s>>>((float *)to, (const float *)parts, ranks, count);
    else if (dtype == SS_F16)
        sum<<<grid, THREADS, 0, s>>>((__half *)to, (const __half *)parts, ranks, count);
    else
        sum<<<grid, THREADS, 0, s>>>((__nv_bfloat16 *)to, (const __nv_bfloat16 *)parts, ranks,
                                     count);
    return (int)cudaGetLastError();
}

extern "C" int ss_nccl_sum_load(void)
{
    cudaFuncAttributes attributes;
    cudaError_t code = cudaFuncGetAttributes(&attributes, (const void *)sum<float>);
    if (code == cudaSuccess)
        code = cudaFuncGetAttributes(&attributes, (const void *)sum<__half>);
    if (code == cudaSuccess)
        code = cudaFuncGetAttributes(&attributes, (const void *)sum<__nv_bfloat16>);
    return (int)code;
}
