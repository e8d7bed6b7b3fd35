/* What the kernels share that split a row's context over blocks: attention_split.cu, for the usual
 * head dimensions, and attention_any.cu. */
#ifndef SS_PIPELINE_OPS_CUDA_ATTENTION_SPLIT_CUH
#define SS_PIPELINE_OPS_CUDA_ATTENTION_SPLIT_CUH

#include "pipeline/ops/cuda/attention.cuh"
#include "pipeline/ops/cuda/launch.cuh"

#define SPLIT 128 /* positions of a block */

/* A maximum of nothing is finite, so that no difference of two is undefined. */
#define NOTHING (-1e30f)

/* Where splits leave their sums: for each row, query head and split, a sum per dimension, a maximum
 * in base 2 and a total; and how many splits of a row and of a block's heads have ended, zero
 * between launches. */
struct splits {
    float *parts;
    unsigned *ended;
    unsigned count;     /* of the longest context */
    unsigned first_row; /* of this launch */
    unsigned together;  /* blocks that share a key head, each with its query heads */
};

/* What a block has to do. */
struct task {
    unsigned row, sequence, kv_head, length, begin;
    unsigned first_row, first_new; /* the step's first row of the sequence, and its position */
    unsigned head, heads;          /* query heads */
};

/* False where there is nothing to attend to. Read past the first cache, which may hold what was
 * there before the step: kernels look before they await the one before them. */
static __device__ inline bool find_task(const struct context &c, const struct splits &splits,
                                        unsigned heads_max, struct task *task)
{
    unsigned group = c.heads / c.kv.kv_heads, first = blockIdx.x % splits.together * heads_max;
    task->row = splits.first_row + blockIdx.z;
    task->begin = blockIdx.y * SPLIT;
    int position = __ldcg(c.positions + task->row);
    task->sequence = (unsigned)__ldcg(c.sequence_of + task->row);
    task->length = (unsigned)(position + 1);
    task->first_row = (unsigned)__ldcg(c.row_begin + task->sequence);
    task->first_new = (unsigned)__ldcg(c.positions + task->first_row);
    task->kv_head = blockIdx.x / splits.together;
    task->head = task->kv_head * group + first;
    task->heads = min(group - first, heads_max);
    unsigned rows = (unsigned)__ldcg(c.row_begin + task->sequence + 1) - task->first_row;
    return position >= 0 && task->begin < task->length && rows < c.tiled_rows_min;
}

/* The key of a position; where its value lies, seen from there, is in *VALUE_AT. Those of the step
 * itself are where the product left them. */
template <typename T>
static __device__ inline const T *find_key(const struct context &c, const struct task &task,
                                           const T *qkv, unsigned position)
{
    unsigned dim = c.kv.head_dim;
    return position < task.first_new
               ? place_of<T>(c, task.sequence, position) + (size_t)task.kv_head * dim
               : qkv + ((size_t)(task.first_row + position - task.first_new) *
                            (c.heads + 2 * c.kv.kv_heads) +
                        c.heads + task.kv_head) *
                           dim;
}

template <typename T>
static __device__ inline size_t value_distance(const struct context &c, const struct task &task,
                                               unsigned position)
{
    return position < task.first_new ? c.kv.layer_bytes / 2 / sizeof(T)
                                     : (size_t)c.kv.kv_heads * c.kv.head_dim;
}

static __host__ __device__ inline unsigned part_width(const struct context &c)
{
    return (c.kv.head_dim + 2 + 3) / 4 * 4;
}

/* The part of a row's head and split: dimensions, then maximum and total, on 16 bytes. */
static __device__ inline float *part_of(const struct splits &splits, const struct context &c,
                                        unsigned row, unsigned head, unsigned split)
{
    return splits.parts +
           (((size_t)(row - splits.first_row) * c.heads + head) * splits.count + split) *
               part_width(c);
}

/* Whether this block is the last of its row and heads to end; what the others left is seen then. */
static __device__ inline bool is_last(const struct splits &splits, const struct task &task)
{
    __shared__ unsigned before;
    unsigned *ended = splits.ended + (size_t)(task.row - splits.first_row) * gridDim.x + blockIdx.x;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        before = atomicAdd(ended, 1);
    __syncthreads();
    if (before + 1 < (task.length + SPLIT - 1) / SPLIT)
        return false;
    __threadfence();
    if (threadIdx.x == 0)
        *ended = 0;
    return true;
}

/* A row's result, from the parts of all its splits in order; WIDTH dimensions a thread. */
template <typename T, int WIDTH>
static __device__ void merge_splits(T *out, const struct context &c, const struct splits &splits,
                                    const struct task &task)
{
    unsigned dim = c.kv.head_dim, width = part_width(c), count = (task.length + SPLIT - 1) / SPLIT;
    for (unsigned i = threadIdx.x * WIDTH; i < task.heads * dim; i += blockDim.x * WIDTH) {
        unsigned head = task.head + i / dim, d = i % dim;
        float most = NOTHING, total = 0, sum[WIDTH] = {};
        struct vector_of<T, WIDTH> result;
        const float *part = part_of(splits, c, task.row, head, 0);
#pragma unroll 4
        for (unsigned s = 0; s < count; s++)
            most = fmaxf(most, __ldcg(part + (size_t)s * width + dim));
#pragma unroll 4
        for (unsigned s = 0; s < count; s++) {
            const float *at = part + (size_t)s * width;
            float factor = exp2f(__ldcg(at + dim) - most);
            total += factor * __ldcg(at + dim + 1);
            if constexpr (WIDTH == 4) {
                float4 four = __ldcg((const float4 *)(at + d));
                sum[0] += factor * four.x;
                sum[1] += factor * four.y;
                sum[2] += factor * four.z;
                sum[3] += factor * four.w;
            } else {
                sum[0] += factor * __ldcg(at + d);
            }
        }
        for (int k = 0; k < WIDTH; k++)
            result.element[k] = narrow<T>(sum[k] / total);
        *(struct vector_of<T, WIDTH> *)(out + ((size_t)task.row * c.heads + head) * dim + d) =
            result;
    }
}

/* The result of a row that stands for none. */
template <typename T>
static __device__ void clear_row(T *out, const struct context &c, const struct task &task)
{
    unsigned dim = c.kv.head_dim;
    for (unsigned i = threadIdx.x; i < task.heads * dim; i += blockDim.x)
        out[((size_t)task.row * c.heads + task.head) * dim + i] = narrow<T>(0);
}

/* Where a block finds nothing to attend to. */
template <typename T>
static __device__ void leave_idle(T *out, const struct context &c, const struct task &task)
{
    await_earlier();
    if (task.length == 0 && task.begin == 0)
        clear_row(out, c, task);
}

/* Launches KERNEL, whose blocks take HEADS query heads each, over all rows, as many at once as
 * there is room for parts: at least one, as ss_cuda_splits_fit() said. */
template <typename Kernel, typename T>
static void launch_splits(Kernel kernel, unsigned heads, unsigned threads, size_t shared_bytes,
                          struct ss_cuda_ops *ops, T *out, const T *qkv, const struct context &c,
                          unsigned rows, unsigned context_max, cudaStream_t stream)
{
    unsigned group = c.heads / c.kv.kv_heads;
    struct splits splits = {(float *)ops->scratch_out, (unsigned *)ops->counters,
                            (context_max + SPLIT - 1) / SPLIT, 0, (group + heads - 1) / heads};
    unsigned across = c.kv.kv_heads * splits.together;
    size_t row_bytes = (size_t)c.heads * splits.count * part_width(c) * sizeof(float);
    size_t most = splits.count > 1 ? SS_CUDA_SCRATCH_BYTES / row_bytes : rows;
    size_t counters = SS_CUDA_COUNTERS_BYTES / sizeof(unsigned) / across;
    most = most < counters ? most : counters;
    for (; splits.first_row < rows; splits.first_row += (unsigned)most) {
        unsigned left = rows - splits.first_row;
        dim3 grid(across, splits.count, left < most ? left : (unsigned)most);
        launch_early(kernel, grid, threads, shared_bytes, stream, out, qkv, c, splits);
    }
}

/* attention_any.cu: head dimensions that attention_split.cu does not take. */
template <typename T>
void ss_cuda_attend_any(struct ss_cuda_ops *ops, T *out, const T *qkv, const struct context &c,
                        unsigned rows, unsigned context_max, cudaStream_t stream);

#endif
