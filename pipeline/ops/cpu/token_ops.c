#include "pipeline/ops/cpu/token_ops.h"

#include "swap/device/cpu/cpu.h"

/* Null where SLOT and POSITION are outside. */
static int32_t *find(const struct ss_token_table *table, int32_t slot, int32_t position)
{
    if (slot < 0 || (uint32_t)slot >= table->slots || position < 0 ||
        (uint32_t)position >= table->tokens_max)
        return 0;
    return (int32_t *)(uintptr_t)table->tokens + (size_t)slot * table->tokens_max + position;
}

static enum ss_status outside(const struct ss_token_table *table, int32_t slot, int32_t position)
{
    return ss_fail(SS_INTERNAL, "token table: slot %d, position %d; it has %u slots of %u tokens",
                   slot, position, table->slots, table->tokens_max);
}

struct gather {
    struct ss_token_table table;
    int32_t *tokens;
    const int32_t *positions, *sequence_of, *slots;
    uint32_t rows;
};

static enum ss_status run_gather(void *arguments)
{
    const struct gather *call = arguments;
    for (uint32_t row = 0; row < call->rows; row++) {
        int32_t slot = call->slots[call->sequence_of[row]], position = call->positions[row];
        const int32_t none = 0, *token = find(&call->table, slot, position);
        if (position < 0) /* padding */
            token = &none;
        if (!token)
            return outside(&call->table, slot, position);
        call->tokens[row] = *token;
    }
    return SS_OK;
}

enum ss_status ss_cpu_queue_gather_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                          const struct ss_step *step,
                                          const struct ss_token_table *table)
{
    (void)ops;
    const struct gather call = {.table = *table,
                                .tokens = (int32_t *)(uintptr_t)step->tokens,
                                .positions = (const int32_t *)(uintptr_t)step->positions,
                                .sequence_of = (const int32_t *)(uintptr_t)step->sequence_of,
                                .slots = (const int32_t *)(uintptr_t)step->slots,
                                .rows = step->rows};
    return ss_cpu_stream_run(stream, run_gather, &call, sizeof call);
}

enum ss_status ss_cpu_store_token(const struct ss_token_table *table,
                                  const struct ss_sampling *sampling, int32_t token)
{
    int32_t *place = find(table, sampling->slot, sampling->position);
    if (sampling->slot < 0) /* padding */
        return SS_OK;
    if (!place)
        return outside(table, sampling->slot, sampling->position);
    *place = token;
    return SS_OK;
}

struct store {
    struct ss_token_table table;
    const int32_t *tokens;
    const struct ss_sampling *sampling;
    uint32_t count;
};

static enum ss_status run_store(void *arguments)
{
    const struct store *call = arguments;
    enum ss_status status = SS_OK;
    for (uint32_t i = 0; i < call->count && !status; i++)
        status = ss_cpu_store_token(&call->table, &call->sampling[i], call->tokens[i]);
    return status;
}

enum ss_status ss_cpu_queue_store_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                         ss_device_address tokens, uint32_t count,
                                         ss_device_address sampling,
                                         const struct ss_token_table *table)
{
    (void)ops;
    const struct store call = {.table = *table,
                               .tokens = (const int32_t *)(uintptr_t)tokens,
                               .sampling = (const struct ss_sampling *)(uintptr_t)sampling,
                               .count = count};
    return ss_cpu_stream_run(stream, run_store, &call, sizeof call);
}
