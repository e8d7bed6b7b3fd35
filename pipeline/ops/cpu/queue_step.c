#include "engine/base/assert.h"
#include "pipeline/ops/cpu/queue.h"
#include "pipeline/ops/cpu/row_ops.h"
#include "swap/device/cpu/cpu.h"

static const int32_t *int32_at(ss_device_address address)
{
    return (const int32_t *)(uintptr_t)address;
}

/* embed and add_positions: rows of a table, chosen by an index per row. */
struct look_up {
    float *out;
    const int32_t *index; /* tokens or positions */
    uint32_t rows, first;
    struct ss_cpu_table table;
};

static struct look_up look_up_of(const struct ss_step *step, ss_device_address index,
                                 const struct ss_weight *table, uint32_t first,
                                 ss_device_address out)
{
    return (struct look_up){.out = (float *)(uintptr_t)out,
                            .index = int32_at(index),
                            .rows = step->rows,
                            .first = first,
                            .table = {.data = (const void *)(uintptr_t)table->address,
                                      .dtype = table->dtype,
                                      .rows = table->rows,
                                      .columns = table->columns}};
}

static enum ss_status run_embed(void *arguments)
{
    const struct look_up *call = arguments;
    ss_cpu_embed(call->out, call->index, call->rows, &call->table, call->first);
    return SS_OK;
}

enum ss_status ss_cpu_queue_embed(struct ss_ops *ops, struct ss_stream *stream,
                                  const struct ss_step *step, const struct ss_weight *table,
                                  uint32_t first_token, ss_device_address out)
{
    (void)ops;
    struct look_up call = look_up_of(step, step->tokens, table, first_token, out);
    return ss_cpu_stream_run(stream, run_embed, &call, sizeof call);
}

static enum ss_status run_add_positions(void *arguments)
{
    const struct look_up *call = arguments;
    return ss_cpu_add_positions(call->out, call->index, call->rows, &call->table, call->first);
}

enum ss_status ss_cpu_queue_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                          const struct ss_step *step, const struct ss_weight *table,
                                          uint32_t offset, ss_device_address out)
{
    (void)ops;
    struct look_up call = look_up_of(step, step->positions, table, offset, out);
    return ss_cpu_stream_run(stream, run_add_positions, &call, sizeof call);
}

struct rotate {
    float *out;
    const float *in;
    const int32_t *positions;
    const float *frequencies;
    uint32_t rows, heads, kv_heads, head_dim;
};

static enum ss_status run_rotate(void *arguments)
{
    const struct rotate *call = arguments;
    ss_cpu_rotate(call->out, call->in, call->positions, call->rows, call->heads, call->kv_heads,
                  call->head_dim, call->frequencies);
    return SS_OK;
}

static enum ss_status check_head_dim(uint32_t head_dim)
{
    if (head_dim > SS_CPU_HEAD_DIM_MAX)
        return ss_fail(SS_UNSUPPORTED, "head dimension %u: the CPU operations take at most %u",
                       head_dim, SS_CPU_HEAD_DIM_MAX);
    return SS_OK;
}

enum ss_status ss_cpu_queue_rotate(struct ss_ops *ops, struct ss_stream *stream,
                                   const struct ss_step *step, ss_device_address out,
                                   ss_device_address in, uint32_t heads, uint32_t kv_heads,
                                   uint32_t head_dim, ss_device_address frequencies)
{
    (void)ops;
    enum ss_status status = check_head_dim(head_dim);
    if (status)
        return status;
    SS_ASSERT(head_dim % 2 == 0);
    const struct rotate call = {.out = (float *)(uintptr_t)out,
                                .in = (const float *)(uintptr_t)in,
                                .positions = int32_at(step->positions),
                                .frequencies = (const float *)(uintptr_t)frequencies,
                                .rows = step->rows,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_dim = head_dim};
    return ss_cpu_stream_run(stream, run_rotate, &call, sizeof call);
}

struct attention {
    const struct ss_cpu_kernels *kernels;
    struct ss_cpu_attention call;
};

static enum ss_status run_attention(void *arguments)
{
    const struct attention *attention = arguments;
    ss_cpu_write_kv(&attention->call);
    attention->kernels->attention(&attention->call);
    return SS_OK;
}

enum ss_status ss_cpu_queue_attention(struct ss_ops *ops, struct ss_stream *stream,
                                      const struct ss_step *step, const struct ss_kv_layout *kv,
                                      uint32_t layer, ss_device_address qkv, uint32_t heads,
                                      float scale, ss_device_address out)
{
    enum ss_status status = check_head_dim(kv->head_dim);
    if (status)
        return status;
    SS_ASSERT(kv->kv_heads > 0 && heads % kv->kv_heads == 0 && kv->block_tokens > 0);
    const struct attention attention = {
        .kernels = ((struct ss_cpu_ops *)ops)->kernels,
        .call = {.out = (float *)(uintptr_t)out,
                 .qkv = (const float *)(uintptr_t)qkv,
                 .rows = step->rows,
                 .heads = heads,
                 .positions = int32_at(step->positions),
                 .sequence_of = int32_at(step->sequence_of),
                 .blocks = int32_at(step->blocks),
                 .blocks_stride = step->blocks_stride,
                 .kv = *kv,
                 .layer = layer,
                 .scale = scale},
    };
    return ss_cpu_stream_run(stream, run_attention, &attention, sizeof attention);
}

struct gather {
    float *out;
    const float *in;
    const int32_t *index;
    uint32_t count, columns;
};

static enum ss_status run_gather(void *arguments)
{
    const struct gather *call = arguments;
    ss_cpu_gather_rows(call->out, call->in, call->index, call->count, call->columns);
    return SS_OK;
}

enum ss_status ss_cpu_queue_gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                        ss_device_address out, ss_device_address in,
                                        ss_device_address index, uint32_t count, uint32_t columns)
{
    (void)ops;
    const struct gather call = {.out = (float *)(uintptr_t)out,
                                .in = (const float *)(uintptr_t)in,
                                .index = int32_at(index),
                                .count = count,
                                .columns = columns};
    return ss_cpu_stream_run(stream, run_gather, &call, sizeof call);
}
