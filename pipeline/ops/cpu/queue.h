/* The CPU operations' own state, and the functions of the table: each checks what the call says,
 * packs it and queues the kernel that does the work on the stream's thread. */
#ifndef SS_PIPELINE_OPS_CPU_QUEUE_H
#define SS_PIPELINE_OPS_CPU_QUEUE_H

#include <pthread.h>

#include "pipeline/ops/cpu/kernels.h"
#include "pipeline/ops/ops.h"

struct ss_cpu_ops {
    struct ss_ops base;
    const struct ss_cpu_kernels *kernels;

    /* Two streams that compute at once take turns where a kernel needs memory to work in. */
    pthread_mutex_t lock;
    struct ss_cpu_scratch *scratch; /* linear */
    uint64_t *heap;                 /* sample: grows to the largest vocabulary */
    uint32_t heap_count;
};

enum ss_status ss_cpu_queue_linear(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address out, ss_device_address in, uint32_t rows,
                                   const struct ss_weight *weight, const struct ss_weight *bias,
                                   enum ss_activation activation, bool unfinished);
enum ss_status ss_cpu_queue_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                       ss_device_address out, ss_device_address in, uint32_t rows,
                                       uint32_t columns, const struct ss_weight *weight,
                                       const struct ss_weight *bias, float epsilon);
enum ss_status ss_cpu_queue_rms_norm(struct ss_ops *ops, struct ss_stream *stream,
                                     ss_device_address out, ss_device_address in, uint32_t rows,
                                     uint32_t columns, const struct ss_weight *weight,
                                     float epsilon);
enum ss_status ss_cpu_queue_add(struct ss_ops *ops, struct ss_stream *stream, ss_device_address out,
                                ss_device_address in, uint32_t rows, uint32_t columns,
                                const struct ss_weight *bias);
enum ss_status ss_cpu_queue_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                          ss_device_address out, ss_device_address in,
                                          uint32_t rows, uint32_t columns);

enum ss_status ss_cpu_queue_embed(struct ss_ops *ops, struct ss_stream *stream,
                                  const struct ss_step *step, const struct ss_weight *table,
                                  uint32_t first_token, ss_device_address out);
enum ss_status ss_cpu_queue_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                          const struct ss_step *step, const struct ss_weight *table,
                                          uint32_t offset, ss_device_address out);
enum ss_status ss_cpu_queue_rotate(struct ss_ops *ops, struct ss_stream *stream,
                                   const struct ss_step *step, ss_device_address out,
                                   ss_device_address in, uint32_t heads, uint32_t kv_heads,
                                   uint32_t head_dim, ss_device_address frequencies);
enum ss_status ss_cpu_queue_attention(struct ss_ops *ops, struct ss_stream *stream,
                                      const struct ss_step *step, const struct ss_kv_layout *kv,
                                      uint32_t layer, ss_device_address qkv, uint32_t heads,
                                      float scale, ss_device_address out);
enum ss_status ss_cpu_queue_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                        ss_device_address out, ss_device_address in,
                                        ss_device_address index, uint32_t count, uint32_t columns);

enum ss_status ss_cpu_queue_sample(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address logits, uint32_t count, uint32_t parts,
                                   uint32_t part_columns, uint32_t vocab,
                                   ss_device_address sampling, ss_device_address tokens,
                                   const struct ss_token_table *table);

#endif
