/* Norms: one block a row, mean and variance in two passes over what the caches hold. */
#include "pipeline/ops/cuda/elements.cuh"

#define THREADS 256

template <typename T>
static __global__ void layer_norm(T *out, const T *in, unsigned columns, struct weights weight,
                                  struct weights bias, float epsilon)
{
    __shared__ float shared[THREADS / 32];
    const T *from = in + (size_t)blockIdx.x * columns;
    T *to = out + (size_t)blockIdx.x * columns;
    float sum = 0, squares = 0;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        sum += widen(from[c]);
    float mean = block_sum(sum, shared) / (float)columns;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS) {
        float centred = widen(from[c]) - mean;
        squares += centred * centred;
    }
    float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)columns + epsilon);
    for (unsigned c = threadIdx.x; c < columns; c += THREADS) {
        float value = (widen(from[c]) - mean) * scale;
        if (weight.data)
            value *= weight.at(c);
        if (bias.data)
            value += bias.at(c);
        to[c] = narrow<T>(value);
    }
}

template <typename T>
static __global__ void rms_norm(T *out, const T *in, unsigned columns, struct weights weight,
                                float epsilon)
{
    __shared__ float shared[THREADS / 32];
    const T *from = in + (size_t)blockIdx.x * columns;
    T *to = out + (size_t)blockIdx.x * columns;
    float squares = 0;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS) {
        float value = widen(from[c]);
        squares += value * value;
    }
    float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)columns + epsilon);
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        to[c] = narrow<T>(widen(from[c]) * scale * weight.at(c));
}

extern "C" enum ss_status ss_cuda_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                             ss_device_address out, ss_device_address in,
                                             uint32_t rows, uint32_t columns,
                                             const struct ss_weight *weight,
                                             const struct ss_weight *bias, float epsilon)
{
    if (rows == 0)
        return SS_OK;
    return launch_by_type(ops, "layer_norm", [&](auto type) {
        using T = decltype(type);
        layer_norm<T><<<rows, THREADS, 0, native(stream)>>>(
            (T *)out, (const T *)in, columns, weights_of(weight), weights_of(bias), epsilon);
    });
}

extern "C" enum ss_status ss_cuda_rms_norm(struct ss_ops *ops, struct ss_stream *stream,
                                           ss_device_address out, ss_device_address in,
                                           uint32_t rows, uint32_t columns,
                                           const struct ss_weight *weight, float epsilon)
{
    if (rows == 0)
        return SS_OK;
    return launch_by_type(ops, "rms_norm", [&](auto type) {
        using T = decltype(type);
        rms_norm<T><<<rows, THREADS, 0, native(stream)>>>((T *)out, (const T *)in, columns,
                                                          weights_of(weight), epsilon);
    });
}

extern "C" int ss_cuda_load_norms(void)
{
    return load_kernels(layer_norm<__half>, layer_norm<__nv_bfloat16>, rms_norm<__half>,
                        rms_norm<__nv_bfloat16>);
}
