/* What products on the tensor cores are made of: copies to shared memory, fragments, and
 * mma.m16n8k16 with sums in fp32 (PTX ISA, "Warp Level Matrix Instructions"). */
#ifndef SS_PIPELINE_OPS_CUDA_MMA_CUH
#define SS_PIPELINE_OPS_CUDA_MMA_CUH

#include "pipeline/ops/cuda/elements.cuh"

static __device__ inline unsigned shared_address(const void *pointer)
{
    return (unsigned)__cvta_generic_to_shared(pointer);
}

/* 16 bytes, or zeros where BYTES is 0. */
static __device__ inline void copy_16(void *to, const void *from, int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(bytes));
}

static __device__ inline void load_matrices(unsigned *out, const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row)));
}

static __device__ inline void load_transposed(unsigned *out, const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(row)));
}

#define SS_CUDA_MULTIPLY(type)                                                                 \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, " \
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                      \
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

static __device__ inline void multiply(float *sum, const unsigned *a, const unsigned *b, __half)
{
    SS_CUDA_MULTIPLY("f16");
}

static __device__ inline void multiply(float *sum, const unsigned *a, const unsigned *b,
                                       __nv_bfloat16)
{
    SS_CUDA_MULTIPLY("bf16");
}

template <typename T> static __device__ inline unsigned pack(float low, float high)
{
    union {
        T element[2];
        unsigned word;
    } pair;
    pair.element[0] = narrow<T>(low);
    pair.element[1] = narrow<T>(high);
    return pair.word;
}

static __device__ inline float quad_max(float value)
{
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

static __device__ inline float quad_sum(float value)
{
    value += __shfl_xor_sync(0xffffffffu, value, 1);
    return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

#endif
