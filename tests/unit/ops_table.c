/* The operations through their table, on a stream of the CPU device: what is queued is what the
 * kernels compute, in order; and the registry says what there is. */
#include "tests/unit/ops_bench.h"

#include "pipeline/ops/cpu/row_ops.h"
#include "pipeline/ops/cpu/sample.h"

TestSuite(ops_table, .init = open_real_ops, .fini = close_ops);

static void free_on_device(const struct ss_weight *weight)
{
    device->ops->free(device, weight->address);
}

Test(ops_table, says_what_it_is)
{
    cr_assert_str_eq(ops->table->name, "cpu");
    cr_assert(ops->table->batch_invariant);
    cr_assert_eq(ops->table->activation_dtype, SS_F32);
    cr_assert_eq(ops->device, device);
}

Test(ops_table, unknown_operations_are_refused_by_name)
{
    const struct ss_ops_options options = {.kind = "imagined"};
    struct ss_ops *none = 0;
    cr_assert_eq(ss_ops_create(device, &options, &none), SS_UNSUPPORTED);
    cr_assert(strstr(ss_status_message(), "imagined") && strstr(ss_status_message(), "paced"), "%s",
              ss_status_message());
    cr_assert_null(none);
}

Test(ops_table, linear_with_every_activation)
{
    enum { ROWS = 20, K = 50, N = 33 };
    struct ss_cpu_scratch *scratch;
    cr_assert_eq(ss_cpu_scratch_create(&scratch), SS_OK);
    float *in = random_floats(ROWS * K, 1), out[ROWS * N], expected[ROWS * N];
    ss_device_address in_address = to_device(in, sizeof *in * ROWS * K);
    for (int activation = SS_ACTIVATION_NONE; activation <= SS_ACTIVATION_GELU; activation++) {
        struct test_weights weights = random_weights(N * K, dtypes[activation], 2);
        struct test_weights biases = random_weights(N, SS_BF16, 3);
        struct ss_weight weight = weight_on_device(&weights, N, K);
        struct ss_weight bias = weight_on_device(&biases, 1, N);
        ss_device_address out_address = to_device(0, sizeof out);
        const struct ss_cpu_linear call = {.out = expected,
                                           .in = in,
                                           .rows = ROWS,
                                           .k = K,
                                           .n = N,
                                           .weight = weights.data,
                                           .dtype = weights.dtype,
                                           .bias = vector_of_weights(&biases),
                                           .activation = (enum ss_activation)activation};
        ss_cpu_kernels_at(0)->linear(&call, scratch);
        if (activation == SS_ACTIVATION_GELU)
            ss_cpu_gelu(expected, ROWS * N);
        cr_assert_eq(ops->table->linear(ops, stream, out_address, in_address, ROWS, &weight, &bias,
                                        (enum ss_activation)activation, false),
                     SS_OK);
        from_device(out, out_address, sizeof out);
        same_bits(expected, out, ROWS * N, "linear");
        free_on_device(&weight);
        free_on_device(&bias);
        free_weights(&weights);
        free_weights(&biases);
    }
    device->ops->free(device, in_address);
    ss_cpu_scratch_destroy(scratch);
    free(in);
}

Test(ops_table, norms_sums_and_gates)
{
    enum { ROWS = 4, COLUMNS = 40 };
    float *in = random_floats(ROWS * COLUMNS, 4), out[ROWS * COLUMNS], expected[ROWS * COLUMNS];
    struct test_weights weights = random_weights(COLUMNS, SS_F16, 5);
    struct test_weights biases = random_weights(COLUMNS, SS_F32, 6);
    struct ss_weight weight = weight_on_device(&weights, 1, COLUMNS);
    struct ss_weight bias = weight_on_device(&biases, 1, COLUMNS);
    ss_device_address a = to_device(in, sizeof out), b = to_device(in, sizeof out);
    struct ss_cpu_norm norm = {.out = expected,
                               .in = in,
                               .rows = ROWS,
                               .columns = COLUMNS,
                               .weight = vector_of_weights(&weights),
                               .bias = vector_of_weights(&biases),
                               .epsilon = 1e-5f};
    /* A chain in stream order: b = rms(layer(a)) + a + bias, a = silu of b's halves. */
    ss_cpu_kernels_at(0)->layer_norm(&norm);
    norm.in = expected;
    norm.bias.data = 0;
    ss_cpu_kernels_at(0)->rms_norm(&norm);
    const struct ss_cpu_vector bias_vector = vector_of_weights(&biases);
    ss_cpu_add(expected, in, ROWS, COLUMNS, &bias_vector);
    float gated[ROWS * COLUMNS / 2];
    ss_cpu_kernels_at(0)->silu_multiply(gated, expected, ROWS, COLUMNS / 2);
    const struct ss_ops_table *t = ops->table;
    cr_assert_eq(t->layer_norm(ops, stream, b, a, ROWS, COLUMNS, &weight, &bias, 1e-5f), SS_OK);
    cr_assert_eq(t->rms_norm(ops, stream, b, b, ROWS, COLUMNS, &weight, 1e-5f), SS_OK);
    cr_assert_eq(t->add(ops, stream, b, a, ROWS, COLUMNS, &bias), SS_OK);
    cr_assert_eq(t->silu_multiply(ops, stream, a, b, ROWS, COLUMNS / 2), SS_OK);
    from_device(out, b, sizeof out);
    same_bits(expected, out, COUNT(out), "layer, rms, add");
    from_device(out, a, sizeof gated);
    same_bits(gated, out, COUNT(gated), "silu");
    free_on_device(&weight);
    free_on_device(&bias);
    free_weights(&weights);
    free_weights(&biases);
    free(in);
}

/* Two sequences: slots 2 and 0 of a token table, at positions 3, 4 and 1. */
enum { STEP_ROWS = 3, SLOTS = 3, TOKENS_MAX = 6 };
static const int32_t positions[STEP_ROWS] = {3, 4, 1}, owners[STEP_ROWS] = {0, 0, 1};
static const int32_t row_begin[] = {0, 2, 3}, slots[] = {2, 0};

static struct ss_step step_on_device(void)
{
    static const int32_t blocks[] = {4, 1, 0, 2, 3, 5};
    return (struct ss_step){.rows = STEP_ROWS,
                            .sequences = 2,
                            .tokens = to_device(0, sizeof positions),
                            .positions = to_device(positions, sizeof positions),
                            .sequence_of = to_device(owners, sizeof owners),
                            .row_begin = to_device(row_begin, sizeof row_begin),
                            .slots = to_device(slots, sizeof slots),
                            .blocks = to_device(blocks, sizeof blocks),
                            .blocks_stride = 3,
                            .rows_max_per_sequence = 2,
                            .context_max = 5};
}

static void free_step(const struct ss_step *step)
{
    const ss_device_address all[] = {step->tokens,    step->positions, step->sequence_of,
                                     step->row_begin, step->slots,     step->blocks};
    for (size_t i = 0; i < COUNT(all); i++)
        device->ops->free(device, all[i]);
}

static struct ss_token_table table_on_device(int32_t *tokens)
{
    for (int i = 0; i < SLOTS * TOKENS_MAX; i++)
        tokens[i] = i % 10;
    return (struct ss_token_table){.tokens = to_device(tokens, sizeof *tokens * SLOTS * TOKENS_MAX),
                                   .slots = SLOTS,
                                   .tokens_max = TOKENS_MAX};
}

Test(ops_table, tokens_are_gathered_and_embedded)
{
    enum { VOCAB = 10, COLUMNS = 17 };
    int32_t tokens[SLOTS * TOKENS_MAX], gathered[STEP_ROWS];
    struct ss_token_table table = table_on_device(tokens);
    struct ss_step step = step_on_device();
    struct test_weights embeddings = random_weights(VOCAB * COLUMNS, SS_BF16, 1);
    struct test_weights places = random_weights(8 * COLUMNS, SS_F16, 2);
    struct ss_weight embedding = weight_on_device(&embeddings, VOCAB, COLUMNS);
    struct ss_weight place = weight_on_device(&places, 8, COLUMNS);
    float out[STEP_ROWS * COLUMNS];
    ss_device_address out_address = to_device(0, sizeof out);
    const struct ss_ops_table *t = ops->table;
    cr_assert_eq(t->gather_tokens(ops, stream, &step, &table), SS_OK);
    cr_assert_eq(t->embed(ops, stream, &step, &embedding, 0, out_address), SS_OK);
    cr_assert_eq(t->add_positions(ops, stream, &step, &place, 2, out_address), SS_OK);
    from_device(out, out_address, sizeof out);
    cr_assert_eq(device->ops->copy_to_host(stream, gathered, step.tokens, sizeof gathered), SS_OK);
    finish();
    for (int row = 0; row < STEP_ROWS; row++) {
        int32_t token = tokens[slots[owners[row]] * TOKENS_MAX + positions[row]];
        cr_assert_eq(gathered[row], token);
        for (int c = 0; c < COLUMNS; c++) {
            float expected = (float)embeddings.values[token * COLUMNS + c] +
                             (float)places.values[(positions[row] + 2) * COLUMNS + c];
            cr_assert_eq(out[row * COLUMNS + c], expected);
        }
    }
    free_step(&step);
    free_on_device(&embedding);
    free_on_device(&place);
    device->ops->free(device, table.tokens);
    free_weights(&embeddings);
    free_weights(&places);
}

/* Rotation and attention as queued, against the same functions called here on a copy of the pool.
 */
Test(ops_table, rotate_and_attention)
{
    enum { HEADS = 4, KV_HEADS = 2, DIM = 8, BLOCK = 2, PAGES = 6, LAYERS = 2 };
    enum { WIDTH = (HEADS + 2 * KV_HEADS) * DIM, LAYER_FLOATS = 2 * BLOCK * KV_HEADS * DIM };
    enum { POOL = PAGES * LAYERS * LAYER_FLOATS };
    float *qkv = random_floats(STEP_ROWS * WIDTH, 1), *pool = random_floats(POOL, 2);
    float frequencies[DIM / 2] = {1, 0.1f, 0.01f, 0.001f};
    float out[STEP_ROWS * HEADS * DIM], expected[STEP_ROWS * HEADS * DIM], pool_after[POOL];
    float turned[STEP_ROWS * WIDTH];
    struct ss_step step = step_on_device();
    ss_device_address qkv_address = to_device(qkv, sizeof *qkv * STEP_ROWS * WIDTH);
    ss_device_address turned_address = to_device(0, sizeof turned);
    ss_device_address turns = to_device(frequencies, sizeof frequencies);
    ss_device_address out_address = to_device(0, sizeof out);
    struct ss_kv_layout kv = {.pool = to_device(pool, sizeof *pool * POOL),
                              .page_bytes = sizeof(float) * LAYERS * LAYER_FLOATS,
                              .layer_bytes = sizeof(float) * LAYER_FLOATS,
                              .block_tokens = BLOCK,
                              .kv_heads = KV_HEADS,
                              .head_dim = DIM};
    const struct ss_ops_table *t = ops->table;
    cr_assert_eq(
        t->rotate(ops, stream, &step, turned_address, qkv_address, HEADS, KV_HEADS, DIM, turns),
        SS_OK);
    cr_assert_eq(t->attention(ops, stream, &step, &kv, 1, turned_address, HEADS, 0.3f, out_address),
                 SS_OK);
    from_device(out, out_address, sizeof out);
    from_device(pool_after, kv.pool, sizeof pool_after);

    static const int32_t blocks[] = {4, 1, 0, 2, 3, 5};
    kv.pool = (uintptr_t)pool;
    ss_cpu_rotate(turned, qkv, positions, STEP_ROWS, HEADS, KV_HEADS, DIM, frequencies);
    const struct ss_cpu_attention call = {.out = expected,
                                          .qkv = turned,
                                          .rows = STEP_ROWS,
                                          .heads = HEADS,
                                          .positions = positions,
                                          .sequence_of = owners,
                                          .blocks = blocks,
                                          .blocks_stride = 3,
                                          .kv = kv,
                                          .layer = 1,
                                          .scale = 0.3f};
    ss_cpu_write_kv(&call);
    ss_cpu_kernels_at(0)->attention(&call);
    same_bits(expected, out, COUNT(out), "attention");
    same_bits(pool, pool_after, POOL, "keys and values");
    /* Slot positions 3 and 4 of the first sequence: pages 1 and 0, key heads behind the queries. */
    same_bits(pool + 1 * LAYERS * LAYER_FLOATS + LAYER_FLOATS + KV_HEADS * DIM,
              turned + HEADS * DIM, KV_HEADS * DIM, "the key of position 3");

    kv.head_dim = SS_CPU_HEAD_DIM_MAX + 2;
    cr_assert_eq(t->attention(ops, stream, &step, &kv, 1, qkv_address, HEADS, 1, out_address),
                 SS_UNSUPPORTED);
    cr_assert(strstr(ss_status_message(), "514"), "%s", ss_status_message());
    free_step(&step);
    device->ops->free(device, qkv_address);
    device->ops->free(device, turns);
    free(qkv);
    free(pool);
}

Test(ops_table, rows_are_picked_sampled_and_stored)
{
    enum { COLUMNS = 50, COUNT_SAMPLED = 2 };
    const int32_t index[] = {2, 0};
    const struct ss_sampling sampling[] = {{.top_p = 1, .slot = 1, .position = 5},
                                           {.temperature = 1, .top_p = 1, .slot = 0, .seed = 3}};
    float *logits = random_floats(3 * COLUMNS, 1);
    int32_t tokens[SLOTS * TOKENS_MAX], after[SLOTS * TOKENS_MAX], chosen[COUNT_SAMPLED];
    struct ss_token_table table = table_on_device(tokens);
    ss_device_address all = to_device(logits, sizeof *logits * 3 * COLUMNS);
    ss_device_address picked = to_device(0, sizeof *logits * COUNT_SAMPLED * COLUMNS);
    ss_device_address index_address = to_device(index, sizeof index);
    ss_device_address how = to_device(sampling, sizeof sampling);
    ss_device_address chosen_address = to_device(0, sizeof chosen);
    const struct ss_ops_table *t = ops->table;
    cr_assert_eq(t->gather_rows(ops, stream, picked, all, index_address, COUNT_SAMPLED, COLUMNS),
                 SS_OK);
    cr_assert_eq(t->sample(ops, stream, picked, COUNT_SAMPLED, 1, COLUMNS, COLUMNS - 1, how,
                           chosen_address, &table),
                 SS_OK);
    cr_assert_eq(device->ops->copy_to_host(stream, after, table.tokens, sizeof after), SS_OK);
    from_device(chosen, chosen_address, sizeof chosen);
    uint64_t heap[COLUMNS];
    for (int i = 0; i < COUNT_SAMPLED; i++) {
        const struct ss_cpu_logits view = {.data = logits + index[i] * COLUMNS,
                                           .count = 1,
                                           .parts = 1,
                                           .part_columns = COLUMNS,
                                           .vocab = COLUMNS - 1};
        cr_assert_eq(chosen[i], ss_cpu_sample(&view, &sampling[i], heap));
        tokens[sampling[i].slot * TOKENS_MAX + sampling[i].position] = chosen[i];
    }
    cr_assert_arr_eq(after, tokens, sizeof after);

    const int32_t arrived[] = {41, 42};
    ss_device_address arrived_address = to_device(arrived, sizeof arrived);
    cr_assert_eq(t->store_tokens(ops, stream, arrived_address, 2, how, &table), SS_OK);
    from_device(after, table.tokens, sizeof after);
    cr_assert_eq(after[1 * TOKENS_MAX + 5], 41);
    cr_assert_eq(after[0], 42);
    const ss_device_address used[] = {all, picked, index_address, how, arrived_address};
    for (size_t i = 0; i < COUNT(used); i++)
        device->ops->free(device, used[i]);
    free(logits);
}

/* A slot outside the table breaks no memory: it becomes the device's health. */
Test(ops_table, a_token_outside_the_table_fails_the_device)
{
    const struct ss_sampling sampling = {.slot = SLOTS, .position = 1};
    const int32_t token = 1;
    int32_t tokens[SLOTS * TOKENS_MAX];
    struct ss_token_table table = table_on_device(tokens);
    ss_device_address how = to_device(&sampling, sizeof sampling);
    ss_device_address one = to_device(&token, sizeof token);
    cr_assert_eq(ops->table->store_tokens(ops, stream, one, 1, how, &table), SS_OK);
    cr_assert_eq(await_work(), SS_INTERNAL);
    cr_assert(strstr(ss_status_message(), "slot 3"), "%s", ss_status_message());
    device->ops->free(device, how);
    device->ops->free(device, one);
    device->ops->free(device, table.tokens);
}
