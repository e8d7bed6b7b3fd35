/* Causal attention over paged keys and values: by tiles where a sequence has many new rows, by
 * splits of the context where it has few. */
#include "pipeline/ops/cuda/attention.cuh"

#define THREADS 256

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
    bool invariant = ((struct ss_cuda_ops *)ops)->invariant;
    uint32_t longest = step->rows_max_per_sequence;
    uint32_t tiled_min = !ss_cuda_tiles_fit(kv->head_dim) ? UINT32_MAX
                         : invariant                      ? 1
                                                          : SS_CUDA_TILED_ROWS_MIN;
    bool tiled = longest >= tiled_min;
    /* Where all sequences are equally long, none is left for the rows. */
    bool by_row = !tiled || (!invariant && step->rows != longest * step->sequences);
    struct context c = {(const int *)step->positions,
                        (const int *)step->sequence_of,
                        (const int *)step->row_begin,
                        (const int *)step->blocks,
                        step->blocks_stride,
                        heads,
                        layer,
                        tiled_min,
                        *kv,
                        scale};
    if (by_row && !ss_cuda_splits_fit(c, step->context_max))
        return ss_fail(SS_UNSUPPORTED,
                       "a context of %u with %u heads of %u: %zu MiB of work memory are not enough",
                       step->context_max, heads, kv->head_dim, SS_CUDA_SCRATCH_BYTES >> 20);
    return launch_by_type(ops, "attention", [&](auto type) {
        using T = decltype(type);
        const T *from = (const T *)qkv;
        if (tiled) {
            dim3 parts(step->rows, (kv->kv_heads * kv->head_dim + THREADS - 1) / THREADS);
            write_kv<T><<<parts, THREADS, 0, native(stream)>>>(from, c);
            ss_cuda_attend_tiled<T>((T *)out, from, c, step->sequences, longest, native(stream));
        }
        if (by_row)
            ss_cuda_attend_split<T>((struct ss_cuda_ops *)ops, (T *)out, from, c, step->rows,
                                    step->context_max, native(stream));
    });
}

extern "C" int ss_cuda_load_attention(struct ss_cuda_ops *)
{
    return load_kernels(write_kv<__half>, write_kv<__nv_bfloat16>);
}
