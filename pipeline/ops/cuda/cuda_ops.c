#include "pipeline/ops/cuda/cuda_ops.h"

#include "engine/base/memory.h"
#include "pipeline/ops/cuda/few_rows.h"
#include "pipeline/ops/cuda/internal.h"

static void destroy(struct ss_ops *base)
{
    struct ss_cuda_ops *ops = (struct ss_cuda_ops *)base;
    const ss_device_address blocks[] = {ops->workspace, ops->scratch_in, ops->scratch_out,
                                        ops->counters, ops->progress};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i])
            base->device->ops->free(base->device, blocks[i]);
    if (ops->plans)
        ss_cuda_plans_destroy(ops->plans);
    ss_free(ops);
}

#define TABLE(dtype, invariant)                                                                    \
    {                                                                                              \
        .name = "cuda", .batch_invariant = invariant, .activation_dtype = dtype,                   \
        .sum_dtype = dtype == SS_BF16 ? SS_F32 : dtype, .loads_late = true, .takes_padding = true, \
        .destroy = destroy, .gather_tokens = ss_cuda_gather_tokens, .embed = ss_cuda_embed,        \
        .add_positions = ss_cuda_add_positions, .linear = ss_cuda_linear, .dense = ss_cuda_dense,  \
        .layer_norm = ss_cuda_layer_norm, .rms_norm = ss_cuda_rms_norm, .add = ss_cuda_add,        \
        .silu_multiply = ss_cuda_silu_multiply, .rotate = ss_cuda_rotate,                          \
        .attention = ss_cuda_attention, .gather_rows = ss_cuda_gather_rows,                        \
        .sample = ss_cuda_sample, .store_tokens = ss_cuda_store_tokens,                            \
    }

/* By whether they are invariant. */
static const struct ss_ops_table tables_f16[] = {TABLE(SS_F16, false), TABLE(SS_F16, true)};
static const struct ss_ops_table tables_bf16[] = {TABLE(SS_BF16, false), TABLE(SS_BF16, true)};

static enum ss_status load_kernels(struct ss_cuda_ops *ops)
{
    struct ss_device *device = ops->base.device;
    int (*const loads[])(struct ss_cuda_ops *) = {ss_cuda_load_rows,
                                                  ss_cuda_load_tokens,
                                                  ss_cuda_load_norms,
                                                  ss_cuda_load_attention,
                                                  ss_cuda_load_attention_any,
                                                  ss_cuda_load_attention_split,
                                                  ss_cuda_load_attention_tiled,
                                                  ss_cuda_load_sample,
                                                  ss_cuda_load_few_rows};
    enum ss_status status = ss_cuda_begin(device, "load kernels");
    for (size_t i = 0; i < sizeof loads / sizeof *loads && !status; i++)
        status = ss_cuda_check(device, loads[i](ops), "load kernels: cudaFuncGetAttributes");
    return status;
}

static enum ss_status create(struct ss_device *device, const struct ss_ops_table *table,
                             struct ss_ops **out)
{
    struct ss_cuda_ops *ops;
    enum ss_status status = ss_alloc(&ops, 1, sizeof *ops, "CUDA operations");
    if (status)
        return status;
    ops->base = (struct ss_ops){.table = table, .device = device};
    ops->invariant = table->batch_invariant;
    status = device->ops->alloc(device, SS_CUDA_WORKSPACE_BYTES, &ops->workspace);
    if (!status)
        status = device->ops->alloc(device, SS_CUDA_SCRATCH_BYTES, &ops->scratch_in);
    if (!status)
        status = device->ops->alloc(device, SS_CUDA_SCRATCH_BYTES, &ops->scratch_out);
    if (!status)
        status = device->ops->alloc(device, SS_CUDA_COUNTERS_BYTES, &ops->counters);
    if (!status)
        status = device->ops->alloc(device, SS_CUDA_PROGRESS_BYTES, &ops->progress);
    if (!status)
        status = load_kernels(ops);
    if (!status)
        status = ss_cuda_plans_create(device, ops->invariant, &ops->plans);
    if (status) {
        destroy(&ops->base);
        return status;
    }
    *out = &ops->base;
    return SS_OK;
}

enum ss_status ss_cuda_ops_create(struct ss_device *device, const struct ss_ops_options *options,
                                  struct ss_ops **out)
{
    return create(device, &tables_f16[options->invariant], out);
}

enum ss_status ss_cuda_ops_create_bf16(struct ss_device *device,
                                       const struct ss_ops_options *options, struct ss_ops **out)
{
    return create(device, &tables_bf16[options->invariant], out);
}
