/* What the attention kernels know of a call: where keys and values lie, and who takes which rows.
 */
#ifndef SS_PIPELINE_OPS_CUDA_ATTENTION_CUH
#define SS_PIPELINE_OPS_CUDA_ATTENTION_CUH

#include "pipeline/ops/cuda/elements.cuh"

/* From so many new rows on, a sequence is taken by tiles; below, row by row: a tile reads the
 * context once for all its rows, but leaves most of a small step's processors idle. Invariant, all
 * are taken by tiles. */
#define SS_CUDA_TILED_ROWS_MIN 16u

/* Softmax is computed in base 2. */
#define LOG2E 1.4426950408889634f

/* The call, as kernels take it. */
struct context {
    const int *positions, *sequence_of, *row_begin, *blocks;
    unsigned blocks_stride, heads, layer;
    unsigned tiled_rows_min; /* sequences with as many rows are the tiles' */
    struct ss_kv_layout kv;
    float scale;

    __device__ unsigned rows_of(unsigned sequence) const
    {
        return (unsigned)(row_begin[sequence + 1] - row_begin[sequence]);
    }
};

/* The first key head of a position; its values lie half a layer further on. */
template <typename T>
static __device__ T *place_of(const struct context &c, unsigned sequence, unsigned position)
{
    unsigned long long page = (unsigned long long)__ldcg(
        c.blocks + (size_t)sequence * c.blocks_stride + position / c.kv.block_tokens);
    T *layer = (T *)(c.kv.pool + page * c.kv.page_bytes + c.layer * c.kv.layer_bytes);
    return layer + (size_t)(position % c.kv.block_tokens) * c.kv.kv_heads * c.kv.head_dim;
}

/* attention_tiled.cu: the sequences of at least tiled_rows_min rows. */
bool ss_cuda_tiles_fit(unsigned head_dim);
template <typename T>
void ss_cuda_attend_tiled(T *out, const T *qkv, const struct context &c, unsigned sequences,
                          unsigned rows_max, cudaStream_t stream);

/* attention_split.cu: the sequences of fewer rows; writes their keys and values. No context is
 * longer than CONTEXT_MAX, whose parts of one row must fit the work memory. */
bool ss_cuda_splits_fit(const struct context &c, unsigned context_max);
template <typename T>
void ss_cuda_attend_split(struct ss_cuda_ops *ops, T *out, const T *qkv, const struct context &c,
                          unsigned rows, unsigned context_max, cudaStream_t stream);

#endif
