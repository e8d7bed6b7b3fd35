/* Causal attention over paged keys and values, row by row: one block takes one query head of one
 * row, in spans of positions from 0 on, with the running softmax of Milakov and Gimelshein ("Online
 * normalizer calculation for softmax", arXiv 1805.02867). The order of every sum depends on the
 * row's position alone, and memory does not grow with the context. */
#include "pipeline/ops/cuda/attention.cuh"

#define THREADS 256
#define SPAN    THREADS /* positions at a time: a thread scores one */

template <typename T> static __global__ void write_kv(const T *qkv, const struct context c)
{
    unsigned row = blockIdx.x, width = c.kv.kv_heads * c.kv.head_dim;
    if (c.positions[row] < 0)
        return;
    const T *keys =
        qkv + (size_t)row * (c.heads * c.kv.head_dim + 2 * width) + (size_t)c.heads * c.kv.head_dim;
    T *to = place_of<T>(c, (unsigned)c.sequence_of[row], (unsigned)c.positions[row]);
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);
    unsigned i = blockIdx.y * THREADS + threadIdx.x;
    if (i < width) {
        to[i] = keys[i];
        to[values_at + i] = keys[width + i];
    }
}

template <typename T, int WIDTH>
static __device__ float dot(const float *query, const T *key, unsigned dim)
{
    float sum = 0;
#pragma unroll 8
    for (unsigned d = 0; d < dim; d += WIDTH) {
        struct vector_of<T, WIDTH> part = *(const struct vector_of<T, WIDTH> *)(key + d);
#pragma unroll
        for (int i = 0; i < WIDTH; i++)
            sum += query[d + i] * widen(part.element[i]);
    }
    return sum;
}

/* A thread's part of the sum over values: WIDTH dimensions of every GROUPS-th position. Loads do
 * not depend on each other, so that several are under way. */
template <typename T, int WIDTH> struct share {
    unsigned first, group, groups;
    float sum[WIDTH];

    __device__ void add(const float *probability, const T *const *values, unsigned count)
    {
        if (group >= groups)
            return;
#pragma unroll 8
        for (unsigned i = group; i < count; i += groups) {
            struct vector_of<T, WIDTH> part =
                *(const struct vector_of<T, WIDTH> *)(values[i] + first);
#pragma unroll
            for (int k = 0; k < WIDTH; k++)
                sum[k] += probability[i] * widen(part.element[k]);
        }
    }
};

template <typename T, int WIDTH>
static __global__ void attend(T *out, const T *qkv, const struct context c)
{
    __shared__ float query[SS_CUDA_HEAD_DIM_MAX], probability[SPAN], shared[THREADS / 32];
    __shared__ const T *values[SPAN];
    __shared__ float parts[THREADS * WIDTH];
    unsigned row = blockIdx.x, head = blockIdx.y, dim = c.kv.head_dim, thread = threadIdx.x;
    unsigned kv_head = head / (c.heads / c.kv.kv_heads), across = dim / WIDTH;
    unsigned sequence = (unsigned)c.sequence_of[row], length = (unsigned)c.positions[row] + 1;
    if (c.rows_of(sequence) >= c.tiled_rows_min)
        return;
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);
    struct share<T, WIDTH> mine = {
        thread % across *WIDTH, thread / across, THREADS / across,
        {
        }
    };
    float maximum = -INFINITY, total = 0;
    const T *from = qkv + (size_t)row * (c.heads + 2 * c.kv.kv_heads) * dim + (size_t)head * dim;
    for (unsigned d = thread; d < dim; d += THREADS)
        query[d] = widen(from[d]) * c.scale;
    __syncthreads();
    for (unsigned begin = 0; begin < length; begin += SPAN) {
        unsigned count = min(length - begin, SPAN);
        float score = -INFINITY;
        if (thread < count) {
            const T *key = place_of<T>(c, sequence, begin + thread) + (size_t)kv_head * dim;
            values[thread] = key + values_at;
            score = dot<T, WIDTH>(query, key, dim);
        }
        float most = fmaxf(maximum, block_max(score, shared));
        float factor = expf(maximum - most), p = thread < count ? expf(score - most) : 0.0f;
        probability[thread] = p;
        total = total * factor + block_sum(p, shared);
        maximum = most;
        for (int k = 0; k < WIDTH; k++)
            mine.sum[k] *= factor;
        mine.add(probability, values, count);
        __syncthreads();
    }
    for (int k = 0; k < WIDTH; k++)
        parts[thread * WIDTH + k] = mine.sum[k];
    __syncthreads();
    for (unsigned d = thread; d < dim; d += THREADS) {
        float sum = 0;
        for (unsigned group = 0; group < mine.groups; group++)
            sum += parts[group * dim + d];
        out[((size_t)row * c.heads + head) * dim + d] = narrow<T>(sum / total);
    }
}

extern "C" enum ss_status ss_cuda_attention(struct ss_ops *ops, struct ss_stream *stream,
                                            const struct ss_step *step,
                                            const struct ss_kv_layout *kv, uint32_t layer,
                                            ss_device_address qkv, uint32_t heads, float scale,
                                            ss_device_address out)
{
    if (kv->head_dim > SS_CUDA_HEAD_DIM_MAX)
        return ss_fail(SS_UNSUPPORTED, "head dimension %u: the CUDA operations take at most %u",
                       kv->head_dim, SS_CUDA_HEAD_DIM_MAX);
    if (step->rows == 0)
        return SS_OK;
    uint32_t longest = step->rows_max_per_sequence;
    bool tiled = longest >= SS_CUDA_TILED_ROWS_MIN && ss_cuda_tiles_fit(kv->head_dim);
    /* Where all sequences are equally long, none is left for the rows. */
    bool by_row = !tiled || step->rows != longest * step->sequences;
    struct context c = {(const int *)step->positions,
                        (const int *)step->sequence_of,
                        (const int *)step->row_begin,
                        (const int *)step->blocks,
                        step->blocks_stride,
                        heads,
                        layer,
                        tiled ? SS_CUDA_TILED_ROWS_MIN : UINT32_MAX,
                        *kv,
                        scale};
    return launch_by_type(ops, "attention", [&](auto type) {
        using T = decltype(type);
        dim3 parts(step->rows, (kv->kv_heads * kv->head_dim + THREADS - 1) / THREADS);
        write_kv<T><<<parts, THREADS, 0, native(stream)>>>((const T *)qkv, c);
        if (tiled)
            ss_cuda_attend_tiled<T>((T *)out, (const T *)qkv, c, step->sequences, longest,
                                    native(stream));
        dim3 grid(step->rows, heads);
        if (!by_row)
            return;
        if (kv->head_dim % 8 == 0)
            attend<T, 8><<<grid, THREADS, 0, native(stream)>>>((T *)out, (const T *)qkv, c);
        else
            attend<T, 1><<<grid, THREADS, 0, native(stream)>>>((T *)out, (const T *)qkv, c);
    });
}

extern "C" int ss_cuda_load_attention(void)
{
    return load_kernels(write_kv<__half>, write_kv<__nv_bfloat16>, attend<__half, 8>,
                        attend<__half, 1>, attend<__nv_bfloat16, 8>, attend<__nv_bfloat16, 1>);
}
