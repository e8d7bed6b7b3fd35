/* A product with its norm, bias, activation, gate and residual, on the CPU's operations, against
 * double precision. */
#include "tests/unit/ops_data.h"

#include "engine/base/clock.h"
#include "pipeline/ops/ops.h"

enum { ROWS = 3, K = 40, N = 12 };

struct dense_case {
    enum ss_norm_kind norm;
    enum ss_activation activation;
    bool biased, gated, adds;
};

static struct ss_device *device;
static struct ss_stream *stream;
static struct ss_timeline *timeline;
static struct ss_ops *ops;
static uint64_t signalled;

static void setup(void)
{
    const struct ss_device_options options = {.kind = "cpu", .memory_bytes = 16u << 20};
    const struct ss_ops_options real = {.kind = "real"};
    cr_assert_eq(ss_device_create(&options, &device), SS_OK, "%s", ss_status_message());
    cr_assert_eq(device->ops->stream_create(device, SS_STREAM_COMPUTE, &stream), SS_OK);
    cr_assert_eq(device->ops->timeline_create(device, &timeline), SS_OK);
    cr_assert_eq(ss_ops_create(device, &real, &ops), SS_OK, "%s", ss_status_message());
}

static void teardown(void)
{
    device->ops->stream_destroy(stream);
    ops->table->destroy(ops);
    device->ops->timeline_destroy(timeline);
    device->ops->destroy(device);
}

TestSuite(ops_dense, .init = setup, .fini = teardown);

static ss_device_address to_device(const void *from, size_t bytes)
{
    ss_device_address address;
    cr_assert_eq(device->ops->alloc(device, bytes, &address), SS_OK, "%s", ss_status_message());
    if (from)
        cr_assert_eq(device->ops->copy_to_device(stream, address, from, bytes), SS_OK);
    return address;
}

static struct ss_weight put(const struct test_weights *weights, uint32_t rows, uint32_t columns)
{
    size_t bytes = (size_t)rows * columns * ss_dtype_bytes(weights->dtype);
    return (struct ss_weight){to_device(weights->data, bytes), weights->dtype, rows, columns};
}

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
    struct ss_weight weight = put(&t.weight, N, K), bias = put(&t.bias, 1, N);
    struct ss_weight norm_weight = put(&t.norm_weight, 1, K), norm_bias = put(&t.norm_bias, 1, K);
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
    cr_assert_eq(device->ops->copy_to_host(stream, out, dense.out, sizeof out), SS_OK);
    cr_assert_eq(device->ops->signal(stream, timeline, ++signalled), SS_OK);
    cr_assert_eq(device->ops->timeline_wait(timeline, signalled, 20 * SS_NS_PER_S), SS_OK);
    for (int i = 0; i < ROWS * columns; i++)
        expected[i] = before[i];
    expect(c, &t, in, expected);
    for (int i = 0; i < ROWS * columns; i++)
        cr_assert(fabs(out[i] - expected[i]) < 1e-4, "element %d is %g, expected %g", i,
                  (double)out[i], expected[i]);
    struct test_weights *all[] = {&t.weight, &t.bias, &t.norm_weight, &t.norm_bias};
    for (size_t i = 0; i < COUNT(all); i++) {
        free(all[i]->data);
        free(all[i]->values);
    }
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
