/* The CPU matrix product: right within rounding, and the same bits on every instruction set, in
 * every batch and at every address. */
#include "tests/unit/ops_data.h"

#include "pipeline/ops/cpu/row_ops.h"

static struct ss_cpu_scratch *scratch;

static void setup(void)
{
    cr_assert_eq(ss_cpu_scratch_create(&scratch), SS_OK);
}

static void teardown(void)
{
    ss_cpu_scratch_destroy(scratch);
}

TestSuite(ops_linear, .init = setup, .fini = teardown);

struct problem {
    uint32_t rows, k, n;
    float *in;
    struct test_weights weight, bias;
    enum ss_activation activation;
};

static struct problem make(uint32_t rows, uint32_t k, uint32_t n, enum ss_dtype dtype, int variant)
{
    struct problem p = {.rows = rows, .k = k, .n = n};
    p.in = random_floats((size_t)rows * k, 1 + (uint64_t)variant);
    p.weight = random_weights((size_t)n * k, dtype, 2);
    if (variant % 2)
        p.bias = random_weights(n, dtypes[(variant / 2) % 3], 3);
    p.activation = variant % 3 == 1 ? SS_ACTIVATION_RELU : SS_ACTIVATION_NONE;
    return p;
}

static void release(struct problem *p)
{
    free(p->in);
    free_weights(&p->weight);
    free_weights(&p->bias);
}

static void compute(const struct problem *p, const struct ss_cpu_kernels *kernels, float *out)
{
    const struct ss_cpu_linear call = {.out = out,
                                       .in = p->in,
                                       .rows = p->rows,
                                       .k = p->k,
                                       .n = p->n,
                                       .weight = p->weight.data,
                                       .dtype = p->weight.dtype,
                                       .bias = vector_of_weights(&p->bias),
                                       .activation = p->activation};
    kernels->linear(&call, scratch);
}

/* Sixteen lanes of k / 16 products each, a tree of four additions and one bias: every product meets
 * at most that many roundings (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1). */
static void check_product(const struct problem *p, const float *out)
{
    uint32_t roundings = p->k / 16 + 8;
    double bound = roundings * 0x1p-24;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->n; c++) {
            double sum = p->bias.data ? p->bias.values[c] : 0, magnitude = fabs(sum);
            for (size_t i = 0; i < p->k; i++) {
                double product = p->in[r * p->k + i] * p->weight.values[c * p->k + i];
                sum += product;
                magnitude += fabs(product);
            }
            if (p->activation == SS_ACTIVATION_RELU && sum < 0)
                sum = 0;
            cr_assert_leq(fabs(out[r * p->n + c] - sum), bound * magnitude + 1e-30,
                          "%ux%ux%u %s: out[%zu][%zu] is %.9g, not %.9g", p->rows, p->k, p->n,
                          ss_dtype_name(p->weight.dtype), r, c, (double)out[r * p->n + c], sum);
        }
    }
}

static const uint32_t shapes[][2] = {{1, 1},   {3, 5},    {16, 4},   {17, 9},
                                     {96, 64}, {100, 70}, {513, 67}, {1030, 131}};
static const uint32_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 13, 16, 17, 49};

Test(ops_linear, within_rounding_of_double_and_equal_on_every_instruction_set)
{
    print_sets();
    int variant = 0;
    for (size_t s = 0; s < COUNT(shapes); s++)
        for (size_t r = 0; r < COUNT(row_counts); r++)
            for (size_t d = 0; d < COUNT(dtypes); d++, variant++) {
                struct problem p =
                    make(row_counts[r], shapes[s][0], shapes[s][1], dtypes[d], variant);
                size_t count = (size_t)p.rows * p.n;
                float *first = test_alloc(count * sizeof *first);
                float *other = test_alloc(count * sizeof *other);
                compute(&p, ss_cpu_kernels_at(0), first);
                check_product(&p, first);
                for (int i = 1; ss_cpu_kernels_at(i); i++) {
                    compute(&p, ss_cpu_kernels_at(i), other);
                    same_bits(first, other, count, ss_cpu_kernels_at(i)->name);
                }
                free(first);
                free(other);
                release(&p);
            }
}

/* Every row alone, and every split in two, give the bits of the whole batch. */
Test(ops_linear, a_row_does_not_depend_on_its_batch)
{
    enum { ROWS = 71, K = 1300, N = 77 };
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        struct problem p = make(ROWS, K, N, dtypes[d], 1), part = p;
        float *whole = test_alloc(sizeof(float) * ROWS * N);
        float *pieces = test_alloc(sizeof(float) * ROWS * N);
        compute(&p, ss_cpu_kernels_at(0), whole);
        for (uint32_t step = 1; step < ROWS; step += 5) {
            for (uint32_t row = 0; row < ROWS; row += step) {
                part.in = p.in + (size_t)row * K;
                part.rows = step < ROWS - row ? step : ROWS - row;
                compute(&part, ss_cpu_kernels_at(0), pieces + (size_t)row * N);
            }
            same_bits(whole, pieces, (size_t)ROWS * N, "pieces");
        }
        free(whole);
        free(pieces);
        release(&p);
    }
}

/* A column-parallel shard computes the bits that the whole matrix would. */
Test(ops_linear, a_column_does_not_depend_on_the_matrix)
{
    enum { ROWS = 9, K = 600, N = 90 };
    struct problem p = make(ROWS, K, N, SS_BF16, 0), part = p;
    float *whole = test_alloc(sizeof(float) * ROWS * N), *shard = test_alloc(sizeof(float) * ROWS);
    compute(&p, ss_cpu_kernels_at(0), whole);
    part.n = 1;
    for (uint32_t c = 0; c < N; c++) {
        part.weight.data = (uint16_t *)p.weight.data + (size_t)c * K;
        compute(&part, ss_cpu_kernels_at(0), shard);
        for (uint32_t r = 0; r < ROWS; r++)
            same_bits(&whole[r * N + c], &shard[r], 1, "column");
    }
    free(whole);
    free(shard);
    release(&p);
}

Test(ops_linear, addresses_do_not_matter)
{
    enum { ROWS = 20, K = 530, N = 37 };
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        struct problem p = make(ROWS, K, N, dtypes[d], 1), moved = p;
        size_t size = ss_dtype_bytes(dtypes[d]);
        float *out = test_alloc(sizeof(float) * ROWS * N);
        compute(&p, ss_cpu_kernels_at(0), out);
        for (uint32_t shift = 1; shift < 16; shift += 3) {
            float *in = test_alloc(sizeof(float) * (ROWS * K + shift));
            char *weight = test_alloc(size * (N * K + shift));
            float *again = test_alloc(sizeof(float) * (ROWS * N + shift));
            memcpy(in + shift, p.in, sizeof(float) * ROWS * K);
            memcpy(weight + shift * size, p.weight.data, size * N * K);
            moved.in = in + shift;
            moved.weight.data = weight + shift * size;
            compute(&moved, ss_cpu_kernels_at(0), again + shift);
            same_bits(out, again + shift, (size_t)ROWS * N, "moved");
            free(in);
            free(weight);
            free(again);
        }
        free(out);
        release(&p);
    }
}

/* Every finite half and bfloat converts exactly: a product with 1. */
Test(ops_linear, stored_values_convert_exactly)
{
    enum { ALL = 65536 };
    uint16_t *bits = test_alloc(ALL * sizeof *bits);
    float *out = test_alloc(ALL * sizeof *out), one = 1;
    for (uint32_t i = 0; i < ALL; i++)
        bits[i] = (uint16_t)i;
    for (int set = 0; ss_cpu_kernels_at(set); set++) {
        for (size_t d = 1; d < COUNT(dtypes); d++) {
            const struct ss_cpu_linear call = {.out = out,
                                               .in = &one,
                                               .rows = 1,
                                               .k = 1,
                                               .n = ALL,
                                               .weight = bits,
                                               .dtype = dtypes[d]};
            ss_cpu_kernels_at(set)->linear(&call, scratch);
            for (uint32_t i = 0; i < ALL; i++) {
                bool half = dtypes[d] == SS_F16;
                double value = half ? half_value(bits[i]) : bfloat_value(bits[i]);
                bool special = half ? (i & 0x7c00) == 0x7c00 : (i & 0x7f80) == 0x7f80;
                if (special)
                    cr_assert(!isfinite(out[i]), "%s %04x", ss_dtype_name(dtypes[d]), i);
                else
                    cr_assert_eq((double)out[i], value, "%s %04x", ss_dtype_name(dtypes[d]), i);
            }
        }
    }
    free(bits);
    free(out);
}

Test(ops_linear, what_is_no_number_stays_visible)
{
    float in[16] = {1}, weight[16] = {NAN}, out;
    const struct ss_cpu_linear call = {.out = &out,
                                       .in = in,
                                       .rows = 1,
                                       .k = 16,
                                       .n = 1,
                                       .weight = weight,
                                       .dtype = SS_F32,
                                       .activation = SS_ACTIVATION_RELU};
    for (int i = 0; ss_cpu_kernels_at(i); i++) {
        ss_cpu_kernels_at(i)->linear(&call, scratch);
        cr_assert(isnan(out), "%s", ss_cpu_kernels_at(i)->name);
    }
}
