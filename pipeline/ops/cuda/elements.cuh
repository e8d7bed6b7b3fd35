/* Elements of activations and weights as kernels see them, and how a kernel is chosen by type. */
#ifndef SS_PIPELINE_OPS_CUDA_ELEMENTS_CUH
#define SS_PIPELINE_OPS_CUDA_ELEMENTS_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

extern "C" {
#include "pipeline/ops/cuda/internal.h"
}

static __device__ inline float widen(float value)
{
    return value;
}

static __device__ inline float widen(__half value)
{
    return __half2float(value);
}

static __device__ inline float widen(__nv_bfloat16 value)
{
    return __bfloat162float(value);
}

template <typename T> static __device__ inline T narrow(float value);

template <> __device__ inline float narrow<float>(float value)
{
    return value;
}

template <> __device__ inline __half narrow<__half>(float value)
{
    return __float2half_rn(value);
}

template <> __device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float value)
{
    return __float2bfloat16_rn(value);
}

/* WIDTH elements as one load: eight of 16 bits, or one where sizes allow no more. */
template <typename T, int WIDTH> struct alignas(WIDTH * sizeof(T)) vector_of {
    T element[WIDTH];
};

/* Weights of any stored type; the branch is the same for a whole launch. */
struct weights {
    const void *data; /* null: none */
    enum ss_dtype dtype;

    __device__ float at(size_t i) const
    {
        if (dtype == SS_F16)
            return widen(((const __half *)data)[i]);
        if (dtype == SS_BF16)
            return widen(((const __nv_bfloat16 *)data)[i]);
        return ((const float *)data)[i];
    }
};

template <typename T> struct dtype_of;
template <> struct dtype_of<__half> {
    static const enum ss_dtype value = SS_F16;
};
template <> struct dtype_of<__nv_bfloat16> {
    static const enum ss_dtype value = SS_BF16;
};

/* What unfinished products have in place of T. */
template <typename T> struct sum_type {
    using type = T;
};
template <> struct sum_type<__nv_bfloat16> {
    using type = float;
};
template <typename T> using sum_of = typename sum_type<T>::type;

/* Eight weights from element C on, a multiple of eight; NONE where there are none. One load where
 * they have the activations' type. */
template <typename T>
static __device__ inline void load_weights(float *to, const struct weights &from, size_t c,
                                           float none)
{
    if (from.data && from.dtype == dtype_of<T>::value) {
        struct vector_of<T, 8> part = *(const struct vector_of<T, 8> *)((const T *)from.data + c);
#pragma unroll
        for (int i = 0; i < 8; i++)
            to[i] = widen(part.element[i]);
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++)
            to[i] = from.data ? from.at(c + i) : none;
    }
}

/* Norms round alike wherever they are computed: the compiler has no choice here. */
static __device__ inline float add_square(float sum, float value)
{
    return __fmaf_rn(value, value, sum);
}

static __device__ inline float normalised(float value, float mean, float scale, float weight,
                                          float bias)
{
    return __fmaf_rn(__fmul_rn(__fsub_rn(value, mean), scale), weight, bias);
}

static __device__ inline float activate(float value, enum ss_activation activation)
{
    if (activation == SS_ACTIVATION_RELU)
        return fmaxf(value, 0.0f);
    if (activation == SS_ACTIVATION_GELU)
        return 0.5f * value * (1.0f + erff(value * 0.70710678118654752f));
    return value;
}

/* silu(gate) * value */
static __device__ inline float gate_by(float gate, float value)
{
    return gate / (1.0f + expf(-gate)) * value;
}

static inline struct weights weights_of(const struct ss_weight *weight)
{
    struct weights none = {0, SS_F32};
    struct weights some = {weight ? (const void *)weight->address : 0,
                           weight ? weight->dtype : SS_F32};
    return weight ? some : none;
}

static inline cudaStream_t native(struct ss_stream *stream)
{
    return (cudaStream_t)ss_cuda_stream_native(stream);
}

/* Calls LAUNCH with a value of the instance's activation type, and says what became of it. */
template <typename Launch>
static inline enum ss_status launch_by_type(struct ss_ops *ops, const char *call, Launch launch)
{
    enum ss_status status = ss_cuda_begin(ops->device, call);
    if (status)
        return status;
    if (ops->table->activation_dtype == SS_F16)
        launch(__half());
    else
        launch(__nv_bfloat16());
    return ss_cuda_check(ops->device, (int)cudaGetLastError(), call);
}

/* The first launch of a kernel would load it; asking for its attributes does so too. */
template <typename... Kernels> static inline int load_kernels(Kernels... kernels)
{
    cudaFuncAttributes attributes;
    cudaError_t codes[] = {cudaFuncGetAttributes(&attributes, (const void *)kernels)...};
    for (cudaError_t code : codes)
        if (code != cudaSuccess)
            return (int)code;
    return cudaSuccess;
}

/* Zeroes memory that no stream uses yet. */
static inline int zero(ss_device_address address, size_t bytes)
{
    cudaError_t code = cudaMemset((void *)address, 0, bytes);
    return (int)(code == cudaSuccess ? cudaStreamSynchronize(0) : code);
}

/* Sum over a block of a whole number of warps, given to all its threads; the order is fixed. */
static __device__ inline float block_sum(float value, float *shared)
{
    for (int step = 16; step; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = value;
    __syncthreads();
    float total = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; warp++)
        total += shared[warp];
    return total;
}

static __device__ inline float block_max(float value, float *shared)
{
    for (int step = 16; step; step /= 2)
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = value;
    __syncthreads();
    float most = shared[0];
    for (unsigned warp = 1; warp < blockDim.x / 32; warp++)
        most = fmaxf(most, shared[warp]);
    return most;
}

#endif
