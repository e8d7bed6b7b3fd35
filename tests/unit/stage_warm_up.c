/* What a stage runs before its first entry, where operations load kernels at their first use. */
#include "tests/unit/stage_bench.h"

static const struct ss_ops_table *real;
static bool seen_rows[BENCH_CONTEXT + 1], seen_samples[BENCH_CONTEXT + 1];

static enum ss_status attention(struct ss_ops *ops, struct ss_stream *stream,
                                const struct ss_step *step, const struct ss_kv_layout *kv,
                                uint32_t layer, ss_device_address qkv, uint32_t heads, float scale,
                                ss_device_address out)
{
    seen_rows[step->rows] = true;
    return real->attention(ops, stream, step, kv, layer, qkv, heads, scale, out);
}

static enum ss_status gather_rows(struct ss_ops *ops, struct ss_stream *stream,
                                  ss_device_address out, ss_device_address in,
                                  ss_device_address index, uint32_t count, uint32_t columns)
{
    seen_samples[count] = true;
    return real->gather_rows(ops, stream, out, in, index, count, columns);
}

/* A library may have a kernel for each small number of rows, so that one that was not run would be
 * loaded behind a load, for ever. */
Test(stage_warm_up, runs_every_small_number_of_rows)
{
    struct bench *bench = bench_open((struct bench_options){0});
    real = bench->ops->table;
    struct ss_ops_table late = *real;
    late.loads_late = true;
    late.attention = attention;
    late.gather_rows = gather_rows;
    bench->ops->table = &late;
    cr_assert_eq(ss_stage_warm_up(bench->stage), SS_OK, "%s", ss_status_message());
    bench->ops->table = real;
    for (uint32_t rows = 1; rows <= bench->options.limits.step_tokens_max; rows++)
        cr_assert(seen_rows[rows], "steps of %u rows", rows);
    for (uint32_t count = 1; count <= bench->options.limits.batch_max; count++)
        cr_assert(seen_samples[count], "%u samples", count);
    struct bench_sequence sequence = bench_sequence(LLAMA, 1);
    bench_load(bench, LLAMA, 5);
    bench_generate(bench, &sequence, 3);
    bench_close(bench);
}
