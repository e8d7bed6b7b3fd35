/* Causal attention over paged keys and values: one block takes one query head of one row, in spans
 * of positions from 0 on, with the running softmax of Milakov and Gimelshein ("Online normalizer
 * calculation for softmax", arXiv 1805.02867). The order of every sum depends on the row's position
 * alone, and memory does not grow with the context. */
#include "pipeline/ops/cuda/elements.cuh"

#define THREADS 256
#define SPAN    THREADS /* positions at a time: a thread scores one */

/* The call, as kernels take it. */
struct context {
    const int *positions, *sequence_of, *blocks;
    unsigned blocks_stride, heads, layer;
    struct ss_kv_layout kv;
    float scale;
};

template <typename T>
static __device__ T *place_of(const struct context &c, unsigned sequence, unsigned position)
{
    unsigned long long page =
        (unsigned long long)
            c.blocks[(size_t)sequence * c.blocks_stride + position / c.kv.block_tokens];
    T *layer = (T *)(c.kv.pool + page * c.kv.page_bytes + c.layer * c.kv.layer_bytes);
    return layer + (size_t)(position % c.kv.block_tokens) * c.kv.kv_heads * c.kv.head_dim;
}

template <typename T> static __global__ void write_kv(const T *qkv, const struct context c)
{
    unsigned row = blockIdx.x, width = c.kv.kv_heads * c.kv.head_dim;
    const T *keys =
        qkv + (size_t)row * (c.heads * c.kv.head_dim + 2 * width) + (size_t)c.heads * c.kv.head_dim;
    T *to = place_of<T>(c, (unsigned)c.sequence_of[row], (unsigned)c.positions[row]);
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);
    for (unsigned i = threadIdx.x; i < width; i += THREADS) {
        to[i] = keys[i];
        to[values_at + i] = keys[width + i];
    }
}

/* Eight elements of 16 bits, as one load. */
template <typename T> union eight {
    uint4 word;
    T element[8];
};

template <typename T>
static __device__ float dot(const float *query, const T *key, unsigned dim, bool aligned)
{
    float sum = 0;
    if (!aligned) {
        for (unsigned d = 0; d < dim; d++)
            sum += query[d] * widen(key[d]);
        return sum;
    }
    for (unsigned d = 0; d < dim; d += 8) {
        union eight<T> part;
        part.word = *(const uint4 *)(key + d);
#pragma unroll
        for (unsigned i = 0; i < 8; i++)
            sum += query[d + i] * widen(part.element[i]);
    }
    return sum;
}

/* A thread's part of the output: dimension DIM of every GROUPS-th position. */
struct share {
    unsigned dim, group, groups;
};

template <typename T> static __global__ void attend(T *out, const T *qkv, const struct context c)
{
    __shared__ float query[SS_CUDA_HEAD_DIM_MAX], probability[SPAN], shared[THREADS / 32];
    __shared__ const T *values[SPAN];
    __shared__ float parts[THREADS];
    unsigned row = blockIdx.x, head = blockIdx.y, dim = c.kv.head_dim, thread = threadIdx.x;
    unsigned kv_head = head / (c.heads / c.kv.kv_heads);
    unsigned sequence = (unsigned)c.sequence_of[row], length = (unsigned)c.positions[row] + 1;
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);
    bool aligned = dim % 8 == 0;
    struct share mine = {thread % dim, thread / dim, THREADS / dim};
    float maximum = -INFINITY, total = 0, sum = 0;
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
            score = dot(query, key, dim, aligned);
        }
        float most = fmaxf(maximum, block_max(score, shared));
        float factor = expf(maximum - most), p = thread < count ? expf(score - most) : 0.0f;
        probability[thread] = p;
        total = total * factor + block_sum(p, shared);
        maximum = most;
        sum *= factor;
        for (unsigned i = mine.group; i < count && mine.group < mine.groups; i += mine.groups)
            sum += probability[i] * widen(values[i][mine.dim]);
        __syncthreads();
    }
    parts[thread] = sum;
    __syncthreads();
    if (thread < dim) {
        for (unsigned group = 1; group < mine.groups; group++)
            sum += parts[group * dim + thread];
        out[((size_t)row * c.heads + head) * dim + thread] = narrow<T>(sum / total);
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
    struct context c = {(const int *)step->positions,
                        (const int *)step->sequence_of,
                        (const int *)step->blocks,
                        step->blocks_stride,
                        heads,
                        layer,
                        *kv,
                        scale};
    return launch_by_type(ops, "attention", [&](auto type) {
        using T = decltype(type);
        write_kv<T><<<step->rows, THREADS, 0, native(stream)>>>((const T *)qkv, c);
        attend<T>
            <<<dim3(step->rows, heads), THREADS, 0, native(stream)>>>((T *)out, (const T *)qkv, c);
    });
}

extern "C" int ss_cuda_load_attention(void)
{
    return load_kernels(write_kv<__half>, write_kv<__nv_bfloat16>, attend<__half>,
                        attend<__nv_bfloat16>);
}
