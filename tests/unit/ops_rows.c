/* The CPU operations that are written once: look-ups, sums, rotation, GELU. */
#include "tests/unit/ops_data.h"

#include "pipeline/ops/cpu/row_ops.h"

enum { COLUMNS = 75 };

Test(ops_rows, embed_finds_rows_and_leaves_zeros_for_other_ranks)
{
    enum { VOCAB = 11, PART = 6 };
    const int32_t tokens[] = {0, 10, 5, 6, 6, 3, -1, 99};
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        struct test_weights weights = random_weights(VOCAB * COLUMNS, dtypes[d], 1);
        float sums[COUNT(tokens) * COLUMNS] = {0}, out[COUNT(tokens) * COLUMNS];
        for (uint32_t first = 0; first < VOCAB; first += PART) {
            const struct ss_cpu_table table = {.data = (char *)weights.data +
                                                       first * COLUMNS * ss_dtype_bytes(dtypes[d]),
                                               .dtype = dtypes[d],
                                               .rows = first ? VOCAB - PART : PART,
                                               .columns = COLUMNS};
            ss_cpu_embed(out, tokens, COUNT(tokens), &table, first);
            for (size_t i = 0; i < COUNT(out); i++)
                sums[i] += out[i];
        }
        for (size_t i = 0; i < COUNT(out); i++) {
            int32_t token = tokens[i / COLUMNS];
            bool known = token >= 0 && token < VOCAB;
            double expected = known ? weights.values[(size_t)token * COLUMNS + i % COLUMNS] : 0;
            cr_assert_eq((double)sums[i], expected, "token %d", token);
        }
        free_weights(&weights);
    }
}

Test(ops_rows, add_positions_adds_and_checks)
{
    enum { POSITIONS = 9, OFFSET = 2 };
    const int32_t positions[] = {0, 6, 3};
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        struct test_weights weights = random_weights(POSITIONS * COLUMNS, dtypes[d], 2);
        const struct ss_cpu_table table = {weights.data, dtypes[d], POSITIONS, COLUMNS};
        float *before = random_floats(COUNT(positions) * COLUMNS, 3);
        float out[COUNT(positions) * COLUMNS];
        memcpy(out, before, sizeof out);
        cr_assert_eq(ss_cpu_add_positions(out, positions, COUNT(positions), &table, OFFSET), SS_OK);
        for (size_t i = 0; i < COUNT(out); i++) {
            size_t row = (size_t)positions[i / COLUMNS] + OFFSET;
            float expected = before[i] + (float)weights.values[row * COLUMNS + i % COLUMNS];
            cr_assert_eq(out[i], expected);
        }
        int32_t beyond = POSITIONS - OFFSET;
        cr_assert_eq(ss_cpu_add_positions(out, &beyond, 1, &table, OFFSET), SS_INTERNAL);
        cr_assert(strstr(ss_status_message(), "position 7"), "%s", ss_status_message());
        free(before);
        free_weights(&weights);
    }
}

Test(ops_rows, add_sums_in_its_order)
{
    enum { ROWS = 3 };
    for (size_t d = 0; d <= COUNT(dtypes); d++) {
        struct test_weights bias = {0};
        if (d < COUNT(dtypes))
            bias = random_weights(COLUMNS, dtypes[d], 4);
        float *in = random_floats(ROWS * COLUMNS, 5), *before = random_floats(ROWS * COLUMNS, 6);
        float out[ROWS * COLUMNS];
        memcpy(out, before, sizeof out);
        struct ss_cpu_vector vector = vector_of_weights(&bias);
        ss_cpu_add(out, in, ROWS, COLUMNS, &vector);
        for (size_t i = 0; i < COUNT(out); i++) {
            float expected = before[i] + in[i];
            if (bias.data)
                expected += (float)bias.values[i % COLUMNS];
            cr_assert_eq(out[i], expected);
        }
        free(in);
        free(before);
        free_weights(&bias);
    }
}

Test(ops_rows, gelu_is_the_exact_one)
{
    enum { STEPS = 2001 };
    float data[STEPS];
    double expected[STEPS];
    for (int i = 0; i < STEPS; i++) {
        data[i] = -10 + 0.01f * (float)i;
        double x = data[i];
        expected[i] = x / 2 * erfc(-x / sqrt(2));
    }
    ss_cpu_gelu(data, STEPS);
    for (int i = 0; i < STEPS; i++)
        cr_assert_float_eq(data[i], expected[i], 1e-6 * fmax(1, fabs(expected[i])));
}

Test(ops_rows, rotate_turns_queries_and_keys_by_halves)
{
    enum {
        HEADS = 3,
        KV_HEADS = 2,
        DIM = 10,
        HALF = DIM / 2,
        WIDTH = (HEADS + 2 * KV_HEADS) * DIM
    };
    const int32_t positions[] = {0, 1, 1000, 4095};
    float frequencies[HALF], qkv[COUNT(positions) * WIDTH];
    for (int i = 0; i < HALF; i++)
        frequencies[i] = powf(10000, -(float)i / HALF);
    float *before = random_floats(COUNT(qkv), 7);
    ss_cpu_rotate(qkv, before, positions, COUNT(positions), HEADS, KV_HEADS, DIM, frequencies);
    for (size_t row = 0; row < COUNT(positions); row++) {
        for (int h = 0; h < HEADS + KV_HEADS; h++) {
            const float *from = before + row * WIDTH + h * DIM, *to = qkv + row * WIDTH + h * DIM;
            for (int i = 0; i < HALF; i++) {
                /* The angle is rounded to fp32, as transformers does. */
                double angle = (float)positions[row] * frequencies[i];
                double a = from[i] * cos(angle) - from[HALF + i] * sin(angle);
                double b = from[HALF + i] * cos(angle) + from[i] * sin(angle);
                cr_assert_float_eq(to[i], a, 3e-7, "row %zu head %d", row, h);
                cr_assert_float_eq(to[HALF + i], b, 3e-7, "row %zu head %d", row, h);
            }
        }
        size_t values = row * WIDTH + (HEADS + KV_HEADS) * DIM;
        same_bits(qkv + values, before + values, KV_HEADS * DIM, "values");
    }
    free(before);
}

Test(ops_rows, gather_rows_picks)
{
    enum { ROWS = 6 };
    const int32_t index[] = {5, 0, 5, 3};
    float *in = random_floats(ROWS * COLUMNS, 8), out[COUNT(index) * COLUMNS];
    ss_cpu_gather_rows(out, in, index, COUNT(index), COLUMNS);
    for (size_t i = 0; i < COUNT(index); i++)
        same_bits(out + i * COLUMNS, in + (size_t)index[i] * COLUMNS, COLUMNS, "row");
    free(in);
}
