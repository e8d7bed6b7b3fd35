/* The paced operations that cost nothing: they queue nothing and leave their output alone. */
#ifndef SS_PIPELINE_OPS_PACED_FREE_OPS_H
#define SS_PIPELINE_OPS_PACED_FREE_OPS_H

#include "pipeline/ops/ops.h"

enum ss_status ss_paced_free_embed(struct ss_ops *ops, struct ss_stream *stream,
                                   const struct ss_step *step, const struct ss_weight *table,
                                   uint32_t first_token, ss_device_address out);
enum ss_status ss_paced_free_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                           const struct ss_step *step,
                                           const struct ss_weight *table, uint32_t offset,
                                           ss_device_address out);
enum ss_status ss_paced_free_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                        ss_device_address out, ss_device_address in, uint32_t rows,
                                        uint32_t columns, const struct ss_weight *weight,
                                        const struct ss_weight *bias, float epsilon);
enum ss_status ss_paced_free_rms_norm(struct ss_ops *ops, struct ss_stream *stream,
                                      ss_device_address out, ss_device_address in, uint32_t rows,
                                      uint32_t columns, const struct ss_weight *weight,
                                      float epsilon);
enum ss_status ss_paced_free_add(struct ss_ops *ops, struct ss_stream *stream,
                                 ss_device_address out, ss_device_address in, uint32_t rows,
                                 uint32_t columns, const struct ss_weight *bias);
enum ss_status ss_paced_free_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                           ss_device_address out, ss_device_address in,
                                           uint32_t rows, uint32_t columns);
enum ss_status ss_paced_free_rotate(struct ss_ops *ops, struct ss_stream *stream,
                                    const struct ss_step *step, ss_device_address out,
                                    ss_device_address in, uint32_t heads, uint32_t kv_heads,
                                    uint32_t head_dim, ss_device_address frequencies);
enum ss_status ss_paced_free_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address out, ss_device_address in,
                                         ss_device_address index, uint32_t count, uint32_t columns);

#endif
