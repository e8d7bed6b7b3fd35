/* What a stage needs besides the pool, computed from its options before anything is taken. */
#include "pipeline/stage/internal.h"

/* Shapes and models whose steps are kept; the least recently used gives way. */
#define RECORDED_MAX 64u
/* Of each, on the device: eight graphs of 247 nodes, 20 layers, took 2 MiB on an H200. */
#define RECORDED_BYTES ((uint64_t)1 << 20)

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct workspace measure(const struct ss_stage_options *options)
{
    const struct ss_ops_table *ops = options->ops->table;
    struct workspace space = {.activation_bytes = ss_dtype_bytes(ops->activation_dtype),
                              .sum_bytes = ss_dtype_bytes(ops->sum_dtype)};
    struct ss_graph_widths *most = &space.widths;
    for (uint32_t i = 0; i < options->model_count; i++) {
        const struct ss_stage_model *model = &options->models[i];
        struct ss_graph_widths widths = ss_graph_widths(model->shape, options->comm->tp);
        uint32_t blocks =
            (model->context_max + options->limits.block_tokens - 1) / options->limits.block_tokens;
        most->hidden = (uint32_t)max_u64(most->hidden, widths.hidden);
        most->wide = (uint32_t)max_u64(most->wide, widths.wide);
        most->qkv = (uint32_t)max_u64(most->qkv, widths.qkv);
        most->attended = (uint32_t)max_u64(most->attended, widths.attended);
        most->inner = (uint32_t)max_u64(most->inner, widths.inner);
        most->gated = (uint32_t)max_u64(most->gated, widths.gated);
        most->vocab_part = (uint32_t)max_u64(most->vocab_part, widths.vocab_part);
        space.blocks_stride = (uint32_t)max_u64(space.blocks_stride, blocks);
        space.tokens_max = (uint32_t)max_u64(space.tokens_max, model->context_max + 1);
        space.vocab_max = (uint32_t)max_u64(space.vocab_max, model->shape->vocab);
    }
    return space;
}

static size_t reserve(size_t *at, size_t bytes)
{
    size_t offset = *at;
    *at = ss_stage_align(offset + bytes, SS_TENSOR_ALIGN);
    return offset;
}

static struct flight_layout lay_out(const struct ss_stage_options *options,
                                    const struct workspace *space)
{
    const struct ss_stage_limits *limits = &options->limits;
    size_t rows = limits->step_tokens_max, sequences = limits->batch_max, at = 0;
    struct flight_layout layout;
    layout.positions = reserve(&at, rows * sizeof(int32_t));
    layout.sequence_of = reserve(&at, rows * sizeof(int32_t));
    layout.row_begin = reserve(&at, (sequences + 1) * sizeof(int32_t));
    layout.slots = reserve(&at, sequences * sizeof(int32_t));
    layout.blocks = reserve(&at, sequences * space->blocks_stride * sizeof(int32_t));
    layout.sample_rows = reserve(&at, sequences * sizeof(int32_t));
    layout.sampling = reserve(&at, sequences * sizeof(struct ss_sampling));
    layout.copied_bytes = at;
    layout.tokens_in = reserve(&at, rows * sizeof(int32_t));
    layout.tokens_out = reserve(&at, sequences * sizeof(int32_t));
    layout.device_bytes = at;
    layout.prompts = layout.copied_bytes;
    layout.host_bytes = layout.prompts + ss_stage_align(limits->message_bytes_max, SS_TENSOR_ALIGN);
    return layout;
}

static void measure_buffers(const struct ss_stage_options *options, struct needs *needs)
{
    const struct ss_stage_limits *limits = &options->limits;
    const struct ss_graph_widths *widths = &needs->workspace.widths;
    size_t activation = needs->workspace.activation_bytes;
    uint64_t *bytes = needs->buffer_bytes, row = limits->step_tokens_max * activation;
    uint64_t sum_row = limits->step_tokens_max * needs->workspace.sum_bytes;
    uint64_t logits =
        (uint64_t)limits->batch_max * widths->vocab_part * max_u64(activation, sizeof(float));
    bytes[HIDDEN] = row * widths->hidden;
    bytes[NORMED] = row * widths->wide;
    bytes[QKV] = row * widths->qkv;
    bytes[ATTENDED] = row * widths->attended;
    bytes[PROJECTED] = sum_row * widths->wide;
    bytes[INNER] = sum_row * widths->inner;
    bytes[GATED] = row * widths->gated;
    bytes[LOGITS_PART] = logits;
    bytes[LOGITS] = logits * (uint64_t)options->comm->tp;
    bytes[TABLE] = (uint64_t)limits->slots_max * needs->workspace.tokens_max * sizeof(int32_t);
    bytes[ARRAYS] = needs->layout.device_bytes;
    bytes[RETURNS] = needs->return_count * needs->return_bytes;
}

void ss_stage_measure(const struct ss_stage_options *options, struct needs *out)
{
    const struct ss_stage_limits *limits = &options->limits;
    size_t tokens = ss_stage_align(limits->batch_max * sizeof(int32_t), SS_TENSOR_ALIGN);
    struct needs needs = {.workspace = measure(options)};
    needs.layout = lay_out(options, &needs.workspace);
    if (options->comm->pp > 1) {
        needs.edge_tokens_at =
            ss_stage_align((size_t)limits->step_tokens_max * needs.workspace.widths.hidden *
                               needs.workspace.activation_bytes,
                           SS_TENSOR_ALIGN);
        needs.edge_bytes = needs.edge_tokens_at + tokens;
    }
    if (options->comm->pp > 1 && options->comm->stage == 0) {
        needs.return_count = limits->slots_max + limits->batches_in_flight;
        needs.return_tokens_at =
            ss_stage_align(limits->batch_max * sizeof(struct ss_sampling), SS_TENSOR_ALIGN);
        needs.return_bytes = needs.return_tokens_at + tokens;
    }
    if (options->graphs) {
        /* Batches in flight each use one at most, so what gives way is not under way. */
        needs.recorded_count = RECORDED_MAX + limits->batches_in_flight;
        needs.recorded_bytes = needs.recorded_count * RECORDED_BYTES;
    }
    measure_buffers(options, &needs);
    *out = needs;
}

uint64_t ss_stage_workspace_bytes(const struct ss_stage_options *options)
{
    struct needs needs;
    uint64_t total = 0;
    ss_stage_measure(options, &needs);
    for (int i = 0; i < BUFFERS; i++)
        total += ss_stage_align(needs.buffer_bytes[i], SS_TENSOR_ALIGN);
    total += options->limits.batches_in_flight * needs.edge_bytes + needs.recorded_bytes;
    for (uint32_t i = 0; i < options->model_count; i++)
        total += ss_stage_align(options->models[i].shape->head_dim * 2, SS_TENSOR_ALIGN);
    return total;
}
