#include <cuda_runtime.h>

extern "C" {
#include "swap/device/cuda/small_copy.h"
}

#define THREADS    256
#define BLOCKS_MAX 16u

struct copies {
    struct ss_small_copy copy[SS_SMALL_COPIES_MAX];
};

template <typename T>
static __device__ void move(const struct ss_small_copy &copy, unsigned first, unsigned step)
{
    for (unsigned i = first; i < copy.bytes / sizeof(T); i += step)
        /* The host may have written it again since the last step: no cache may answer. */
        ((T *)copy.to)[i] = __ldcv((const T *)copy.from + i);
}

/* One row of blocks for each copy. */
static __global__ void move_all(const struct copies copies)
{
    const struct ss_small_copy copy = copies.copy[blockIdx.y];
    unsigned first = blockIdx.x * THREADS + threadIdx.x, step = gridDim.x * THREADS;
    if ((copy.to | copy.from | copy.bytes) % 16 == 0)
        move<uint4>(copy, first, step);
    else if ((copy.to | copy.from | copy.bytes) % 4 == 0)
        move<unsigned>(copy, first, step);
    else
        move<unsigned char>(copy, first, step);
}

extern "C" int ss_cuda_small_copies(void *stream, const struct ss_small_copy *copies,
                                    uint32_t count)
{
    struct copies all = {};
    unsigned most = 0;
    for (uint32_t i = 0; i < count; i++) {
        all.copy[i] = copies[i];
        most = copies[i].bytes > most ? copies[i].bytes : most;
    }
    if (most == 0)
        return cudaSuccess;
    unsigned blocks = (most + 16 * THREADS - 1) / (16 * THREADS);
    dim3 grid(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX, count);
    move_all<<<grid, THREADS, 0, (cudaStream_t)stream>>>(all);
    return (int)cudaGetLastError();
}

extern "C" int ss_cuda_small_copies_load(void)
{
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, (const void *)move_all);
}
