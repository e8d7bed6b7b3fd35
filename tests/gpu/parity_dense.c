/* Products with what stands before and after them, against the CPU's, which are composed; and each
 * row's bits, which may not depend on the others. */
#include "tests/gpu/parity.h"

static const enum ss_dtype types[] = {SS_F32, SS_F16, SS_BF16};

struct dense_case {
    uint32_t rows, n, k;
    enum ss_dtype type, bias_type;
    enum ss_norm_kind norm;
    enum ss_activation activation;
    bool biased, gated, adds, unfinished;
};

static void describe(const struct dense_case *c, char *what, size_t bytes)
{
    snprintf(what, bytes, "dense %u x %u x %u %s, bias %s, norm %d, activation %d%s%s%s", c->rows,
             c->n, c->k, ss_dtype_name(c->type), c->biased ? ss_dtype_name(c->bias_type) : "none",
             (int)c->norm, (int)c->activation, c->gated ? ", gated" : "", c->adds ? ", adds" : "",
             c->unfinished ? ", unfinished" : "");
}

/* The blocks of a case. */
struct blocks {
    struct both in, weight, bias, norm_weight, norm_bias, normed, product;
};

/* ROWS rows from FIRST on, into OUT. */
static void run_rows(struct pair *pair, struct side *s, const struct dense_case *c,
                     const struct blocks *blocks, const struct both *out, uint32_t first,
                     uint32_t rows)
{
    struct ss_weight weight, bias, norm_weight, norm_bias;
    int i = index_of(pair, s);
    size_t element = ss_dtype_bytes(s->type), columns = c->gated ? c->n / 2 : c->n;
    size_t out_row = columns * ss_dtype_bytes(i == GPU ? out->type : s->type);
    const struct ss_dense dense = {
        .out = out->at[i] + first * out_row,
        .in = blocks->in.at[i] + first * (size_t)c->k * element,
        .rows = rows,
        .weight = weight_at(&blocks->weight, i, c->n, c->k, c->type, &weight),
        .bias = weight_at(&blocks->bias, i, c->biased, c->n, c->bias_type, &bias),
        .norm = {c->norm, weight_at(&blocks->norm_weight, i, 1, c->k, c->bias_type, &norm_weight),
                 c->norm == SS_NORM_LAYER
                     ? weight_at(&blocks->norm_bias, i, 1, c->k, c->bias_type, &norm_bias)
                     : 0,
                 1e-5f},
        .activation = c->activation,
        .gated = c->gated,
        .adds = c->adds,
        .unfinished = c->unfinished,
        .normed = blocks->normed.at[i],
        .product = blocks->product.at[i],
    };
    MUST(s->table->dense(s->ops, s->stream, &dense));
}

/* Of how many rows a call's bits are compared with those of all together; 0: none. */
static uint32_t rows_apart(const struct pair *pair, const struct dense_case *c)
{
    if (pair->invariant)
        return 1 + c->rows / 3;
    bool few = c->rows <= (c->k <= 10240 ? 8 : 4) && c->type == pair->sides[GPU].type;
    return few && c->k % 8 == 0;
}

/* Rows together, on both sides, and apart, on the CUDA side. */
static void run(struct pair *pair, const struct dense_case *c)
{
    char what[128];
    size_t columns = c->gated ? c->n / 2 : c->n, count = c->rows * columns;
    describe(c, what, sizeof what);
    struct blocks blocks = {.in = put_random(pair, (size_t)c->rows * c->k, 2),
                            .weight = put_weights(pair, c->n, c->k, c->type),
                            .bias = put_weights(pair, 1, c->n, c->bias_type),
                            .norm_weight = put_weights(pair, 1, c->k, c->bias_type),
                            .norm_bias = put_weights(pair, 1, c->k, c->bias_type),
                            .normed = put_poison(pair, (size_t)c->rows * c->k),
                            .product = put_poison_sums(pair, (size_t)c->rows * c->n)};
    struct both out = c->adds         ? put_random(pair, count, 4)
                      : c->unfinished ? put_poison_sums(pair, count)
                                      : put_poison(pair, count);
    struct both alone = c->unfinished ? put_poison_sums(pair, count) : put_poison(pair, count);
    uint32_t apart = rows_apart(pair, c);
    struct side *gpu = &pair->sides[GPU];
    MUST(gpu->device->ops->copy_on_device(gpu->stream, alone.at[GPU], out.at[GPU],
                                          count * ss_dtype_bytes(out.type)));
    ON_BOTH(pair, s) run_rows(pair, s, c, &blocks, &out, 0, c->rows);
    double tolerance = pair->tolerance;
    if (c->type == SS_BF16)
        pair->tolerance = 8e-3;
    compare(pair, &out, 0, count, what);
    pair->tolerance = tolerance;
    for (uint32_t row = 0; row < c->rows && apart; row += apart)
        run_rows(pair, gpu, c, &blocks, &alone, row, apart < c->rows - row ? apart : c->rows - row);
    if (apart)
        compare_bits(pair, &out, 0, &alone, 0, count, what);
    pair_forget(pair);
}

void parity_dense(struct pair *pair)
{
    static const uint32_t shapes[][2] = {{34, 8},     {10, 24},    {36, 7},    {130, 1032},
                                         {264, 2056}, {1200, 512}, {40, 5120}, {18, 20480}};
    static const uint32_t rows[] = {1, 2, 3, 4, 5, 8, 9, 31, 33, 300};
    const size_t counts = COUNT(rows) - !pair->invariant; /* 300: where a tile is not the first */
    enum ss_dtype own = pair->sides[GPU].type;
    for (size_t i = pair->brief ? 3 : 0; i < (pair->brief ? 5 : COUNT(shapes)); i++)
        for (size_t r = pair->invariant; r < counts; r += pair->brief ? 4 : 1) {
            struct dense_case c = {rows[r],      shapes[i][0],       shapes[i][1], own,   own,
                                   SS_NORM_NONE, SS_ACTIVATION_NONE, true,         false, false,
                                   false};
            run(pair, &c);
            c.norm = SS_NORM_LAYER;
            c.activation = i % 2 ? SS_ACTIVATION_RELU : SS_ACTIVATION_GELU;
            c.bias_type = types[(r + i) % COUNT(types)];
            run(pair, &c);
            c.activation = SS_ACTIVATION_NONE;
            c.unfinished = true;
            run(pair, &c);
            c.norm = SS_NORM_RMS;
            c.unfinished = false;
            c.gated = true;
            c.biased = r % 2;
            run(pair, &c);
            c.norm = SS_NORM_NONE;
            c.gated = false;
            c.adds = true;
            run(pair, &c);
            c.type = types[r % COUNT(types)];
            c.activation = SS_ACTIVATION_RELU;
            run(pair, &c);
        }
    pair_end(pair, "dense");
}
