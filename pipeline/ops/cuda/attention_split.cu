/* Causal attention of few rows a sequence, bound by reading keys and values: one block takes SPLIT
 * positions of one row, for one key head and up to eight query heads that share it (Dao and others,
 * "Flash-Decoding", 2023), on the tensor cores. The last block of a row and its heads to end merges
 * the splits, in order: a row's bits depend on its own context alone, whatever else is in the step.
 *
 * What the cache holds is fetched before the kernel before this one has ended; keys and values of
 * the step itself are read where the product left them, and the block of a row that meets the
 * row's own position writes them to the cache.
 *
 * A key's dimensions are dealt to lanes by eights, as in few_rows.cu: queries likewise. */
#include "pipeline/ops/cuda/attention_split.cuh"
#include "pipeline/ops/cuda/mma.cuh"

#define WARPS   4
#define THREADS (32 * WARPS)
#define HEADS   8
#define WIDTH   8                   /* elements of 16 bytes */
#define TILES   (SPLIT / 8 / WARPS) /* of eight positions, of a warp */

template <typename T, int DIM> struct room {
    T values[SPLIT][DIM + WIDTH]; /* the padding keeps ldmatrix free of bank conflicts */
    T weights[HEADS][SPLIT + WIDTH];
    const T *keys[SPLIT]; /* null past the end */
    float maximum[WARPS][HEADS], total[WARPS][HEADS];
};

/* A lane's part of a warp's keys: of position lane / 4 of each tile, eights of dimensions. */
template <int DIM> struct keys {
    static const int steps = (DIM + 31) / 32;
    uint4 part[TILES][steps];
};

static __device__ inline unsigned first_of_lane(void)
{
    return threadIdx.x / 32 * (SPLIT / WARPS) + threadIdx.x % 32 / 4;
}

/* Keys and values of the positions from FIRST to END, of those that the block has. */
template <typename T, int DIM>
static __device__ void fetch(struct keys<DIM> *keys, struct room<T, DIM> *shared,
                             const struct context &c, const struct task &task, unsigned first,
                             unsigned end)
{
#pragma unroll
    for (int n = 0; n < TILES; n++) {
        unsigned i = first_of_lane() + n * 8;
        if (task.begin + i < first || task.begin + i >= end)
            continue;
        const T *key = shared->keys[i] + threadIdx.x % 4 * WIDTH;
#pragma unroll
        for (int s = 0; s < keys->steps; s++)
            if (s * 32 + threadIdx.x % 4 * WIDTH < DIM)
                keys->part[n][s] = __ldcg((const uint4 *)(key + s * 32));
    }
    for (unsigned i = threadIdx.x; i < SPLIT * DIM / WIDTH; i += THREADS) {
        unsigned row = i / (DIM / WIDTH), column = i % (DIM / WIDTH) * WIDTH;
        unsigned position = task.begin + row;
        if (position < first || position >= end)
            continue;
        const T *value = shared->keys[row] + value_distance<T>(c, task, position) + column;
        copy_16(&shared->values[row][column], value, 16);
    }
}

/* Past the end, values are zero: their weights are, and the product must be. */
template <typename T, int DIM>
static __device__ void clear_rest(struct room<T, DIM> *shared, unsigned count)
{
    for (unsigned i = count * (DIM / WIDTH) + threadIdx.x; i < SPLIT * DIM / WIDTH; i += THREADS)
        *(uint4 *)&shared->values[i / (DIM / WIDTH)][i % (DIM / WIDTH) * WIDTH] = {0, 0, 0, 0};
}

/* The row's own key and value, to the cache. */
template <typename T, int DIM>
static __device__ void write_own(const struct context &c, const struct task &task, const T *key)
{
    unsigned column = threadIdx.x * WIDTH, position = task.length - 1;
    if (column >= DIM)
        return;
    T *to = place_of<T>(c, task.sequence, position) + (size_t)task.kv_head * DIM + column;
    const T *value = key + value_distance<T>(c, task, position);
    *(uint4 *)to = __ldcg((const uint4 *)(key + column));
    *(uint4 *)(to + c.kv.layer_bytes / 2 / sizeof(T)) = __ldcg((const uint4 *)(value + column));
}

/* Scores of head lane / 4: of each tile, two neighbouring positions. */
template <typename T, int DIM>
static __device__ void score(float (*scores)[4], const struct keys<DIM> &keys,
                             const struct context &c, const struct task &task, const T *qkv)
{
    unsigned head = threadIdx.x % 32 / 4, column = threadIdx.x % 4 * WIDTH;
    const T *from =
        qkv + ((size_t)task.row * (c.heads + 2 * c.kv.kv_heads) + task.head + head) * DIM + column;
#pragma unroll
    for (int n = 0; n < TILES; n++)
        for (int i = 0; i < 4; i++)
            scores[n][i] = 0;
#pragma unroll
    for (int s = 0; s < keys.steps; s++) {
        uint4 query = {0, 0, 0, 0};
        if (head < task.heads && s * 32 + column < DIM)
            query = __ldcg((const uint4 *)(from + s * 32));
        const unsigned low[] = {query.x, 0, query.y, 0}, high[] = {query.z, 0, query.w, 0};
#pragma unroll
        for (int n = 0; n < TILES; n++) {
            const uint4 key = keys.part[n][s];
            const unsigned first[] = {key.x, key.y}, second[] = {key.z, key.w};
            multiply(scores[n], low, first, T());
            multiply(scores[n], high, second, T());
        }
    }
#pragma unroll
    for (int n = 0; n < TILES; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            unsigned position =
                task.begin + threadIdx.x / 32 * (SPLIT / WARPS) + n * 8 + threadIdx.x % 4 * 2 + i;
            scores[n][i] = position < task.length ? scores[n][i] * (c.scale * LOG2E) : -INFINITY;
        }
}

/* Weights of all positions to shared memory; returns the head's maximum. The end of it is a barrier
 * that values too have passed. */
template <typename T, int DIM>
static __device__ float weigh(float (*scores)[4], struct room<T, DIM> *shared)
{
    unsigned warp = threadIdx.x / 32, head = threadIdx.x % 32 / 4, pair = threadIdx.x % 4 * 2;
    float most = NOTHING, total = 0;
#pragma unroll
    for (int n = 0; n < TILES; n++)
        most = fmaxf(most, fmaxf(scores[n][0], scores[n][1]));
    most = quad_max(most);
    if (pair == 0)
        shared->maximum[warp][head] = most;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < WARPS; w++)
        most = fmaxf(most, shared->maximum[w][head]);
#pragma unroll
    for (int n = 0; n < TILES; n++) {
        float left = exp2f(scores[n][0] - most), right = exp2f(scores[n][1] - most);
        total += left + right;
        *(unsigned *)&shared->weights[head][warp * (SPLIT / WARPS) + n * 8 + pair] =
            pack<T>(left, right);
    }
    total = quad_sum(total);
    if (pair == 0)
        shared->total[warp][head] = total;
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    return most;
}

/* Two neighbouring dimensions of a head: as the result where the row has one split, else as part.
 */
template <typename T>
static __device__ void leave(T *out, const struct context &c, const struct splits &splits,
                             const struct task &task, unsigned column, const float *sum,
                             float total)
{
    unsigned head = task.head + threadIdx.x % 32 / 4;
    if (task.length <= SPLIT)
        *(unsigned *)(out + ((size_t)task.row * c.heads + head) * c.kv.head_dim + column) =
            pack<T>(sum[0] / total, sum[1] / total);
    else
        *(float2 *)(part_of(splits, c, task.row, head, task.begin / SPLIT) + column) = {sum[0],
                                                                                        sum[1]};
}

/* Each warp takes sixteen dimensions at a time, over all positions. */
template <typename T, int DIM>
static __device__ void add_values(T *out, const struct context &c, const struct splits &splits,
                                  const struct task &task, const struct room<T, DIM> *shared,
                                  float most)
{
    unsigned lane = threadIdx.x % 32, head = lane / 4, pair = lane % 4 * 2, matrix = lane / 8;
    unsigned steps = (min(task.length - task.begin, SPLIT) + 15) / 16;
    float total = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++)
        total += shared->total[w][head];
    for (unsigned d = threadIdx.x / 32 * 16; d < DIM; d += WARPS * 16) {
        float sums[2][4] = {};
#pragma unroll 4
        for (unsigned k = 0; k < steps; k++) {
            const T *weights = &shared->weights[head][k * 16 + pair];
            const unsigned a[] = {*(const unsigned *)weights, 0, *(const unsigned *)(weights + 8),
                                  0};
            unsigned values[4];
            load_transposed(
                values, &shared->values[k * 16 + matrix % 2 * 8 + lane % 8][d + matrix / 2 * 8]);
            multiply(sums[0], a, values, T());
            multiply(sums[1], a, values + 2, T());
        }
        if (head < task.heads)
            for (int n = 0; n < 2; n++)
                leave(out, c, splits, task, d + n * 8 + pair, sums[n], total);
    }
    if (threadIdx.x < 32 && pair == 0 && head < task.heads && task.length > SPLIT) {
        float *part = part_of(splits, c, task.row, task.head + head, task.begin / SPLIT);
        *(float2 *)(part + DIM) = {most, total};
    }
}

template <typename T, int DIM>
static __global__ void __launch_bounds__(THREADS, DIM > 128 ? 1 : 4)
    attend_split(T *out, const T *qkv, const struct context c, const struct splits splits)
{
    extern __shared__ __align__(16) unsigned char memory[];
    struct room<T, DIM> *shared = (struct room<T, DIM> *)memory;
    struct keys<DIM> keys = {
    };
    struct task task;
    let_next_begin();
    if (!find_task(c, splits, HEADS, &task)) {
        leave_idle(out, c, task);
        return;
    }
    unsigned end = min(task.length, task.begin + SPLIT);
    for (unsigned i = threadIdx.x; i < SPLIT; i += THREADS)
        shared->keys[i] =
            task.begin + i < end ? find_key(c, task, qkv, task.begin + i) : (const T *)0;
    clear_rest(shared, end - task.begin);
    __syncthreads();
    fetch(&keys, shared, c, task, task.begin, min(end, task.first_new));
    await_earlier();
    if (end > task.first_new)
        fetch(&keys, shared, c, task, max(task.begin, task.first_new), end);
    if (end == task.length && task.head % (c.heads / c.kv.kv_heads) == 0)
        write_own<T, DIM>(c, task, shared->keys[end - 1 - task.begin]);
    float scores[TILES][4];
    score(scores, keys, c, task, qkv);
    float most = weigh(scores, shared);
    add_values(out, c, splits, task, shared, most);
    if (task.length > SPLIT && is_last(splits, task))
        merge_splits<T, 4>(out, c, splits, task);
}

/* Calls USE with the kernel for a head's dimension, and its shared memory; false: there is none. */
template <typename T, typename Use> static bool with_kernel(unsigned head_dim, Use use)
{
    switch (head_dim) {
    case 64:
        use(attend_split<T, 64>, sizeof(struct room<T, 64>));
        return true;
    case 80:
        use(attend_split<T, 80>, sizeof(struct room<T, 80>));
        return true;
    case 96:
        use(attend_split<T, 96>, sizeof(struct room<T, 96>));
        return true;
    case 128:
        use(attend_split<T, 128>, sizeof(struct room<T, 128>));
        return true;
    case 256:
        use(attend_split<T, 256>, sizeof(struct room<T, 256>));
        return true;
    default:
        return false;
    }
}

bool ss_cuda_splits_fit(const struct context &c, unsigned context_max)
{
    size_t splits = (context_max + SPLIT - 1) / SPLIT;
    return splits <= 1 || c.heads * splits * part_width(c) * sizeof(float) <= SS_CUDA_SCRATCH_BYTES;
}

template <typename T>
void ss_cuda_attend_split(struct ss_cuda_ops *ops, T *out, const T *qkv, const struct context &c,
                          unsigned rows, unsigned context_max, cudaStream_t stream)
{
    bool taken = with_kernel<T>(c.kv.head_dim, [&](auto kernel, size_t bytes) {
        launch_splits(kernel, HEADS, THREADS, bytes, ops, out, qkv, c, rows, context_max, stream);
    });
    if (!taken)
        ss_cuda_attend_any(ops, out, qkv, c, rows, context_max, stream);
}

template void ss_cuda_attend_split(struct ss_cuda_ops *, __half *, const __half *,
                                   const struct context &, unsigned, unsigned, cudaStream_t);
template void ss_cuda_attend_split(struct ss_cuda_ops *, __nv_bfloat16 *, const __nv_bfloat16 *,
                                   const struct context &, unsigned, unsigned, cudaStream_t);

template <typename T> static int load_for(void)
{
    cudaError_t code = cudaSuccess;
    for (unsigned dim = 0; dim <= SS_CUDA_HEAD_DIM_MAX && code == cudaSuccess; dim += WIDTH)
        with_kernel<T>(dim, [&](auto kernel, size_t bytes) {
            code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        (int)bytes);
            if (code == cudaSuccess)
                code = (cudaError_t)load_kernels(kernel);
        });
    return (int)code;
}

extern "C" int ss_cuda_load_attention_split(struct ss_cuda_ops *ops)
{
    int failed = zero(ops->counters, SS_CUDA_COUNTERS_BYTES);
    failed = failed ? failed : load_for<__half>();
    return failed ? failed : load_for<__nv_bfloat16>();
}
