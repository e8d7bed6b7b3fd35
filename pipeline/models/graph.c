#include "pipeline/models/graph.h"

#include "engine/base/assert.h"

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t ss_vocab_part(const struct ss_shape *shape, int tp)
{
    return (shape->vocab + (uint32_t)tp - 1) / (uint32_t)tp;
}

struct ss_graph_widths ss_graph_widths(const struct ss_shape *shape, int tp)
{
    uint32_t n = (uint32_t)tp;
    return (struct ss_graph_widths){
        .hidden = shape->hidden,
        .wide = max_u32(shape->hidden, shape->embedding),
        .qkv = (shape->heads + 2 * shape->kv_heads) / n * shape->head_dim,
        .attended = shape->heads / n * shape->head_dim,
        .inner = max_u32(2 * (shape->ffn / n),
                         (shape->heads + 2 * shape->kv_heads) / n * shape->head_dim),
        .gated = shape->ffn / n,
        .vocab_part = ss_vocab_part(shape, tp),
    };
}

static const struct ss_weight *weight_of(const struct ss_chunk *chunk, ss_device_address address,
                                         int index, struct ss_weight *weight)
{
    SS_ASSERT(index < chunk->tensor_count);
    const struct ss_tensor *tensor = &chunk->tensors[index];
    if (tensor->rows == 0)
        return 0;
    *weight = (struct ss_weight){.address = address + tensor->offset,
                                 .dtype = tensor->dtype,
                                 .rows = tensor->rows,
                                 .columns = tensor->columns};
    return weight;
}

const struct ss_weight *ss_graph_weight(const struct ss_graph *graph, int index,
                                        struct ss_weight *weight)
{
    return weight_of(graph->chunk, graph->chunk_address, index, weight);
}

const struct ss_weight *ss_graph_embedding_table(const struct ss_graph *graph, int index,
                                                 struct ss_weight *weight)
{
    SS_ASSERT(graph->embedding);
    return weight_of(graph->embedding, graph->embedding_address, index, weight);
}

enum ss_status ss_graph_dense(struct ss_graph *graph, ss_device_address out, ss_device_address in,
                              const struct ss_norm *norm, int weight, int bias,
                              enum ss_activation activation, bool gated)
{
    struct ss_weight w, b;
    const struct ss_dense dense = {
        .out = out,
        .in = in,
        .rows = graph->step.rows,
        .weight = ss_graph_weight(graph, weight, &w),
        .bias = ss_graph_weight(graph, bias, &b),
        .norm = norm ? *norm : (struct ss_norm){.kind = SS_NORM_NONE},
        .activation = activation,
        .gated = gated,
        .normed = graph->normed,
        .product = graph->inner,
    };
    return graph->ops->table->dense(graph->ops, graph->stream, &dense);
}

enum ss_status ss_graph_dense_unfinished(struct ss_graph *graph, const struct ss_norm *norm,
                                         int weight, int bias)
{
    struct ss_weight w, b;
    const struct ss_dense dense = {
        .out = graph->inner,
        .in = graph->hidden,
        .rows = graph->step.rows,
        .weight = ss_graph_weight(graph, weight, &w),
        .bias = ss_graph_weight(graph, bias, &b),
        .norm = *norm,
        .unfinished = true,
        .normed = graph->normed,
    };
    return graph->ops->table->dense(graph->ops, graph->stream, &dense);
}

enum ss_status ss_graph_project(struct ss_graph *graph, ss_device_address in, int weight, int bias)
{
    const struct ss_ops_table *ops = graph->ops->table;
    uint32_t rows = graph->step.rows, hidden = graph->shape->hidden;
    struct ss_weight w, b;
    const struct ss_dense whole = {
        .out = graph->hidden,
        .in = in,
        .rows = rows,
        .weight = ss_graph_weight(graph, weight, &w),
        .bias = ss_graph_weight(graph, bias, &b),
        .adds = true,
        .product = graph->projected,
    };
    if (graph->cut.tp == 1)
        return ops->dense(graph->ops, graph->stream, &whole);
    enum ss_status status = ops->linear(graph->ops, graph->stream, graph->projected, in, rows,
                                        whole.weight, 0, SS_ACTIVATION_NONE, true);
    if (!status)
        status = graph->comm->table->all_reduce(graph->comm, graph->stream, graph->projected,
                                                (size_t)rows * hidden, ops->sum_dtype);
    if (!status)
        status = ops->add(graph->ops, graph->stream, graph->hidden, graph->projected, rows, hidden,
                          whole.bias);
    return status;
}

enum ss_status ss_graph_embed(struct ss_graph *graph, int index, ss_device_address out)
{
    const struct ss_ops_table *ops = graph->ops->table;
    struct ss_weight weight;
    const struct ss_weight *table = ss_graph_weight(graph, index, &weight);
    enum ss_status status =
        ops->embed(graph->ops, graph->stream, &graph->step, table,
                   (uint32_t)graph->cut.tp_rank * ss_vocab_part(graph->shape, graph->cut.tp), out);
    /* Every rank but one adds zeros: the sum is the row itself, bit for bit. */
    if (!status && graph->cut.tp > 1)
        status = graph->comm->table->all_reduce(graph->comm, graph->stream, out,
                                                (size_t)graph->step.rows * table->columns,
                                                ops->activation_dtype);
    return status;
}

enum ss_status ss_graph_logits(struct ss_graph *graph, ss_device_address in,
                               const struct ss_norm *norm, const struct ss_weight *table)
{
    const struct ss_ops_table *ops = graph->ops->table;
    bool split = graph->cut.tp > 1;
    const struct ss_dense dense = {
        .out = split ? graph->logits_part : graph->logits,
        .in = in,
        .rows = graph->sample_count,
        .weight = table,
        .norm = norm ? *norm : (struct ss_norm){.kind = SS_NORM_NONE},
        .normed = graph->normed,
    };
    enum ss_status status = ops->dense(graph->ops, graph->stream, &dense);
    if (!status && split)
        status = graph->comm->table->all_gather(
            graph->comm, graph->stream, graph->logits_part, graph->logits,
            (size_t)graph->sample_count * table->rows * ss_dtype_bytes(ops->activation_dtype));
    return status;
}
