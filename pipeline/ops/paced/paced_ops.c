#include "pipeline/ops/paced/paced_ops.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "pipeline/ops/cpu/token_ops.h"
#include "pipeline/ops/paced/free_ops.h"
#include "swap/device/cpu/cpu.h"

#define ACTIVATION_BYTES 2.0

struct paced_ops {
    struct ss_ops base;
    struct ss_ops_profile profile;
};

static void pace(const struct ss_ops_profile *profile, double bytes, double flops)
{
    double memory_s = bytes / profile->memory_bytes_per_s;
    double compute_s = flops / profile->flops_per_s;
    double seconds = (memory_s > compute_s ? memory_s : compute_s) + profile->overhead_s;
    ss_cpu_stream_pace((uint64_t)(seconds * SS_NS_PER_S + 0.5));
}

struct linear {
    struct ss_ops_profile profile;
    double bytes, flops;
};

static enum ss_status run_linear(void *arguments)
{
    const struct linear *call = arguments;
    pace(&call->profile, call->bytes, call->flops);
    return SS_OK;
}

static enum ss_status queue_linear(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address out, ss_device_address in, uint32_t rows,
                                   const struct ss_weight *weight, const struct ss_weight *bias,
                                   enum ss_activation activation, bool unfinished)
{
    (void)out, (void)in, (void)bias, (void)activation, (void)unfinished;
    double m = rows, n = weight->rows, k = weight->columns;
    const struct linear call = {.profile = ((struct paced_ops *)ops)->profile,
                                .bytes = n * k * (double)ss_dtype_bytes(weight->dtype) +
                                         m * (n + k) * ACTIVATION_BYTES,
                                .flops = 2 * m * n * k};
    return ss_cpu_stream_run(stream, run_linear, &call, sizeof call);
}

struct attention {
    struct ss_ops_profile profile;
    const int32_t *positions, *row_begin;
    uint32_t rows, sequences, heads, kv_heads, head_dim;
};

/* The contexts are known on the stream only. Each sequence's keys and values are read once, up to
 * its last row. */
static enum ss_status run_attention(void *arguments)
{
    const struct attention *call = arguments;
    double positions_read = 0, pairs = 0;
    for (uint32_t s = 0; s < call->sequences; s++)
        if (call->row_begin[s + 1] > call->row_begin[s])
            positions_read += call->positions[call->row_begin[s + 1] - 1] + 1.0;
    for (uint32_t row = 0; row < call->rows; row++)
        pairs += call->positions[row] + 1.0;
    double dim = call->head_dim, query_width = call->heads * dim, kv_width = call->kv_heads * dim;
    double elements = (positions_read + call->rows) * 2 * kv_width + 2.0 * call->rows * query_width;
    pace(&call->profile, elements * ACTIVATION_BYTES, 4 * pairs * query_width);
    return SS_OK;
}

static enum ss_status queue_attention(struct ss_ops *ops, struct ss_stream *stream,
                                      const struct ss_step *step, const struct ss_kv_layout *kv,
                                      uint32_t layer, ss_device_address qkv, uint32_t heads,
                                      float scale, ss_device_address out)
{
    (void)layer, (void)qkv, (void)scale, (void)out;
    const struct attention call = {.profile = ((struct paced_ops *)ops)->profile,
                                   .positions = (const int32_t *)(uintptr_t)step->positions,
                                   .row_begin = (const int32_t *)(uintptr_t)step->row_begin,
                                   .rows = step->rows,
                                   .sequences = step->sequences,
                                   .heads = heads,
                                   .kv_heads = kv->kv_heads,
                                   .head_dim = kv->head_dim};
    return ss_cpu_stream_run(stream, run_attention, &call, sizeof call);
}

struct sample {
    const struct ss_sampling *sampling;
    int32_t *tokens;
    uint32_t count, vocab;
    bool stores;
    struct ss_token_table table;
};

static enum ss_status run_sample(void *arguments)
{
    const struct sample *call = arguments;
    enum ss_status status = SS_OK;
    for (uint32_t i = 0; i < call->count && !status; i++) {
        const struct ss_sampling *sampling = &call->sampling[i];
        uint64_t bits = ss_random_u64(sampling->seed, (uint64_t)sampling->position);
        call->tokens[i] = (int32_t)(bits % call->vocab);
        if (call->stores)
            status = ss_cpu_store_token(&call->table, sampling, call->tokens[i]);
    }
    return status;
}

static enum ss_status queue_sample(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address logits, uint32_t count, uint32_t parts,
                                   uint32_t part_columns, uint32_t vocab,
                                   ss_device_address sampling, ss_device_address tokens,
                                   const struct ss_token_table *table)
{
    (void)ops, (void)logits, (void)parts, (void)part_columns;
    const struct sample call = {.sampling = (const struct ss_sampling *)(uintptr_t)sampling,
                                .tokens = (int32_t *)(uintptr_t)tokens,
                                .count = count,
                                .vocab = vocab,
                                .stores = table != 0,
                                .table = table ? *table : (struct ss_token_table){0}};
    return ss_cpu_stream_run(stream, run_sample, &call, sizeof call);
}

static void destroy(struct ss_ops *ops)
{
    ss_free(ops);
}

static const struct ss_ops_table table = {
    .name = "paced",
    .batch_invariant = true,
    .activation_dtype = SS_F32,
    .sum_dtype = SS_F32,
    .destroy = destroy,
    .gather_tokens = ss_cpu_queue_gather_tokens,
    .embed = ss_paced_free_embed,
    .add_positions = ss_paced_free_add_positions,
    .linear = queue_linear,
    .dense = ss_dense_compose,
    .layer_norm = ss_paced_free_layer_norm,
    .rms_norm = ss_paced_free_rms_norm,
    .add = ss_paced_free_add,
    .silu_multiply = ss_paced_free_silu_multiply,
    .rotate = ss_paced_free_rotate,
    .attention = queue_attention,
    .gather_rows = ss_paced_free_gather_rows,
    .sample = queue_sample,
    .store_tokens = ss_cpu_queue_store_tokens,
};

enum ss_status ss_paced_ops_create(struct ss_device *device, const struct ss_ops_options *options,
                                   struct ss_ops **out)
{
    const struct ss_ops_profile *profile = &options->profile;
    if (!(profile->memory_bytes_per_s > 0) || !(profile->flops_per_s > 0) ||
        !(profile->overhead_s >= 0))
        return ss_fail(SS_INVALID,
                       "paced operations: profile of %g bytes/s, %g flop/s, %g s overhead: rates "
                       "must be above zero, the overhead not below",
                       profile->memory_bytes_per_s, profile->flops_per_s, profile->overhead_s);
    struct paced_ops *ops;
    enum ss_status status = ss_alloc(&ops, 1, sizeof *ops, "paced operations");
    if (status)
        return status;
    *ops = (struct paced_ops){.base = {.table = &table, .device = device}, .profile = *profile};
    *out = &ops->base;
    return SS_OK;
}
