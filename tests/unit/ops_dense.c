/* A product with its norm, bias, activation, gate and residual, on the CPU's operations, against
 * double precision. */
#include "tests/unit/ops_bench.h"

enum { ROWS = 3, K = 40, N = 12 };

struct dense_case {
    enum ss_norm_kind norm;
    enum ss_activation activation;
    bool biased, gated, adds;
};

TestSuite(ops_dense, .init = open_real_ops, .fini = close_ops);

static void normalise(const struct dense_case *c, double *row, const double *weight,
                      const double *bias)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < K; i++)
        mean += c->norm == SS_NORM_LAYER ? row[i] / K : 0;
    for (int i = 0; i < K; i++)
        squares += (row[i] - mean) * (row[i] - mean) / K;
    for (int i = 0; i < K && c->norm != SS_NORM_NONE; i++)
        row[i] = (row[i] - mean) / sqrt(squares + 1e-5) * weight[i] +
                 (c->norm == SS_NORM_LAYER ? bias[i] : 0);
}

static double activate(double value, enum ss_activation activation)
{
    if (activation == SS_ACTIVATION_RELU)
        return value > 0 ? value : 0;
    return activation == SS_ACTIVATION_GELU ? 0.5 * value * (1 + erf(value / sqrt(2.0))) : value;
}

/* The rows of weight, of the norm's weight and bias, and of the product's bias. */
struct tensors {
    struct test_weights weight, bias, norm_weight, norm_bias;
};

static void expect(const struct dense_case *c, const struct tensors *t, const float *in,
                   double *out)
{
    int columns = c->gated ? N / 2 : N;
    for (int row = 0; row < ROWS; row++) {
        double values[K], sums[N];
        for (int i = 0; i < K; i++)
            values[i] = in[row * K + i];
        normalise(c, values, t->norm_weight.values, t->norm_bias.values);
        for (int n = 0; n < N; n++) {
            sums[n] = c->biased ? t->bias.values[n] : 0;
            for (int i = 0; i < K; i++)
                sums[n] += values[i] * t->weight.values[n * K + i];
        }
        for (int n = 0; n < columns; n++) {
            double value = c->gated ? sums[n] / (1 + exp(-sums[n])) * sums[columns + n]
                                    : activate(sums[n], c->activation);
            out[row * columns + n] = value + (c->adds ? out[row * columns + n] : 0);
        }
    }
}

static void check(const struct dense_case *c)
{
    int columns = c->gated ? N / 2 : N;
    float *in = random_floats(ROWS * K, 1), *before = random_floats(ROWS * N, 2), out[ROWS * N];
    double expected[ROWS * N];
    struct tensors t = {random_weights(N * K, SS_F16, 3), random_weights(N, SS_F32, 4),
                        random_weights(K, SS_BF16, 5), random_weights(K, SS_F32, 6)};
    struct ss_weight weight = weight_on_device(&t.weight, N, K),
                     bias = weight_on_device(&t.bias, 1, N);
    struct ss_weight norm_weight = weight_on_device(&t.norm_weight, 1, K),
                     norm_bias = weight_on_device(&t.norm_bias, 1, K);
    const struct ss_dense dense = {
        .out = to_device(before, sizeof out),
        .in = to_device(in, ROWS * K * sizeof *in),
        .rows = ROWS,
        .weight = &weight,
        .bias = c->biased ? &bias : 0,
        .norm = {c->norm, &norm_weight, c->norm == SS_NORM_LAYER ? &norm_bias : 0, 1e-5f},
        .activation = c->activation,
        .gated = c->gated,
        .adds = c->adds,
        .normed = to_device(0, ROWS * K * sizeof *in),
        .product = to_device(0, sizeof out),
    };
    cr_assert_eq(ops->table->dense(ops, stream, &dense), SS_OK, "%s", ss_status_message());
    from_device(out, dense.out, sizeof out);
    for (int i = 0; i < ROWS * columns; i++)
        expected[i] = before[i];
    expect(c, &t, in, expected);
    for (int i = 0; i < ROWS * columns; i++)
        cr_assert(fabs(out[i] - expected[i]) < 1e-4, "element %d is %g, expected %g", i,
                  (double)out[i], expected[i]);
    struct test_weights *all[] = {&t.weight, &t.bias, &t.norm_weight, &t.norm_bias};
    for (size_t i = 0; i < COUNT(all); i++)
        free_weights(all[i]);
    free(before);
    free(in);
}

Test(ops_dense, product_alone)
{
    check(&(struct dense_case){.biased = true});
}

Test(ops_dense, norm_and_activation)
{
    check(&(struct dense_case){SS_NORM_LAYER, SS_ACTIVATION_RELU, true, false, false});
    check(&(struct dense_case){SS_NORM_RMS, SS_ACTIVATION_GELU, false, false, false});
}

Test(ops_dense, gate)
{
    check(&(struct dense_case){SS_NORM_RMS, SS_ACTIVATION_NONE, true, true, false});
}

Test(ops_dense, residual_with_and_without_activation)
{
    check(&(struct dense_case){SS_NORM_NONE, SS_ACTIVATION_NONE, true, false, true});
    check(&(struct dense_case){SS_NORM_NONE, SS_ACTIVATION_RELU, true, false, true});
}
