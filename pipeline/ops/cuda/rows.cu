/* Operations on rows of activations, element by element. */
#include "pipeline/ops/cuda/elements.cuh"
#include "pipeline/ops/cuda/launch.cuh"

#define THREADS    256
#define BLOCKS_MAX 65535u

static inline unsigned blocks_for(size_t count)
{
    size_t blocks = (count + THREADS - 1) / THREADS;
    return (unsigned)(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX);
}

/* The elements that this thread takes of COUNT. */
#define EACH(i, count)                                     \
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; \
    i < (count);                                           \
    i += (size_t)gridDim.x * THREADS

template <typename T>
static __global__ void add(T *out, const sum_of<T> *in, size_t count, unsigned columns,
                           struct weights bias)
{
    let_next_begin();
    await_earlier();
    for (EACH(i, count)) {
        float value = widen(out[i]) + widen(in[i]);
        if (bias.data)
            value += bias.at(i % columns);
        out[i] = narrow<T>(value);
    }
}

template <typename T>
static __global__ void silu_multiply(T *out, const sum_of<T> *in, size_t count, unsigned columns)
{
    for (EACH(i, count)) {
        size_t from = i / columns * 2 * columns + i % columns;
        out[i] = narrow<T>(gate_by(widen(in[from]), widen(in[from + columns])));
    }
}

template <typename T>
static __global__ void rotate(T *out, const sum_of<T> *in, const int *positions,
                              const float *frequencies, unsigned turned, unsigned width,
                              unsigned half)
{
    out += (size_t)blockIdx.x * width;
    in += (size_t)blockIdx.x * width;
    let_next_begin();
    await_earlier();
    for (unsigned i = threadIdx.x; i < turned * half; i += THREADS) {
        unsigned a_at = i / half * 2 * half + i % half, b_at = a_at + half;
        float sine, cosine;
        sincosf((float)positions[blockIdx.x] * frequencies[i % half], &sine, &cosine);
        float a = widen(in[a_at]), b = widen(in[b_at]);
        out[a_at] = narrow<T>(a * cosine - b * sine);
        out[b_at] = narrow<T>(b * cosine + a * sine);
    }
    for (unsigned i = turned * 2 * half + threadIdx.x; i < width; i += THREADS)
        out[i] = narrow<T>(widen(in[i]));
}

template <typename T>
static __global__ void gather_rows(T *out, const T *in, const int *index, size_t count,
                                   unsigned columns)
{
    let_next_begin();
    await_earlier();
    for (EACH(i, count))
        out[i] = in[(size_t)index[i / columns] * columns + i % columns];
}

template <typename To, typename From>
static __global__ void convert(To *to, const From *from, size_t count)
{
    for (EACH(i, count))
        to[i] = narrow<To>(widen(from[i]));
}

template <typename To, typename From>
static __global__ void finish(To *out, const From *in, size_t count, unsigned columns,
                              struct weights bias, enum ss_activation activation)
{
    for (EACH(i, count)) {
        float value = widen(in[i]);
        if (bias.data)
            value += bias.at(i % columns);
        out[i] = narrow<To>(activate(value, activation));
    }
}

extern "C" enum ss_status ss_cuda_add(struct ss_ops *ops, struct ss_stream *stream,
                                      ss_device_address out, ss_device_address in, uint32_t rows,
                                      uint32_t columns, const struct ss_weight *bias)
{
    size_t count = (size_t)rows * columns;
    if (count == 0)
        return SS_OK;
    return launch_by_type(ops, "add", [&](auto type) {
        using T = decltype(type);
        launch_early(add<T>, blocks_for(count), THREADS, 0, native(stream), (T *)out,
                     (const sum_of<T> *)in, count, columns, weights_of(bias));
    });
}

extern "C" enum ss_status ss_cuda_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                                ss_device_address out, ss_device_address in,
                                                uint32_t rows, uint32_t columns)
{
    size_t count = (size_t)rows * columns;
    if (count == 0)
        return SS_OK;
    return launch_by_type(ops, "silu_multiply", [&](auto type) {
        using T = decltype(type);
        silu_multiply<T><<<blocks_for(count), THREADS, 0, native(stream)>>>(
            (T *)out, (const sum_of<T> *)in, count, columns);
    });
}

extern "C" enum ss_status ss_cuda_rotate(struct ss_ops *ops, struct ss_stream *stream,
                                         const struct ss_step *step, ss_device_address out,
                                         ss_device_address in, uint32_t heads, uint32_t kv_heads,
                                         uint32_t head_dim, ss_device_address frequencies)
{
    if (step->rows == 0)
        return SS_OK;
    return launch_by_type(ops, "rotate", [&](auto type) {
        using T = decltype(type);
        launch_early(rotate<T>, step->rows, THREADS, 0, native(stream), (T *)out,
                     (const sum_of<T> *)in, (const int *)step->positions,
                     (const float *)frequencies, heads + kv_heads,
                     (heads + 2 * kv_heads) * head_dim, head_dim / 2);
    });
}

extern "C" enum ss_status ss_cuda_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                              ss_device_address out, ss_device_address in,
                                              ss_device_address index, uint32_t count,
                                              uint32_t columns)
{
    size_t elements = (size_t)count * columns;
    if (elements == 0)
        return SS_OK;
    return launch_by_type(ops, "gather_rows", [&](auto type) {
        using T = decltype(type);
        launch_early(gather_rows<T>, blocks_for(elements), THREADS, 0, native(stream), (T *)out,
                     (const T *)in, (const int *)index, elements, columns);
    });
}

extern "C" enum ss_status ss_cuda_convert(struct ss_ops *ops, struct ss_stream *stream,
                                          ss_device_address to, ss_device_address from,
                                          size_t count, enum ss_dtype dtype)
{
    return launch_by_type(ops, "convert", [&](auto type) {
        using T = decltype(type);
        unsigned blocks = blocks_for(count);
        cudaStream_t s = native(stream);
        if (dtype == SS_F32)
            convert<float, T><<<blocks, THREADS, 0, s>>>((float *)to, (const T *)from, count);
        else if (dtype == SS_F16)
            convert<__half, T><<<blocks, THREADS, 0, s>>>((__half *)to, (const T *)from, count);
        else
            convert<__nv_bfloat16, T>
                <<<blocks, THREADS, 0, s>>>((__nv_bfloat16 *)to, (const T *)from, count);
    });
}

extern "C" enum ss_status ss_cuda_finish(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address out, ss_device_address in, uint32_t rows,
                                         uint32_t columns, const struct ss_weight *bias,
                                         enum ss_activation activation, enum ss_dtype dtype)
{
    size_t count = (size_t)rows * columns;
    return launch_by_type(ops, "finish", [&](auto type) {
        using T = decltype(type);
        unsigned blocks = blocks_for(count);
        cudaStream_t s = native(stream);
        struct weights vector = weights_of(bias);
        if (dtype == SS_F32)
            finish<float, float><<<blocks, THREADS, 0, s>>>((float *)out, (const float *)in, count,
                                                            columns, vector, activation);
        else if (in == out)
            finish<T, T><<<blocks, THREADS, 0, s>>>((T *)out, (const T *)in, count, columns, vector,
                                                    activation);
        else
            finish<T, float><<<blocks, THREADS, 0, s>>>((T *)out, (const float *)in, count, columns,
                                                        vector, activation);
    });
}

template <typename T> static int load_for(void)
{
    return load_kernels(add<T>, silu_multiply<T>, rotate<T>, gather_rows<T>, convert<float, T>,
                        convert<__half, T>, convert<__nv_bfloat16, T>, finish<T, T>,
                        finish<T, float>, finish<float, float>);
}

extern "C" int ss_cuda_load_rows(struct ss_cuda_ops *)
{
    int code = load_for<__half>();
    return code ? code : load_for<__nv_bfloat16>();
}
