#include "engine/base/assert.h"
#include "pipeline/ops/ops.h"

static enum ss_status apply_norm(struct ss_ops *ops, struct ss_stream *stream,
                                 const struct ss_dense *dense)
{
    const struct ss_norm *norm = &dense->norm;
    uint32_t columns = dense->weight->columns;
    return norm->kind == SS_NORM_LAYER
               ? ops->table->layer_norm(ops, stream, dense->normed, dense->in, dense->rows, columns,
                                        norm->weight, norm->bias, norm->epsilon)
               : ops->table->rms_norm(ops, stream, dense->normed, dense->in, dense->rows, columns,
                                      norm->weight, norm->epsilon);
}

enum ss_status ss_dense_compose(struct ss_ops *ops, struct ss_stream *stream,
                                const struct ss_dense *dense)
{
    const struct ss_ops_table *table = ops->table;
    const struct ss_weight *weight = dense->weight;
    bool normed = dense->norm.kind != SS_NORM_NONE, plain = !dense->gated && !dense->adds;
    /* A bias that comes last is left to the addition. */
    bool late = dense->adds && dense->activation == SS_ACTIVATION_NONE;
    SS_ASSERT(!dense->gated || (!dense->adds && dense->activation == SS_ACTIVATION_NONE));
    enum ss_status status = normed ? apply_norm(ops, stream, dense) : SS_OK;
    if (!status)
        status =
            table->linear(ops, stream, plain ? dense->out : dense->product,
                          normed ? dense->normed : dense->in, dense->rows, weight,
                          late ? 0 : dense->bias, dense->activation, !plain || dense->unfinished);
    if (!status && dense->gated)
        status = table->silu_multiply(ops, stream, dense->out, dense->product, dense->rows,
                                      weight->rows / 2);
    if (!status && dense->adds)
        status = table->add(ops, stream, dense->out, dense->product, dense->rows, weight->rows,
                            late ? dense->bias : 0);
    return status;
}
