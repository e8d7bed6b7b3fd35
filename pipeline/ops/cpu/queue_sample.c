#include <stdbool.h>

#include "engine/base/memory.h"
#include "pipeline/ops/cpu/queue.h"
#include "pipeline/ops/cpu/sample.h"
#include "pipeline/ops/cpu/token_ops.h"
#include "swap/device/cpu/cpu.h"

struct sample {
    struct ss_cpu_ops *ops;
    struct ss_cpu_logits logits;
    const struct ss_sampling *sampling;
    int32_t *tokens;
    bool stores;
    struct ss_token_table table;
};

static enum ss_status grow_heap(struct ss_cpu_ops *ops, uint32_t vocab)
{
    if (ops->heap_count >= vocab)
        return SS_OK;
    enum ss_status status =
        ss_realloc(&ops->heap, vocab, sizeof *ops->heap, "candidates for sampling");
    if (!status)
        ops->heap_count = vocab;
    return status;
}

static enum ss_status run_sample(void *arguments)
{
    struct sample *call = arguments;
    struct ss_cpu_ops *ops = call->ops;
    pthread_mutex_lock(&ops->lock);
    enum ss_status status = grow_heap(ops, call->logits.vocab);
    for (uint32_t i = 0; i < call->logits.count && !status; i++) {
        call->logits.row = i;
        call->tokens[i] = ss_cpu_sample(&call->logits, &call->sampling[i], ops->heap);
        if (call->stores)
            status = ss_cpu_store_token(&call->table, &call->sampling[i], call->tokens[i]);
    }
    pthread_mutex_unlock(&ops->lock);
    return status;
}

enum ss_status ss_cpu_queue_sample(struct ss_ops *ops, struct ss_stream *stream,
                                   ss_device_address logits, uint32_t count, uint32_t parts,
                                   uint32_t part_columns, uint32_t vocab,
                                   ss_device_address sampling, ss_device_address tokens,
                                   const struct ss_token_table *table)
{
    const struct sample call = {.ops = (struct ss_cpu_ops *)ops,
                                .logits = {.data = (const float *)(uintptr_t)logits,
                                           .count = count,
                                           .parts = parts,
                                           .part_columns = part_columns,
                                           .vocab = vocab},
                                .sampling = (const struct ss_sampling *)(uintptr_t)sampling,
                                .tokens = (int32_t *)(uintptr_t)tokens,
                                .stores = table != 0,
                                .table = table ? *table : (struct ss_token_table){0}};
    return ss_cpu_stream_run(stream, run_sample, &call, sizeof call);
}
