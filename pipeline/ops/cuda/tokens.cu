/* Token ids: the table of all sequences, and rows of embedding tables chosen by an index. */
#include "pipeline/ops/cuda/elements.cuh"

#define THREADS 256

static __global__ void gather_tokens(int *tokens, const int *positions, const int *sequence_of,
                                     const int *slots, unsigned rows, struct ss_token_table table)
{
    unsigned row = blockIdx.x * THREADS + threadIdx.x;
    if (row >= rows)
        return;
    unsigned slot = (unsigned)slots[sequence_of[row]], position = (unsigned)positions[row];
    if (slot < table.slots && position < table.tokens_max)
        tokens[row] = ((const int *)table.tokens)[(size_t)slot * table.tokens_max + position];
}

static __global__ void store_tokens(const int *tokens, const struct ss_sampling *sampling,
                                    unsigned count, struct ss_token_table table)
{
    unsigned i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= count)
        return;
    unsigned slot = (unsigned)sampling[i].slot, position = (unsigned)sampling[i].position;
    if (slot < table.slots && position < table.tokens_max)
        ((int *)table.tokens)[(size_t)slot * table.tokens_max + position] = tokens[i];
}

template <typename T>
static __global__ void embed(T *out, const int *tokens, struct weights table, unsigned table_rows,
                             unsigned columns, unsigned first)
{
    long long index = (long long)tokens[blockIdx.x] - first;
    bool here = index >= 0 && index < table_rows;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        out[(size_t)blockIdx.x * columns + c] =
            narrow<T>(here ? table.at((size_t)index * columns + c) : 0.0f);
}

template <typename T>
static __global__ void add_positions(T *out, const int *positions, struct weights table,
                                     unsigned table_rows, unsigned columns, unsigned offset)
{
    long long index = (long long)positions[blockIdx.x] + offset;
    if (index < 0 || index >= table_rows)
        return;
    T *to = out + (size_t)blockIdx.x * columns;
    for (unsigned c = threadIdx.x; c < columns; c += THREADS)
        to[c] = narrow<T>(widen(to[c]) + table.at((size_t)index * columns + c));
}

extern "C" enum ss_status ss_cuda_gather_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                                const struct ss_step *step,
                                                const struct ss_token_table *table)
{
    if (step->rows == 0)
        return SS_OK;
    return launch_by_type(ops, "gather_tokens", [&](auto) {
        gather_tokens<<<(step->rows + THREADS - 1) / THREADS, THREADS, 0, native(stream)>>>(
            (int *)step->tokens, (const int *)step->positions, (const int *)step->sequence_of,
            (const int *)step->slots, step->rows, *table);
    });
}

extern "C" enum ss_status ss_cuda_store_tokens(struct ss_ops *ops, struct ss_stream *stream,
                                               ss_device_address tokens, uint32_t count,
                                               ss_device_address sampling,
                                               const struct ss_token_table *table)
{
    if (count == 0)
        return SS_OK;
    return launch_by_type(ops, "store_tokens", [&](auto) {
        store_tokens<<<(count + THREADS - 1) / THREADS, THREADS, 0, native(stream)>>>(
            (const int *)tokens, (const struct ss_sampling *)sampling, count, *table);
    });
}

extern "C" enum ss_status ss_cuda_embed(struct ss_ops *ops, struct ss_stream *stream,
                                        const struct ss_step *step, const struct ss_weight *table,
                                        uint32_t first_token, ss_device_address out)
{
    if (step->rows == 0)
        return SS_OK;
    return launch_by_type(ops, "embed", [&](auto type) {
        using T = decltype(type);
        embed<T><<<step->rows, THREADS, 0, native(stream)>>>((T *)out, (const int *)step->tokens,
                                                             weights_of(table), table->rows,
                                                             table->columns, first_token);
    });
}

extern "C" enum ss_status ss_cuda_add_positions(struct ss_ops *ops, struct ss_stream *stream,
                                                const struct ss_step *step,
                                                const struct ss_weight *table, uint32_t offset,
                                                ss_device_address out)
{
    if (step->rows == 0)
        return SS_OK;
    return launch_by_type(ops, "add_positions", [&](auto type) {
        using T = decltype(type);
        add_positions<T><<<step->rows, THREADS, 0, native(stream)>>>(
            (T *)out, (const int *)step->positions, weights_of(table), table->rows, table->columns,
            offset);
    });
}

extern "C" int ss_cuda_load_tokens(struct ss_cuda_ops *)
{
    return load_kernels(gather_tokens, store_tokens, embed<__half>, embed<__nv_bfloat16>,
                        add_positions<__half>, add_positions<__nv_bfloat16>);
}
