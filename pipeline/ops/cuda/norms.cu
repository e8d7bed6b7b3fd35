/* Norms: one block a row, mean and variance in two passes: over registers where the row fits and
 * its length allows wide loads, else over what the caches hold. */
#include "pipeline/ops/cuda/elements.cuh"
#include "pipeline/ops/cuda/launch.cuh"

#define THREADS      256
#define WIDE_THREADS 512
#define WIDTH        8
#define VECTORS      4 /* of WIDTH elements, that a thread holds */

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
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        squares = add_square(squares, widen(from[c]) - mean);
    float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)columns + epsilon);
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        to[c] = narrow<T>(normalised(widen(from[c]), mean, scale, weight.data ? weight.at(c) : 1,
                                     bias.data ? bias.at(c) : 0));
}

template <typename T>
static __global__ void rms_norm(T *out, const T *in, unsigned columns, struct weights weight,
                                float epsilon)
{
    __shared__ float shared[THREADS / 32];
    const T *from = in + (size_t)blockIdx.x * columns;
    T *to = out + (size_t)blockIdx.x * columns;
    float squares = 0;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        squares = add_square(squares, widen(from[c]));
    float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)columns + epsilon);
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        to[c] = narrow<T>(normalised(widen(from[c]), 0, scale, weight.at(c), 0));
}

template <typename T, bool CENTRED>
static __global__ void __launch_bounds__(WIDE_THREADS)
    norm_wide(T *out, const T *in, unsigned columns, struct weights weight, struct weights bias,
              float epsilon)
{
    __shared__ float shared[WIDE_THREADS / 32];
    float held[VECTORS][WIDTH] = {}, sum = 0, squares = 0, mean = 0;
    in += (size_t)blockIdx.x * columns;
    out += (size_t)blockIdx.x * columns;
    let_next_begin();
    await_earlier();
#pragma unroll
    for (unsigned v = 0; v < VECTORS; v++) {
        unsigned c = (v * WIDE_THREADS + threadIdx.x) * WIDTH;
        if (c >= columns)
            continue;
        struct vector_of<T, WIDTH> part = *(const struct vector_of<T, WIDTH> *)(in + c);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            sum += held[v][i] = widen(part.element[i]);
    }
    if (CENTRED)
        mean = block_sum(sum, shared) / (float)columns;
#pragma unroll
    for (unsigned v = 0; v < VECTORS; v++)
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            if ((v * WIDE_THREADS + threadIdx.x) * WIDTH < columns)
                squares = add_square(squares, held[v][i] - mean);
    float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)columns + epsilon);
#pragma unroll
    for (unsigned v = 0; v < VECTORS; v++) {
        unsigned c = (v * WIDE_THREADS + threadIdx.x) * WIDTH;
        struct vector_of<T, WIDTH> part;
        float weights[WIDTH], biases[WIDTH];
        if (c >= columns)
            continue;
        load_weights<T>(weights, weight, c, 1);
        load_weights<T>(biases, bias, c, 0);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            part.element[i] = narrow<T>(normalised(held[v][i], mean, scale, weights[i], biases[i]));
        *(struct vector_of<T, WIDTH> *)(out + c) = part;
    }
}

static_assert(SS_CUDA_WIDE_NORM_COLUMNS_MAX == WIDE_THREADS * WIDTH * VECTORS, "");

static inline bool fits_wide(uint32_t columns)
{
    return columns % WIDTH == 0 && columns <= SS_CUDA_WIDE_NORM_COLUMNS_MAX;
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
        if (fits_wide(columns))
            launch_early(norm_wide<T, true>, rows, WIDE_THREADS, 0, native(stream), (T *)out,
                         (const T *)in, columns, weights_of(weight), weights_of(bias), epsilon);
        else
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
        if (fits_wide(columns))
            launch_early(norm_wide<T, false>, rows, WIDE_THREADS, 0, native(stream), (T *)out,
                         (const T *)in, columns, weights_of(weight), weights_of(0), epsilon);
        else
            rms_norm<T><<<rows, THREADS, 0, native(stream)>>>((T *)out, (const T *)in, columns,
                                                              weights_of(weight), epsilon);
    });
}

extern "C" int ss_cuda_load_norms(struct ss_cuda_ops *)
{
    return load_kernels(norm_wide<__half, true>, norm_wide<__half, false>,
                        norm_wide<__nv_bfloat16, true>, norm_wide<__nv_bfloat16, false>,
                        layer_norm<__half>, layer_norm<__nv_bfloat16>, rms_norm<__half>,
                        rms_norm<__nv_bfloat16>);
}
