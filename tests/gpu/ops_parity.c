/* Every CUDA operation against the CPU's: ops_parity [brief]. Exits 1 where one differs. "brief"
 * leaves the products out, which are the library's, and most shapes, for tools that slow kernels
 * down. */
#include <math.h>
#include <string.h>

#include "tests/gpu/parity.h"

static const enum ss_dtype types[] = {SS_F32, SS_F16, SS_BF16};

static void run_linear(struct pair *pair, uint32_t rows, uint32_t n, uint32_t k, enum ss_dtype type,
                       enum ss_dtype bias_type, bool biased, enum ss_activation activation)
{
    char what[96];
    struct both in = put_random(pair, (size_t)rows * k, 1), weight = put_weights(pair, n, k, type);
    struct both bias = put_weights(pair, biased, n, bias_type);
    struct both out = put_poison(pair, (size_t)rows * n + 1);
    snprintf(what, sizeof what, "linear %u x %u x %u %s, bias %s, activation %d", rows, n, k,
             ss_dtype_name(type), biased ? ss_dtype_name(bias_type) : "none", (int)activation);
    ON_BOTH(pair, s)
    {
        struct ss_weight w, b;
        int i = index_of(pair, s);
        MUST(s->table->linear(s->ops, s->stream, out.at[i], in.at[i], rows,
                              weight_at(&weight, i, n, k, type, &w),
                              weight_at(&bias, i, biased, n, bias_type, &b), activation, false));
    }
    /* bf16 keeps fewer digits of activations that are converted to it. */
    double tolerance = pair->tolerance;
    if (type == SS_BF16)
        pair->tolerance = 8e-3;
    compare(pair, &out, 0, (size_t)rows * n, what);
    pair->tolerance = tolerance;
}

static void linear(struct pair *pair)
{
    static const uint32_t sizes[][3] = {{1, 1, 1},      {1, 7, 5},       {3, 17, 33},
                                        {5, 64, 128},   {16, 129, 257},  {33, 1000, 512},
                                        {130, 512, 72}, {1, 5120, 4096}, {40, 50272, 64}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t t = 0; t < COUNT(types); t++)
            for (int a = SS_ACTIVATION_NONE; a <= SS_ACTIVATION_GELU; a++) {
                for (int biased = 0; biased < 2; biased++)
                    run_linear(pair, sizes[i][0], sizes[i][1], sizes[i][2], types[t], types[t],
                               biased, (enum ss_activation)a);
                pair_forget(pair);
            }
    for (size_t t = 0; t < COUNT(types); t++)
        run_linear(pair, 3, 40, 24, types[t], types[(t + 1) % 3], true, SS_ACTIVATION_RELU);
    /* More than a slice of the conversion. */
    run_linear(pair, 2000, 20000, 16, SS_F32, SS_F32, true, SS_ACTIVATION_NONE);
    pair_end(pair, "linear");
}

static void norms(struct pair *pair)
{
    static const uint32_t columns[] = {1, 7, 64, 257, 1024, 5120};
    for (size_t c = 0; c < COUNT(columns); c++)
        for (size_t t = 0; t < COUNT(types); t++)
            for (uint32_t affine = 0; affine < 2; affine++) {
                uint32_t n = columns[c], rows = 1 + 4 * affine;
                struct both in = put_random(pair, (size_t)rows * n, 3);
                struct both weight = put_weights(pair, 1, n, types[t]);
                struct both bias = put_weights(pair, 1, n, types[t]);
                struct both layer = put_poison(pair, (size_t)rows * n);
                struct both rms = put_poison(pair, (size_t)rows * n);
                ON_BOTH(pair, s)
                {
                    struct ss_weight w, b;
                    int i = index_of(pair, s);
                    MUST(s->table->layer_norm(s->ops, s->stream, layer.at[i], in.at[i], rows, n,
                                              weight_at(&weight, i, affine, n, types[t], &w),
                                              weight_at(&bias, i, affine, n, types[t], &b), 1e-5f));
                    MUST(s->table->rms_norm(s->ops, s->stream, rms.at[i], in.at[i], rows, n,
                                            weight_at(&weight, i, 1, n, types[t], &w), 1e-6f));
                    /* In place. */
                    MUST(s->table->rms_norm(s->ops, s->stream, in.at[i], in.at[i], rows, n, &w,
                                            1e-6f));
                }
                compare(pair, &layer, 0, (size_t)rows * n, "layer_norm");
                compare(pair, &rms, 0, (size_t)rows * n, "rms_norm");
                compare(pair, &in, 0, (size_t)rows * n, "rms_norm in place");
            }
    pair_end(pair, "norms");
}

static void rows_of(struct pair *pair)
{
    static const uint32_t sizes[][2] = {{1, 1}, {3, 7}, {5, 257}, {33, 5120}};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t t = 0; t <= COUNT(types); t++) {
            uint32_t rows = sizes[i][0], n = sizes[i][1], biased = t < COUNT(types);
            enum ss_dtype type = types[t % COUNT(types)];
            int32_t picks[] = {(int32_t)rows - 1, 0, (int32_t)rows / 2};
            struct both sum = put_random(pair, (size_t)rows * n, 1);
            struct both in = put_random(pair, (size_t)rows * n, 8);
            struct both parts = put_random_sums(pair, (size_t)rows * 2 * n, 8);
            struct both bias = put_weights(pair, 1, n, type);
            struct both gated = put_poison(pair, (size_t)rows * n);
            struct both index = put_ints(pair, picks, 3), picked = put_poison(pair, 3 * n);
            ON_BOTH(pair, s)
            {
                struct ss_weight b;
                int k = index_of(pair, s);
                MUST(s->table->add(s->ops, s->stream, sum.at[k], parts.at[k], rows, n,
                                   weight_at(&bias, k, biased, n, type, &b)));
                MUST(s->table->silu_multiply(s->ops, s->stream, gated.at[k], parts.at[k], rows, n));
                MUST(s->table->gather_rows(s->ops, s->stream, picked.at[k], in.at[k], index.at[k],
                                           3, n));
            }
            compare(pair, &sum, 0, (size_t)rows * n, "add");
            compare(pair, &gated, 0, (size_t)rows * n, "silu_multiply");
            compare(pair, &picked, 0, 3 * n, "gather_rows");
        }
    pair_end(pair, "rows");
}

/* One step over sequences of given new tokens and earlier context. */
struct steps {
    struct both tokens, positions, sequence_of, row_begin, slots, blocks;
    uint32_t rows, sequences, stride, longest, context_max;
};

static struct ss_step step_at(const struct steps *steps, int side)
{
    return (struct ss_step){.rows = steps->rows,
                            .sequences = steps->sequences,
                            .tokens = steps->tokens.at[side],
                            .positions = steps->positions.at[side],
                            .sequence_of = steps->sequence_of.at[side],
                            .row_begin = steps->row_begin.at[side],
                            .slots = steps->slots.at[side],
                            .blocks = steps->blocks.at[side],
                            .blocks_stride = steps->stride,
                            .rows_max_per_sequence = steps->longest,
                            .context_max = steps->context_max};
}

/* Sequence i has COUNTS[i] new tokens after BEFORE[i]; its blocks are scattered over the pages. */
static struct steps make_step(struct pair *pair, uint32_t sequences, const uint32_t *counts,
                              const uint32_t *before, uint32_t block_tokens, uint32_t pages)
{
    int32_t positions[2048], sequence_of[2048], begin[16], slots[16], blocks[16 * 64], tokens[2048];
    struct steps steps = {.sequences = sequences, .stride = 64};
    for (uint32_t i = 0; i < sequences; i++) {
        begin[i] = (int32_t)steps.rows;
        slots[i] = (int32_t)(sequences - 1 - i);
        for (uint32_t j = 0; j < counts[i]; j++, steps.rows++) {
            positions[steps.rows] = (int32_t)(before[i] + j);
            sequence_of[steps.rows] = (int32_t)i;
            tokens[steps.rows] = (int32_t)((steps.rows * 37 + 5) % 100);
        }
        uint32_t end = before[i] + counts[i];
        steps.longest = counts[i] > steps.longest ? counts[i] : steps.longest;
        steps.context_max = end > steps.context_max ? end : steps.context_max;
        if (end > 64 * block_tokens)
            exit(3);
        /* 17 and the number of pages have no common divisor. */
        for (uint32_t b = 0; b < 64; b++)
            blocks[i * 64 + b] = (int32_t)((i * 64 + b) * 17 % pages);
    }
    begin[sequences] = (int32_t)steps.rows;
    steps.tokens = put_ints(pair, tokens, steps.rows);
    steps.positions = put_ints(pair, positions, steps.rows);
    steps.sequence_of = put_ints(pair, sequence_of, steps.rows);
    steps.row_begin = put_ints(pair, begin, sequences + 1);
    steps.slots = put_ints(pair, slots, sequences);
    steps.blocks = put_ints(pair, blocks, sequences * 64);
    return steps;
}

struct attention_case {
    uint32_t heads, kv_heads, head_dim, block_tokens;
};

/* The rows of STEPS, which are those from FIRST on of QKV and OUT. */
static void attend(struct pair *pair, struct side *s, const struct attention_case *c,
                   const struct both *pool, const struct steps *steps, const struct both *qkv,
                   const struct both *out, uint32_t first)
{
    int i = index_of(pair, s);
    struct ss_step step = step_at(steps, i);
    size_t row = (size_t)c->head_dim * ss_dtype_bytes(s->type);
    uint64_t layer = 2 * c->block_tokens * c->kv_heads * row;
    struct ss_kv_layout kv = {.pool = pool->at[i],
                              .page_bytes = 2 * layer,
                              .layer_bytes = layer,
                              .block_tokens = c->block_tokens,
                              .kv_heads = c->kv_heads,
                              .head_dim = c->head_dim};
    MUST(s->table->attention(
        s->ops, s->stream, &step, &kv, 1, qkv->at[i] + first * (c->heads + 2 * c->kv_heads) * row,
        c->heads, 1.0f / sqrtf((float)c->head_dim), out->at[i] + first * c->heads * row));
}

#define PAGES 401u

static void attention_step(struct pair *pair, const struct attention_case *c,
                           const struct both *pool, const uint32_t *counts, const uint32_t *before,
                           uint32_t sequences, const char *what)
{
    struct steps steps = make_step(pair, sequences, counts, before, c->block_tokens, PAGES);
    size_t width = (size_t)(c->heads + 2 * c->kv_heads) * c->head_dim;
    struct both qkv = put_random(pair, steps.rows * width, 2);
    struct both out = put_poison(pair, (size_t)steps.rows * c->heads * c->head_dim);
    ON_BOTH(pair, s) attend(pair, s, c, pool, &steps, &qkv, &out, 0);
    compare(pair, &out, 0, (size_t)steps.rows * c->heads * c->head_dim, what);
}

/* A prompt whole, beside another sequence, and in slices. */
static void attention_sliced(struct pair *pair, const struct attention_case *c,
                             const struct both *pool)
{
    static const uint32_t slices[] = {7, 64, 1, 15, 100, 16}, none[2] = {0};
    uint32_t both[] = {203, 90};
    struct side *gpu = &pair->sides[GPU];
    size_t columns = (size_t)c->heads * c->head_dim;
    struct steps whole = make_step(pair, 2, both, none, c->block_tokens, PAGES);
    struct both qkv =
        put_random(pair, whole.rows * (size_t)(c->heads + 2 * c->kv_heads) * c->head_dim, 2);
    struct both together = put_poison(pair, whole.rows * columns);
    struct both apart = put_poison(pair, whole.rows * columns);
    attend(pair, gpu, c, pool, &whole, &qkv, &together, 0);
    for (uint32_t i = 0, done = 0; i < COUNT(slices); done += slices[i++]) {
        struct steps slice = make_step(pair, 1, &slices[i], &done, c->block_tokens, PAGES);
        attend(pair, gpu, c, pool, &slice, &qkv, &apart, done);
    }
    compare_bits(pair, &together, 0, &apart, 0, both[0] * columns, "attention, sliced");
}

static void attention(struct pair *pair)
{
    static const struct attention_case cases[] = {
        {3, 1, 10, 20},  {4, 4, 64, 16},   {8, 2, 128, 16}, {6, 3, 80, 16},
        {2, 1, 256, 8},  {2, 1, 80, 16},   {8, 1, 64, 16},  {14, 2, 128, 16},
        {11, 1, 96, 16}, {12, 12, 96, 32}, {1, 1, 8, 4}};
    static const uint32_t none[8] = {0}, prefill[] = {1, 70, 33, 200, 5},
                          decode[] = {1, 1, 1, 1, 1}, slices[] = {3, 1, 64, 1, 17},
                          few[] = {2, 5, 1, 15, 3}, equal[] = {70, 70, 70, 70, 70},
                          far[] = {127, 128, 255, 256, 700};
    for (size_t i = 0; i < COUNT(cases); i += pair->brief ? 5 : 1) {
        const struct attention_case *c = &cases[i];
        uint32_t n = 5, before[5];
        uint32_t longest = 64 * c->block_tokens;
        size_t page = (size_t)4 * c->block_tokens * c->kv_heads * c->head_dim;
        struct both pool = put_poison(pair, PAGES * page);
        uint32_t counts[5];
        for (uint32_t k = 0; k < n; k++)
            counts[k] = prefill[k] < longest / 2 ? prefill[k] : longest / 2;
        attention_step(pair, c, &pool, equal, none, n, "attention, prompts of one length");
        attention_step(pair, c, &pool, counts, none, n, "attention, prefill");
        attention_step(pair, c, &pool, decode, counts, n, "attention, decode");
        for (uint32_t k = 0; k < n; k++)
            before[k] = counts[k] + 1;
        attention_step(pair, c, &pool, slices, before, n, "attention, mixed");
        if (longest < 704) {
            pair_forget(pair);
            continue;
        }
        attention_step(pair, c, &pool, far, none, n, "attention, long prefill");
        attention_step(pair, c, &pool, decode, far, n, "attention, long context");
        attention_step(pair, c, &pool, few, far, n, "attention, a few after a long context");
        if (pair->invariant)
            attention_sliced(pair, c, &pool);
        pair_forget(pair);
    }
    pair_end(pair, "attention");
}

static void rotate(struct pair *pair)
{
    static const uint32_t dims[] = {2, 64, 80, 128};
    static const uint32_t counts[] = {2, 5, 1}, before[] = {0, 100, 319};
    for (size_t d = 0; d < COUNT(dims); d++) {
        uint32_t dim = dims[d], heads = 6, kv_heads = 2, width = (heads + 2 * kv_heads) * dim;
        float frequencies[64];
        struct steps steps = make_step(pair, 3, counts, before, 16, 401);
        for (uint32_t i = 0; i < dim / 2; i++)
            frequencies[i] = powf(10000.0f, -2.0f * (float)i / (float)dim);
        struct both table = put_bytes(pair, frequencies, dim / 2 * sizeof(float));
        struct both qkv = put_random_sums(pair, (size_t)steps.rows * width, 1);
        struct both out = put_poison(pair, (size_t)steps.rows * width);
        ON_BOTH(pair, s)
        {
            int i = index_of(pair, s);
            struct ss_step step = step_at(&steps, i);
            MUST(s->table->rotate(s->ops, s->stream, &step, out.at[i], qkv.at[i], heads, kv_heads,
                                  dim, table.at[i]));
        }
        compare(pair, &out, 0, (size_t)steps.rows * width, "rotate");
    }
    pair_end(pair, "rotate");
}

static void tokens(struct pair *pair)
{
    enum { SLOTS = 3, TOKENS_MAX = 512, COLUMNS = 77, VOCAB = 60 };
    static const uint32_t counts[] = {2, 5, 1}, before[] = {0, 100, 319};
    int32_t ids[SLOTS * TOKENS_MAX];
    for (int i = 0; i < SLOTS * TOKENS_MAX; i++)
        ids[i] = i * 13 % 100; /* some past the vocabulary's part of this rank */
    for (size_t t = 0; t < COUNT(types); t++) {
        struct steps steps = make_step(pair, 3, counts, before, 16, 401);
        struct both table = put_ints(pair, ids, SLOTS * TOKENS_MAX);
        struct both weight = put_weights(pair, VOCAB, COLUMNS, types[t]);
        struct both places = put_weights(pair, 400, COLUMNS, types[t]);
        struct both out = put_poison(pair, (size_t)steps.rows * COLUMNS);
        ON_BOTH(pair, s)
        {
            int i = index_of(pair, s);
            struct ss_weight w;
            struct ss_step step = step_at(&steps, i);
            struct ss_token_table all = {table.at[i], SLOTS, TOKENS_MAX};
            MUST(s->table->gather_tokens(s->ops, s->stream, &step, &all));
            MUST(s->table->embed(s->ops, s->stream, &step,
                                 weight_at(&weight, i, VOCAB, COLUMNS, types[t], &w), 10,
                                 out.at[i]));
            MUST(s->table->add_positions(s->ops, s->stream, &step,
                                         weight_at(&places, i, 400, COLUMNS, types[t], &w), 2,
                                         out.at[i]));
        }
        compare_ints(pair, &steps.tokens, steps.rows, "gather_tokens");
        compare(pair, &out, 0, (size_t)steps.rows * COLUMNS, "embed and add_positions");
    }
    pair_end(pair, "tokens");
}

static void sample(struct pair *pair)
{
    enum { ROWS = 24, SLOTS = 32, TOKENS_MAX = 64 };
    static const uint32_t shapes[][3] = {
        {1, 50272, 50272}, {1, 4600, 4500}, {2, 501, 1001}, {4, 13, 50}};
    for (size_t i = pair->brief; i < COUNT(shapes); i++) {
        uint32_t parts = shapes[i][0], columns = shapes[i][1], vocab = shapes[i][2];
        struct ss_sampling samplings[ROWS];
        int32_t zeros[SLOTS * TOKENS_MAX] = {0};
        for (int r = 0; r < ROWS; r++)
            samplings[r] = (struct ss_sampling){.temperature = r % 4 ? 0.3f * (float)(r % 4) : 0,
                                                .top_p = r % 3 ? 0.4f + 0.2f * (float)(r % 3) : 1,
                                                .top_k = r % 5 > 2 ? r * 3 : 0,
                                                .slot = r,
                                                .seed = 77 + (uint64_t)r * 991,
                                                .position = r + 3};
        struct both logits = put_random(pair, (size_t)parts * ROWS * columns, 12);
        struct both how = put_bytes(pair, samplings, sizeof samplings);
        struct both out = put_ints(pair, zeros, ROWS);
        struct both table = put_ints(pair, zeros, SLOTS * TOKENS_MAX);
        struct both stored = put_ints(pair, zeros, SLOTS * TOKENS_MAX);
        ON_BOTH(pair, s)
        {
            int k = index_of(pair, s);
            struct ss_token_table all = {table.at[k], SLOTS, TOKENS_MAX};
            struct ss_token_table other = {stored.at[k], SLOTS, TOKENS_MAX};
            MUST(s->table->sample(s->ops, s->stream, logits.at[k], ROWS, parts, columns, vocab,
                                  how.at[k], out.at[k], &all));
            MUST(s->table->store_tokens(s->ops, s->stream, out.at[k], ROWS, how.at[k], &other));
        }
        compare_ints(pair, &out, ROWS, "sample");
        compare_ints(pair, &table, SLOTS * TOKENS_MAX, "token table after sample");
        compare_ints(pair, &stored, SLOTS * TOKENS_MAX, "store_tokens");
    }
    pair_end(pair, "sample");
}

int main(int count, char **arguments)
{
    int failed = 0;
    bool brief = count > 1 && strcmp(arguments[1], "brief") == 0;
    static const char *const kinds[] = {"real", "real-bf16"};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct pair pair;
        pair_open(&pair, kinds[i], false);
        pair.brief = brief;
        if (!brief)
            linear(&pair);
        parity_dense(&pair);
        norms(&pair);
        rows_of(&pair);
        rotate(&pair);
        attention(&pair);
        tokens(&pair);
        sample(&pair);
        failed += pair_close(&pair);
        if (brief)
            continue;
        pair_open(&pair, kinds[i], true);
        parity_dense(&pair);
        attention(&pair);
        failed += pair_close(&pair);
    }
    printf("%d failed\n", failed);
    return failed != 0;
}
