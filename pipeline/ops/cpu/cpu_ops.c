#include "pipeline/ops/cpu/cpu_ops.h"

#include "engine/base/memory.h"
#include "pipeline/ops/cpu/queue.h"
#include "pipeline/ops/cpu/token_ops.h"

static void destroy(struct ss_ops *base)
{
    struct ss_cpu_ops *ops = (struct ss_cpu_ops *)base;
    ss_cpu_scratch_destroy(ops->scratch);
    ss_free(ops->heap);
    pthread_mutex_destroy(&ops->lock);
    ss_free(ops);
}

static const struct ss_ops_table table = {
    .name = "cpu",
    .batch_invariant = true,
    .activation_dtype = SS_F32,
    .sum_dtype = SS_F32,
    .takes_padding = true,
    .destroy = destroy,
    .gather_tokens = ss_cpu_queue_gather_tokens,
    .embed = ss_cpu_queue_embed,
    .add_positions = ss_cpu_queue_add_positions,
    .linear = ss_cpu_queue_linear,
    .dense = ss_dense_compose,
    .layer_norm = ss_cpu_queue_layer_norm,
    .rms_norm = ss_cpu_queue_rms_norm,
    .add = ss_cpu_queue_add,
    .silu_multiply = ss_cpu_queue_silu_multiply,
    .rotate = ss_cpu_queue_rotate,
    .attention = ss_cpu_queue_attention,
    .gather_rows = ss_cpu_queue_gather_rows,
    .sample = ss_cpu_queue_sample,
    .store_tokens = ss_cpu_queue_store_tokens,
};

enum ss_status ss_cpu_ops_create(struct ss_device *device, const struct ss_ops_options *options,
                                 struct ss_ops **out)
{
    (void)options;
    struct ss_cpu_ops *ops;
    enum ss_status status = ss_alloc(&ops, 1, sizeof *ops, "CPU operations");
    if (status)
        return status;
    ops->base = (struct ss_ops){.table = &table, .device = device};
    ops->kernels = ss_cpu_kernels_at(0);
    status = ss_cpu_scratch_create(&ops->scratch);
    if (status) {
        ss_free(ops);
        return status;
    }
    pthread_mutex_init(&ops->lock, 0);
    *out = &ops->base;
    return SS_OK;
}
