/* What the files of the CUDA operations share. C and CUDA C++ include it, the latter as extern "C".
 */
#ifndef SS_PIPELINE_OPS_CUDA_INTERNAL_H
#define SS_PIPELINE_OPS_CUDA_INTERNAL_H

#include "pipeline/ops/ops.h"
#include "swap/device/cuda/cuda.h"

/* Work memory of a product: the library's own, converted activations, sums in fp32. */
#define SS_CUDA_WORKSPACE_BYTES ((size_t)32 << 20)
#define SS_CUDA_SCRATCH_BYTES   ((size_t)64 << 20)

#define SS_CUDA_COUNTERS_BYTES ((size_t)256 << 10)
#define SS_CUDA_PROGRESS_BYTES ((size_t)16 << 10)

#define SS_CUDA_HEAD_DIM_MAX 256u

/* Norms of up to so many columns, in eights, are computed in the same order wherever they are. */
#define SS_CUDA_WIDE_NORM_COLUMNS_MAX 16384u

struct ss_cuda_plans;

struct ss_cuda_ops {
    struct ss_ops base;
    bool invariant;
    struct ss_cuda_plans *plans;
    ss_device_address workspace, scratch_in, scratch_out;
    ss_device_address counters, progress; /* of attention, of sampling; zero between launches */
    uint32_t processors;                  /* of the device */
    size_t shared_bytes_max; /* of a block that copies in bulk; 0: the device has no such copies */
};

/* The rest of the table, in the files named after what they do. */
enum ss_status ss_cuda_gather_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                     const struct ss_step *step,
                                     const struct ss_token_table *table);
enum ss_status ss_cuda_embed(struct ss_ops *ops, struct ss_stream *stream,
                             const struct ss_step *step, const struct ss_weight *table,
                             uint32_t first_token, ss_device_address out);
enum ss_status ss_cuda_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                     const struct ss_step *step, const struct ss_weight *table,
                                     uint32_t offset, ss_device_address out);
enum ss_status ss_cuda_linear(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                              ss_device_address in, uint32_t rows, const struct ss_weight *weight,
                              const struct ss_weight *bias, enum ss_activation activation,
                              bool unfinished);
enum ss_status ss_cuda_dense(struct ss_ops *ops, struct ss_stream *stream,
                             const struct ss_dense *dense);
enum ss_status ss_cuda_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                  ss_device_address out, ss_device_address in, uint32_t rows,
                                  uint32_t columns, const struct ss_weight *weight,
                                  const struct ss_weight *bias, float epsilon);
enum ss_status ss_cuda_rms_norm(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                                ss_device_address in, uint32_t rows, uint32_t columns,
                                const struct ss_weight *weight, float epsilon);
enum ss_status ss_cuda_add(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                           ss_device_address in, uint32_t rows, uint32_t columns,
                           const struct ss_weight *bias);
enum ss_status ss_cuda_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                     ss_device_address out, ss_device_address in, uint32_t rows,
                                     uint32_t columns);
enum ss_status ss_cuda_rotate(struct ss_ops *ops, struct ss_stream *stream,
                              const struct ss_step *step, ss_device_address out,
                              ss_device_address in, uint32_t heads, uint32_t kv_heads,
                              uint32_t head_dim, ss_device_address frequencies);
enum ss_status ss_cuda_attention(struct ss_ops *ops, struct ss_stream *stream,
                                 const struct ss_step *step, const struct ss_kv_layout *kv,
                                 uint32_t layer, ss_device_address qkv, uint32_t heads, float scale,
                                 ss_device_address out);
enum ss_status ss_cuda_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address out, ss_device_address in,
                                   ss_device_address index, uint32_t count, uint32_t columns);
enum ss_status ss_cuda_sample(struct ss_ops *ops, struct ss_stream *stream,
                              ss_device_address logits, uint32_t count, uint32_t parts,
                              uint32_t part_columns, uint32_t vocab, ss_device_address sampling,
                              ss_device_address tokens, const struct ss_token_table *table);
enum ss_status ss_cuda_store_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                    ss_device_address tokens, uint32_t count,
                                    ss_device_address sampling, const struct ss_token_table *table);

/* The cuBLASLt handle and the plans made with it; INVARIANT: one kernel for all numbers of rows. */
SS_MUST_CHECK enum ss_status ss_cuda_plans_create(struct ss_device *device, bool invariant,
                                                  struct ss_cuda_plans **out);
void ss_cuda_plans_destroy(struct ss_cuda_plans *plans);

/* to[count] = from[count] of the instance's activation type, converted to DTYPE. */
enum ss_status ss_cuda_convert(struct ss_ops *ops, struct ss_stream *stream, ss_device_address to,
                               ss_device_address from, size_t count, enum ss_dtype dtype);
/* out[rows][columns] = act(in + bias[columns]); in is fp32, or OUT itself; DTYPE is OUT's. */
enum ss_status ss_cuda_finish(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                              ss_device_address in, uint32_t rows, uint32_t columns,
                              const struct ss_weight *bias, enum ss_activation activation,
                              enum ss_dtype dtype);

/* Load the kernels of a file, and prepare what of OPS they use; each returns a cudaError_t. */
int ss_cuda_load_rows(struct ss_cuda_ops *ops);
int ss_cuda_load_tokens(struct ss_cuda_ops *ops);
int ss_cuda_load_norms(struct ss_cuda_ops *ops);
int ss_cuda_load_attention(struct ss_cuda_ops *ops);
int ss_cuda_load_attention_any(struct ss_cuda_ops *ops);
int ss_cuda_load_attention_split(struct ss_cuda_ops *ops);
int ss_cuda_load_attention_tiled(struct ss_cuda_ops *ops);
int ss_cuda_load_sample(struct ss_cuda_ops *ops);
int ss_cuda_load_few_rows(struct ss_cuda_ops *ops);

#endif
