/* Causal attention of few rows a sequence for any head dimension: as attention_split.cu does it,
 * but element by element. One block takes SPLIT positions of one query head. A group of lanes takes
 * whole keys and values, with a running softmax; groups are merged in order. */
#include "pipeline/ops/cuda/attention_split.cuh"

#define THREADS 256
#define WARPS   (THREADS / 32)
#define WIDTH   8 /* elements of a lane */
#define DEPTH   4 /* positions that a group has under way */

/* The running softmax of one query head over a group's positions. */
struct running {
    float maximum, total, sum[WIDTH];

    __device__ void rescale(float most)
    {
        float factor = exp2f(maximum - most);
        maximum = most;
        total *= factor;
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            sum[k] *= factor;
    }

    __device__ void add(float score, const float *value)
    {
        float weight = exp2f(score - maximum);
        total += weight;
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            sum[k] += weight * value[k];
    }
};

template <typename T>
static __device__ inline void load(float *to, const T *from, unsigned first, unsigned dim)
{
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
        to[k] = first + k < dim ? widen(from[first + k]) : 0;
}

template <int LANES> static __device__ inline float sum_lanes(float value)
{
#pragma unroll
    for (int step = LANES / 2; step; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

/* DEPTH positions from FIRST on, a group's stride apart. */
template <typename T, int LANES>
static __device__ void take(struct running *mine, const float *query, const struct context &c,
                            const struct task &task, const T *qkv, unsigned first)
{
    const unsigned groups = THREADS / LANES;
    unsigned at = threadIdx.x % LANES * WIDTH, dim = c.kv.head_dim;
    float key[DEPTH][WIDTH] = {}, value[DEPTH][WIDTH] = {}, score[DEPTH], most = mine->maximum;
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
        unsigned position = first + d * groups;
        if (position >= task.length)
            continue;
        const T *from = find_key(c, task, qkv, position);
        load(key[d], from, at, dim);
        load(value[d], from + value_distance<T>(c, task, position), at, dim);
    }
#pragma unroll
    for (int d = 0; d < DEPTH; d++) {
        float sum = 0;
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            sum += query[k] * key[d][k];
        sum = sum_lanes<LANES>(sum);
        score[d] = first + d * groups < task.length ? sum : -INFINITY;
        most = fmaxf(most, score[d]);
    }
    mine->rescale(most);
#pragma unroll
    for (int d = 0; d < DEPTH; d++)
        mine->add(score[d], value[d]);
}

/* The row's own key and value, to the cache. */
template <typename T>
static __device__ void write_own(const struct context &c, const struct task &task, const T *qkv)
{
    unsigned dim = c.kv.head_dim, position = task.length - 1;
    T *to = place_of<T>(c, task.sequence, position) + (size_t)task.kv_head * dim;
    const T *key = find_key(c, task, qkv, position);
    size_t values_at = c.kv.layer_bytes / 2 / sizeof(T);
    for (unsigned d = threadIdx.x; d < dim; d += THREADS) {
        to[d] = key[d];
        to[values_at + d] = key[value_distance<T>(c, task, position) + d];
    }
}

/* The groups of a warp, merged in a tree; all of them then have the sum. */
template <int LANES> static __device__ void merge_groups(struct running *mine)
{
#pragma unroll
    for (int step = LANES; step < 32; step *= 2) {
        mine->rescale(fmaxf(mine->maximum, __shfl_xor_sync(0xffffffffu, mine->maximum, step)));
        mine->total += __shfl_xor_sync(0xffffffffu, mine->total, step);
#pragma unroll
        for (int k = 0; k < WIDTH; k++)
            mine->sum[k] += __shfl_xor_sync(0xffffffffu, mine->sum[k], step);
    }
}

/* The sums of all warps. */
struct gathered {
    float maximum[WARPS], total[WARPS], sum[WARPS][SS_CUDA_HEAD_DIM_MAX];
};

/* The warps' sums: as the result where the row has one split, else as a part. */
template <typename T>
static __device__ void leave(T *out, const struct context &c, const struct splits &splits,
                             const struct task &task, const struct gathered *all)
{
    float most = NOTHING, total = 0;
    unsigned dim = c.kv.head_dim;
    for (int warp = 0; warp < WARPS; warp++)
        most = fmaxf(most, all->maximum[warp]);
    for (int warp = 0; warp < WARPS; warp++)
        total += all->total[warp] * exp2f(all->maximum[warp] - most);
    float *part = part_of(splits, c, task.row, task.head, task.begin / SPLIT);
    for (unsigned d = threadIdx.x; d < dim; d += THREADS) {
        float sum = 0;
        for (int warp = 0; warp < WARPS; warp++)
            sum += all->sum[warp][d] * exp2f(all->maximum[warp] - most);
        if (task.length <= SPLIT)
            out[((size_t)task.row * c.heads + task.head) * dim + d] = narrow<T>(sum / total);
        else
            part[d] = sum;
    }
    if (threadIdx.x == 0 && task.length > SPLIT) {
        part[dim] = most;
        part[dim + 1] = total;
    }
}

template <typename T, int LANES>
static __global__ void __launch_bounds__(THREADS)
    attend_any(T *out, const T *qkv, const struct context c, const struct splits splits)
{
    const unsigned groups = THREADS / LANES;
    __shared__ struct gathered gathered;
    unsigned at = threadIdx.x % LANES * WIDTH, warp = threadIdx.x / 32, dim = c.kv.head_dim;
    struct running mine = {NOTHING, 0, {}};
    float query[WIDTH];
    struct task task;
    let_next_begin();
    if (!find_task(c, splits, 1, &task)) {
        leave_idle(out, c, task);
        return;
    }
    await_earlier();
    load(query, qkv + ((size_t)task.row * (c.heads + 2 * c.kv.kv_heads) + task.head) * dim, at,
         dim);
    for (int k = 0; k < WIDTH; k++)
        query[k] *= c.scale * LOG2E;
    for (unsigned i = 0; i < SPLIT / groups; i += DEPTH)
        take<T, LANES>(&mine, query, c, task, qkv, task.begin + i * groups + threadIdx.x / LANES);
    if (task.begin + SPLIT >= task.length && task.head % (c.heads / c.kv.kv_heads) == 0)
        write_own(c, task, qkv);
    merge_groups<LANES>(&mine);
    gathered.maximum[warp] = mine.maximum;
    gathered.total[warp] = mine.total;
    for (int k = 0; k < WIDTH && at + k < dim; k++)
        gathered.sum[warp][at + k] = mine.sum[k];
    __syncthreads();
    leave(out, c, splits, task, &gathered);
    if (task.length > SPLIT && is_last(splits, task))
        merge_splits<T, 1>(out, c, splits, task);
}

template <typename T>
void ss_cuda_attend_any(struct ss_cuda_ops *ops, T *out, const T *qkv, const struct context &c,
                        unsigned rows, unsigned context_max, cudaStream_t stream)
{
    auto kernel = c.kv.head_dim <= 64    ? attend_any<T, 8>
                  : c.kv.head_dim <= 128 ? attend_any<T, 16>
                                         : attend_any<T, 32>;
    launch_splits(kernel, 1, THREADS, 0, ops, out, qkv, c, rows, context_max, stream);
}

template void ss_cuda_attend_any(struct ss_cuda_ops *, __half *, const __half *,
                                 const struct context &, unsigned, unsigned, cudaStream_t);
template void ss_cuda_attend_any(struct ss_cuda_ops *, __nv_bfloat16 *, const __nv_bfloat16 *,
                                 const struct context &, unsigned, unsigned, cudaStream_t);

extern "C" int ss_cuda_load_attention_any(struct ss_cuda_ops *)
{
    return load_kernels(attend_any<__half, 8>, attend_any<__half, 16>, attend_any<__half, 32>,
                        attend_any<__nv_bfloat16, 8>, attend_any<__nv_bfloat16, 16>,
                        attend_any<__nv_bfloat16, 32>);
}
