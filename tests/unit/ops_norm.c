/* Norms, SiLU and the exponential that the kernels share. */
#include "tests/unit/ops_data.h"

static const uint32_t widths[] = {1, 5, 16, 17, 63, 64, 100, 769};

static void reference_norm(const struct ss_cpu_norm *call, bool centred, const double *weight,
                           const double *bias, double *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        const float *in = call->in + r * call->columns;
        double mean = 0, square = 0;
        for (uint32_t c = 0; c < call->columns; c++)
            mean += in[c] / (double)call->columns;
        mean = centred ? mean : 0;
        for (uint32_t c = 0; c < call->columns; c++)
            square += (in[c] - mean) * (in[c] - mean) / call->columns;
        for (uint32_t c = 0; c < call->columns; c++)
            out[r * call->columns + c] =
                (in[c] - mean) / sqrt(square + (double)call->epsilon) * (weight ? weight[c] : 1) +
                (bias ? bias[c] : 0);
    }
}

static void check_norm(uint32_t columns, bool centred, int variant)
{
    enum { ROWS = 5 };
    size_t count = (size_t)ROWS * columns;
    float *in = random_floats(count, 4), *out = test_alloc(count * sizeof *out);
    float *other = test_alloc(count * sizeof *other);
    double *expected = test_alloc(count * sizeof *expected);
    struct test_weights weight = {0}, bias = {0};
    if (variant > 0)
        weight = random_weights(columns, dtypes[variant % 3], 5);
    if (variant > 1 && centred)
        bias = random_weights(columns, dtypes[(variant + 1) % 3], 6);
    /* The largest mean that a residual stream shows still leaves the centred values exact enough.
     */
    for (size_t i = 0; i < count; i++)
        in[i] = 3 * in[i] + (float)variant;
    struct ss_cpu_norm call = {.out = out,
                               .in = in,
                               .rows = ROWS,
                               .columns = columns,
                               .weight = vector_of_weights(&weight),
                               .bias = vector_of_weights(&bias),
                               .epsilon = 1e-5f};
    reference_norm(&call, centred, weight.values, bias.values, expected);
    for (int i = 0; ss_cpu_kernels_at(i); i++) {
        const struct ss_cpu_kernels *kernels = ss_cpu_kernels_at(i);
        call.out = i ? other : out;
        (centred ? kernels->layer_norm : kernels->rms_norm)(&call);
        if (columns > 1 || !centred)
            cr_assert_lt(distance(call.out, expected, count), 1e-6, "%s %u columns, variant %d",
                         kernels->name, columns, variant);
        same_bits(out, call.out, count, kernels->name);
    }
    /* In place, and one row alone. */
    memcpy(other, in, count * sizeof *in);
    call.in = call.out = other;
    (centred ? ss_cpu_kernels_at(0)->layer_norm : ss_cpu_kernels_at(0)->rms_norm)(&call);
    same_bits(out, other, count, "in place");
    call.in = in + columns;
    call.rows = 1;
    (centred ? ss_cpu_kernels_at(0)->layer_norm : ss_cpu_kernels_at(0)->rms_norm)(&call);
    same_bits(out + columns, other, columns, "alone");
    free(in);
    free(out);
    free(other);
    free(expected);
    free_weights(&weight);
    free_weights(&bias);
}

Test(ops_norm, layer_norm_matches_double)
{
    for (size_t w = 0; w < COUNT(widths); w++)
        for (int variant = 0; variant < 5; variant++)
            check_norm(widths[w], true, variant);
}

Test(ops_norm, rms_norm_matches_double)
{
    for (size_t w = 0; w < COUNT(widths); w++)
        for (int variant = 0; variant < 4; variant++)
            check_norm(widths[w], false, variant);
}

Test(ops_norm, constant_rows_have_no_variance)
{
    float in[20], out[20];
    for (int i = 0; i < 20; i++)
        in[i] = 7;
    const struct ss_cpu_norm call = {
        .out = out, .in = in, .rows = 1, .columns = 20, .epsilon = 1e-5f};
    ss_cpu_kernels_at(0)->layer_norm(&call);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(out[i], 0);
}

Test(ops_norm, silu_multiply_matches_double)
{
    enum { ROWS = 3 };
    for (size_t w = 0; w < COUNT(widths); w++) {
        size_t count = (size_t)ROWS * widths[w];
        float *in = random_floats(2 * count, 7), *out = test_alloc(count * sizeof *out);
        float *other = test_alloc(count * sizeof *other);
        double *expected = test_alloc(count * sizeof *expected);
        for (size_t i = 0; i < 2 * count; i++)
            in[i] *= 20;
        for (size_t i = 0; i < count; i++) {
            size_t row = i / widths[w], column = i % widths[w];
            double gate = in[row * 2 * widths[w] + column];
            expected[i] = gate / (1 + exp(-gate)) * in[(row * 2 + 1) * widths[w] + column];
        }
        for (int i = 0; ss_cpu_kernels_at(i); i++) {
            float *result = i ? other : out;
            ss_cpu_kernels_at(i)->silu_multiply(result, in, ROWS, widths[w]);
            cr_assert_lt(distance(result, expected, count), 1e-6);
            same_bits(out, result, count, ss_cpu_kernels_at(i)->name);
        }
        free(in);
        free(out);
        free(other);
        free(expected);
    }
}

/* All magnitudes, both signs, and what lies past the range. */
Test(ops_norm, exp_is_within_two_ulp)
{
    enum { STEPS = 400000 };
    float *in = test_alloc(STEPS * sizeof *in), *out = test_alloc(STEPS * sizeof *out);
    float *other = test_alloc(STEPS * sizeof *other);
    for (int i = 0; i < STEPS; i++)
        in[i] = -87 + 175.0f * (float)i / STEPS;
    for (int i = 0; i < STEPS / 4; i++)
        in[i] = random_float(8, (uint64_t)i) * ldexpf(1, -(i % 40));
    ss_cpu_kernels_at(0)->exp(out, in, STEPS);
    for (int i = 0; i < STEPS; i++) {
        double expected = exp((double)in[i]), ulp = ldexp(1, ilogb(expected) - 23);
        cr_assert_leq(fabs(out[i] - expected), 2 * ulp, "exp(%a)", (double)in[i]);
    }
    for (int i = 1; ss_cpu_kernels_at(i); i++) {
        ss_cpu_kernels_at(i)->exp(other, in, STEPS);
        same_bits(out, other, STEPS, ss_cpu_kernels_at(i)->name);
    }
    const float odd[] = {-INFINITY, INFINITY, NAN, 0.0f, -0.0f, -1e30f};
    float results[COUNT(odd)];
    for (int i = 0; ss_cpu_kernels_at(i); i++) {
        ss_cpu_kernels_at(i)->exp(results, odd, COUNT(odd));
        cr_assert(results[0] > 0 && results[0] < 2e-38f && results[5] == results[0]);
        cr_assert(results[1] > 1e38f && isfinite(results[1]));
        cr_assert(isnan(results[2]));
        cr_assert(results[3] == 1 && results[4] == 1);
    }
    free(in);
    free(out);
    free(other);
}
