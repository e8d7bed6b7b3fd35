#include <cuda_runtime.h>

extern "C" {
#include "pipeline/comm/nccl/carry.h"
}

#define THREADS    256
#define BLOCKS_MAX 32u
#define EACH_BYTES ((size_t)32 << 10) /* of a block, before there are more */

template <typename T>
static __device__ void move(const struct ss_carry &carry, size_t first, size_t step)
{
    for (size_t i = first; i < carry.bytes / sizeof(T); i += step)
        /* A peer may have written it since the last copy: only its memory knows. */
        ((T *)carry.to)[i] = __ldcv((const T *)carry.from + i);
}

static __device__ void await(const struct ss_carry &carry)
{
    unsigned long long now;
    do
        asm volatile("ld.acquire.sys.global.u64 %0, [%1];"
                     : "=l"(now)
                     : "l"(carry.awaited_word)
                     : "memory");
    while (now < carry.awaited);
}

static __device__ void tell(const struct ss_carry &carry)
{
    asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(carry.word), "l"(carry.value)
                 : "memory");
}

static __global__ void carry_all(const struct ss_carry carry)
{
    size_t first = (size_t)blockIdx.x * THREADS + threadIdx.x, step = (size_t)gridDim.x * THREADS;
    if (carry.awaited_word && threadIdx.x == 0)
        await(carry);
    __syncthreads();
    if ((carry.to | carry.from | carry.bytes) % 16 == 0)
        move<uint4>(carry, first, step);
    else if ((carry.to | carry.from | carry.bytes) % 4 == 0)
        move<unsigned>(carry, first, step);
    else
        move<unsigned char>(carry, first, step);
    __threadfence_system();
    __syncthreads();
    if (threadIdx.x)
        return;
    if (gridDim.x > 1) {
        unsigned *counter = (unsigned *)carry.counter;
        if (atomicAdd(counter, 1u) != gridDim.x - 1)
            return;
        *counter = 0;
        __threadfence_system();
    }
    tell(carry);
}

extern "C" int ss_nccl_carry(void *stream, const struct ss_carry *carry)
{
    size_t blocks = (carry->bytes + EACH_BYTES - 1) / EACH_BYTES;
    blocks = blocks < 1 ? 1 : blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX;
    carry_all<<<(unsigned)blocks, THREADS, 0, (cudaStream_t)stream>>>(*carry);
    return (int)cudaGetLastError();
}

extern "C" int ss_nccl_carry_load(void)
{
    cudaFuncAttributes attributes;
    return (int)cudaFuncGetAttributes(&attributes, (const void *)carry_all);
}
