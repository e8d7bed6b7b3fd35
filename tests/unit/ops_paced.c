/* Paced operations take the profile's time, and their tokens depend on seed and position alone. */
#include "tests/unit/ops_bench.h"

/* Ten million bytes a second, a hundred million operations a second, a millisecond each. */
static const struct ss_ops_options paced = {
    .kind = "paced",
    .profile = {.memory_bytes_per_s = 10e6, .flops_per_s = 100e6, .overhead_s = 1e-3}};

static void open_paced_ops(void)
{
    open_ops(&paced);
}

TestSuite(ops_paced, .init = open_paced_ops, .fini = close_ops);

/* At least the time that is due, and not much more: a loaded machine may oversleep. */
static void check_time(uint64_t begin_ns, double due_s)
{
    double took_s = (double)(ss_now_ns() - begin_ns) / SS_NS_PER_S;
    cr_assert_geq(took_s, due_s, "took %g s of %g", took_s, due_s);
    cr_assert_leq(took_s, 2 * due_s + 0.5, "took %g s of %g", took_s, due_s);
}

static void run_linear(uint32_t rows, const struct ss_weight *weight, int times)
{
    for (int i = 0; i < times; i++)
        cr_assert_eq(
            ops->table->linear(ops, stream, 0, 0, rows, weight, 0, SS_ACTIVATION_NONE, false),
            SS_OK);
    finish();
}

Test(ops_paced, linear_takes_the_longer_of_memory_and_arithmetic)
{
    const struct ss_weight weight = {.dtype = SS_F16, .rows = 500, .columns = 400};
    finish();
    /* One row: 400,000 bytes of weights and 1,800 of activations: 40.18 ms against 4 ms. */
    uint64_t begin = ss_now_ns();
    run_linear(1, &weight, 5);
    check_time(begin, 5 * (0.04018 + 0.001));
    /* Fifty rows: 20 million operations, 200 ms, against 49 ms. */
    begin = ss_now_ns();
    run_linear(50, &weight, 1);
    check_time(begin, 0.2 + 0.001);
}

Test(ops_paced, attention_takes_the_time_of_its_contexts)
{
    /* Sequences at positions 999 (one row), and 0 to 1: contexts of 1000, 1 and 2. */
    const int32_t positions[] = {999, 0, 1}, row_begin[] = {0, 1, 3};
    const struct ss_step step = {.rows = 3,
                                 .sequences = 2,
                                 .positions = to_device(positions, sizeof positions),
                                 .row_begin = to_device(row_begin, sizeof row_begin)};
    const struct ss_kv_layout kv = {.kv_heads = 2, .head_dim = 32};
    /* Keys and values of 1002 positions read, 3 written, queries and results of 3 rows: 1005 * 2 *
     * 64 + 2 * 3 * 128 elements of 2 bytes: 25.9 ms; 4 * 1003 * 128 operations: 5.1 ms. */
    uint64_t begin = ss_now_ns();
    for (int i = 0; i < 4; i++)
        cr_assert_eq(ops->table->attention(ops, stream, &step, &kv, 0, 0, 4, 1, 0), SS_OK);
    finish();
    check_time(begin, 4 * ((1005 * 2 * 64 + 2 * 3 * 128) * 2 / 10e6 + 0.001));
    device->ops->free(device, step.positions);
    device->ops->free(device, step.row_begin);
}

Test(ops_paced, the_rest_takes_no_time)
{
    const struct ss_step step = {.rows = 4};
    const struct ss_weight weight = {.rows = 1000, .columns = 1000};
    const struct ss_ops_table *t = ops->table;
    uint64_t begin = ss_now_ns();
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(t->embed(ops, stream, &step, &weight, 0, 0), SS_OK);
        cr_assert_eq(t->add_positions(ops, stream, &step, &weight, 0, 0), SS_OK);
        cr_assert_eq(t->layer_norm(ops, stream, 0, 0, 4, 1000, &weight, 0, 1), SS_OK);
        cr_assert_eq(t->rms_norm(ops, stream, 0, 0, 4, 1000, &weight, 1), SS_OK);
        cr_assert_eq(t->add(ops, stream, 0, 0, 4, 1000, 0), SS_OK);
        cr_assert_eq(t->silu_multiply(ops, stream, 0, 0, 4, 1000), SS_OK);
        cr_assert_eq(t->rotate(ops, stream, &step, 0, 0, 1, 1, 10, 0), SS_OK);
        cr_assert_eq(t->gather_rows(ops, stream, 0, 0, 0, 4, 1000), SS_OK);
    }
    finish();
    cr_assert_lt(ss_now_ns() - begin, 700 * SS_NS_PER_MS);
}

/* Tokens differ by seed and position, repeat by them, and reach the table; logits are not read. */
Test(ops_paced, tokens_are_a_function_of_seed_and_position)
{
    enum { COUNT_SAMPLED = 64, VOCAB = 1000, TOKENS_MAX = 32 };
    struct ss_sampling sampling[COUNT_SAMPLED];
    int32_t zeros[2 * TOKENS_MAX] = {0}, table[2 * TOKENS_MAX], tokens[2][COUNT_SAMPLED];
    for (int i = 0; i < COUNT_SAMPLED; i++)
        sampling[i] =
            (struct ss_sampling){.slot = i / 32, .seed = (uint64_t)i / 32, .position = i % 32};
    const struct ss_token_table device_table = {
        .tokens = to_device(zeros, sizeof zeros), .slots = 2, .tokens_max = TOKENS_MAX};
    ss_device_address how = to_device(sampling, sizeof sampling);
    ss_device_address out = to_device(tokens[0], sizeof tokens[0]);
    for (int time = 0; time < 2; time++) {
        cr_assert_eq(ops->table->sample(ops, stream, 0, COUNT_SAMPLED, 2, VOCAB / 2, VOCAB, how,
                                        out, time ? &device_table : 0),
                     SS_OK);
        cr_assert_eq(device->ops->copy_to_host(stream, tokens[time], out, sizeof tokens[0]), SS_OK);
        finish();
    }
    cr_assert_eq(device->ops->copy_to_host(stream, table, device_table.tokens, sizeof table),
                 SS_OK);
    finish();
    cr_assert_arr_eq(tokens[0], tokens[1], sizeof tokens[0]);
    cr_assert_arr_eq(table, tokens[0], sizeof table);
    int equal = 0;
    for (int i = 0; i < COUNT_SAMPLED; i++) {
        cr_assert(tokens[0][i] >= 0 && tokens[0][i] < VOCAB);
        for (int j = 0; j < i; j++)
            equal += tokens[0][i] == tokens[0][j];
    }
    cr_assert_lt(equal, 10, "2016 pairs of 1000 values: about 2 are equal");
    device->ops->free(device, device_table.tokens);
    device->ops->free(device, how);
    device->ops->free(device, out);
}

Test(ops_paced, a_profile_without_rates_is_refused)
{
    struct ss_ops_options bad = paced;
    struct ss_ops *none = 0;
    bad.profile.flops_per_s = 0;
    cr_assert_eq(ss_ops_create(device, &bad, &none), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "0 flop/s"), "%s", ss_status_message());
    bad = paced;
    bad.profile.memory_bytes_per_s = NAN;
    cr_assert_eq(ss_ops_create(device, &bad, &none), SS_INVALID);
    bad = paced;
    bad.profile.overhead_s = -1;
    cr_assert_eq(ss_ops_create(device, &bad, &none), SS_INVALID);
    cr_assert_null(none);
}
