#include "pipeline/ops/paced/free_ops.h"

enum ss_status ss_paced_free_embed(struct ss_ops *ops, struct ss_stream *stream,
                                   const struct ss_step *step, const struct ss_weight *table,
                                   uint32_t first_token, ss_device_address out)
{
    (void)ops, (void)stream, (void)step, (void)table, (void)first_token, (void)out;
    return SS_OK;
}

enum ss_status ss_paced_free_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                           const struct ss_step *step,
                                           const struct ss_weight *table, uint32_t offset,
                                           ss_device_address out)
{
    (void)ops, (void)stream, (void)step, (void)table, (void)offset, (void)out;
    return SS_OK;
}

enum ss_status ss_paced_free_layer_norm(struct ss_ops *ops, struct ss_stream *stream,
                                        ss_device_address out, ss_device_address in, uint32_t rows,
                                        uint32_t columns, const struct ss_weight *weight,
                                        const struct ss_weight *bias, float epsilon)
{
    (void)ops, (void)stream, (void)out, (void)in, (void)rows, (void)columns, (void)weight,
        (void)bias, (void)epsilon;
    return SS_OK;
}

enum ss_status ss_paced_free_rms_norm(struct ss_ops *ops, struct ss_stream *stream,
                                      ss_device_address out, ss_device_address in, uint32_t rows,
                                      uint32_t columns, const struct ss_weight *weight,
                                      float epsilon)
{
    (void)ops, (void)stream, (void)out, (void)in, (void)rows, (void)columns, (void)weight,
        (void)epsilon;
    return SS_OK;
}

enum ss_status ss_paced_free_add(struct ss_ops *ops, struct ss_stream *stream,
                                 ss_device_address out, ss_device_address in, uint32_t rows,
                                 uint32_t columns, const struct ss_weight *bias)
{
    (void)ops, (void)stream, (void)out, (void)in, (void)rows, (void)columns, (void)bias;
    return SS_OK;
}

enum ss_status ss_paced_free_silu_multiply(struct ss_ops *ops, struct ss_stream *stream,
                                           ss_device_address out, ss_device_address in,
                                           uint32_t rows, uint32_t columns)
{
    (void)ops, (void)stream, (void)out, (void)in, (void)rows, (void)columns;
    return SS_OK;
}

enum ss_status ss_paced_free_rotate(struct ss_ops *ops, struct ss_stream *stream,
                                    const struct ss_step *step, ss_device_address out,
                                    ss_device_address in, uint32_t heads, uint32_t kv_heads,
                                    uint32_t head_dim, ss_device_address frequencies)
{
    (void)ops, (void)stream, (void)step, (void)out, (void)in, (void)heads, (void)kv_heads,
        (void)head_dim, (void)frequencies;
    return SS_OK;
}

enum ss_status ss_paced_free_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address out, ss_device_address in,
                                         ss_device_address index, uint32_t count, uint32_t columns)
{
    (void)ops, (void)stream, (void)out, (void)in, (void)index, (void)count, (void)columns;
    return SS_OK;
}
