/* Causal attention over paged keys and values: right against double precision, and the same bits
 * however a prompt is sliced, whatever runs beside it and wherever its blocks lie. */
#include "tests/unit/ops_data.h"

#include "pipeline/ops/cpu/row_ops.h"

/* A little pool: PAGES pages of LAYERS layers. */
struct cache {
    char *pool;
    struct ss_kv_layout kv;
    uint32_t pages;
};

enum { LAYERS = 2, LAYER = 1 };

static struct cache make_cache(uint32_t pages, uint32_t block_tokens, uint32_t kv_heads,
                               uint32_t head_dim)
{
    uint64_t layer_bytes = 2ull * block_tokens * kv_heads * head_dim * sizeof(float);
    uint64_t page_bytes = (LAYERS * layer_bytes + 255) / 256 * 256;
    struct cache cache = {.pool = test_alloc(pages * page_bytes), .pages = pages};
    memset(cache.pool, 0xff, pages * page_bytes); /* what is not written is not a number */
    cache.kv = (struct ss_kv_layout){.pool = (uintptr_t)cache.pool,
                                     .page_bytes = page_bytes,
                                     .layer_bytes = layer_bytes,
                                     .block_tokens = block_tokens,
                                     .kv_heads = kv_heads,
                                     .head_dim = head_dim};
    return cache;
}

/* One sequence: queries, keys and values of all its positions, and the pages it was given. */
struct sequence {
    uint32_t length, heads;
    size_t width;
    float *qkv;
    int32_t *blocks;
};

static struct sequence make_sequence(const struct cache *cache, uint32_t length, uint32_t heads,
                                     uint64_t seed, uint32_t first_page, uint32_t page_step)
{
    uint32_t count = (length + cache->kv.block_tokens - 1) / cache->kv.block_tokens;
    struct sequence s = {.length = length,
                         .heads = heads,
                         .width = (size_t)(heads + 2 * cache->kv.kv_heads) * cache->kv.head_dim,
                         .blocks = test_alloc(count * sizeof *s.blocks)};
    s.qkv = random_floats(length * s.width, seed);
    for (size_t i = 0; i < length * s.width; i++)
        s.qkv[i] *= 2;
    for (uint32_t i = 0; i < count; i++)
        s.blocks[i] = (int32_t)((first_page + i * page_step) % cache->pages);
    return s;
}

static void release_sequence(struct sequence *s)
{
    free(s->qkv);
    free(s->blocks);
}

/* Rows [BEGIN, END) of one sequence as one step. */
static void run_slice(const struct cache *cache, const struct sequence *s, uint32_t begin,
                      uint32_t end, const struct ss_cpu_kernels *kernels, float *out)
{
    uint32_t rows = end - begin;
    int32_t *positions = test_alloc(2 * rows * sizeof *positions), *owners = positions + rows;
    for (uint32_t i = 0; i < rows; i++) {
        positions[i] = (int32_t)(begin + i);
        owners[i] = 0;
    }
    const struct ss_cpu_attention call = {.out =
                                              out + (size_t)begin * s->heads * cache->kv.head_dim,
                                          .qkv = s->qkv + begin * s->width,
                                          .rows = rows,
                                          .heads = s->heads,
                                          .positions = positions,
                                          .sequence_of = owners,
                                          .blocks = s->blocks,
                                          .kv = cache->kv,
                                          .layer = LAYER,
                                          .scale = 1 / sqrtf((float)cache->kv.head_dim)};
    ss_cpu_write_kv(&call);
    kernels->attention(&call);
    free(positions);
}

static void reference_row(const struct cache *cache, const struct sequence *s, uint32_t row,
                          uint32_t head, double *out)
{
    uint32_t dim = cache->kv.head_dim, kv_heads = cache->kv.kv_heads;
    uint32_t kv_head = head / (s->heads / kv_heads);
    double *weights = test_alloc((row + 1) * sizeof *weights), maximum = -INFINITY, total = 0;
    const float *query = s->qkv + row * s->width + (size_t)head * dim;
    for (uint32_t j = 0; j <= row; j++) {
        const float *key = s->qkv + j * s->width + (size_t)(s->heads + kv_head) * dim;
        weights[j] = 0;
        for (uint32_t d = 0; d < dim; d++)
            weights[j] += (double)query[d] * key[d] / sqrt(dim);
        maximum = fmax(maximum, weights[j]);
    }
    for (uint32_t j = 0; j <= row; j++)
        total += weights[j] = exp(weights[j] - maximum);
    for (uint32_t d = 0; d < dim; d++)
        out[d] = 0;
    for (uint32_t j = 0; j <= row; j++) {
        const float *value = s->qkv + j * s->width + (size_t)(s->heads + kv_heads + kv_head) * dim;
        for (uint32_t d = 0; d < dim; d++)
            out[d] += weights[j] / total * value[d];
    }
    free(weights);
}

struct attention_shape {
    uint32_t length, heads, kv_heads, head_dim, block_tokens;
};

static const struct attention_shape shapes[] = {
    {1, 1, 1, 1, 1},     {9, 4, 4, 16, 4},     {40, 4, 2, 20, 7},
    {70, 6, 2, 64, 16},  {33, 2, 1, 80, 8},    {17, 3, 3, 128, 16},
    {300, 2, 1, 32, 16}, {600, 4, 2, 24, 100}, {5, 1, 1, 512, 2},
};

Test(ops_attention, matches_double_and_is_equal_on_every_instruction_set)
{
    print_sets();
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct attention_shape shape = shapes[i];
        uint32_t pages = shape.length / shape.block_tokens + 3;
        struct cache cache = make_cache(pages, shape.block_tokens, shape.kv_heads, shape.head_dim);
        struct sequence s = make_sequence(&cache, shape.length, shape.heads, i, 1, pages - 1);
        size_t count = (size_t)shape.length * shape.heads * shape.head_dim;
        float *out = test_alloc(count * sizeof *out), *other = test_alloc(count * sizeof *other);
        double *expected = test_alloc(count * sizeof *expected);
        for (uint32_t row = 0; row < shape.length; row++)
            for (uint32_t h = 0; h < shape.heads; h++)
                reference_row(&cache, &s, row, h,
                              expected + ((size_t)row * shape.heads + h) * shape.head_dim);
        for (int k = 0; ss_cpu_kernels_at(k); k++) {
            float *result = k ? other : out;
            run_slice(&cache, &s, 0, shape.length, ss_cpu_kernels_at(k), result);
            cr_assert_lt(distance(result, expected, count), 2e-6, "shape %zu: %g", i,
                         distance(result, expected, count));
            same_bits(out, result, count, ss_cpu_kernels_at(k)->name);
        }
        free(cache.pool);
        release_sequence(&s);
        free(out);
        free(other);
        free(expected);
    }
}

/* A prompt at once, in slices, and one token at a time: the same bits, over several spans. */
Test(ops_attention, slices_and_decode_steps_give_the_bits_of_one_prefill)
{
    enum { LENGTH = 530, HEADS = 4, KV_HEADS = 2, DIM = 24, BLOCK = 16, PAGES = 40 };
    static const uint32_t slices[] = {1, 2, 15, 16, 17, 100, 256, 257, 529};
    const struct ss_cpu_kernels *kernels = ss_cpu_kernels_at(0);
    struct cache cache = make_cache(PAGES, BLOCK, KV_HEADS, DIM);
    struct sequence s = make_sequence(&cache, LENGTH, HEADS, 77, 3, 7);
    size_t count = (size_t)LENGTH * HEADS * DIM;
    float *whole = test_alloc(count * sizeof *whole), *sliced = test_alloc(count * sizeof *sliced);
    run_slice(&cache, &s, 0, LENGTH, kernels, whole);
    for (size_t i = 0; i < COUNT(slices); i++) {
        memset(cache.pool, 0xff, PAGES * cache.kv.page_bytes);
        for (uint32_t begin = 0; begin < LENGTH; begin += slices[i]) {
            uint32_t end = begin + slices[i] < LENGTH ? begin + slices[i] : LENGTH;
            run_slice(&cache, &s, begin, end, kernels, sliced);
        }
        same_bits(whole, sliced, count, "sliced");
    }
    free(cache.pool);
    release_sequence(&s);
    free(whole);
    free(sliced);
}

/* The same sequence in other pages, of another pool, in blocks of another size. */
Test(ops_attention, placement_does_not_matter)
{
    enum { LENGTH = 290, HEADS = 2, DIM = 40 };
    static const uint32_t block_tokens[] = {1, 5, 16, 512};
    struct cache cache = make_cache(20, 16, 2, DIM);
    struct sequence s = make_sequence(&cache, LENGTH, HEADS, 5, 0, 1);
    size_t count = (size_t)LENGTH * HEADS * DIM;
    float *out = test_alloc(count * sizeof *out), *other = test_alloc(count * sizeof *other);
    run_slice(&cache, &s, 0, LENGTH, ss_cpu_kernels_at(0), out);
    for (size_t i = 0; i < COUNT(block_tokens); i++) {
        struct cache elsewhere = make_cache(301, block_tokens[i], 2, DIM);
        struct sequence moved = make_sequence(&elsewhere, LENGTH, HEADS, 5, 11, 3);
        run_slice(&elsewhere, &moved, 0, LENGTH, ss_cpu_kernels_at(0), other);
        same_bits(out, other, count, "placed elsewhere");
        free(elsewhere.pool);
        release_sequence(&moved);
    }
    free(cache.pool);
    release_sequence(&s);
    free(out);
    free(other);
}

/* Two sequences in one ragged step, each with the bits of its own step, and no byte written outside
 * the layer and the positions of the step. */
Test(ops_attention, sequences_of_a_batch_do_not_meet)
{
    enum { A = 21, B = 34, HEADS = 2, DIM = 16, BLOCK = 8, PAGES = 12, STRIDE = 5 };
    struct cache cache = make_cache(PAGES, BLOCK, 1, DIM);
    struct sequence a = make_sequence(&cache, A, HEADS, 1, 0, 2);
    struct sequence b = make_sequence(&cache, B, HEADS, 2, 1, 2);
    float alone[(A + B) * HEADS * DIM], both[(A + B) * HEADS * DIM];
    run_slice(&cache, &a, 0, A, ss_cpu_kernels_at(0), alone);
    run_slice(&cache, &b, 0, B, ss_cpu_kernels_at(0), alone + A * HEADS * DIM);

    int32_t positions[A + B], owners[A + B], blocks[2 * STRIDE] = {0};
    float *qkv = test_alloc((A + B) * a.width * sizeof *qkv);
    memcpy(qkv, a.qkv, A * a.width * sizeof *qkv);
    memcpy(qkv + A * a.width, b.qkv, B * b.width * sizeof *qkv);
    memcpy(blocks, a.blocks, 3 * sizeof *blocks);
    memcpy(blocks + STRIDE, b.blocks, STRIDE * sizeof *blocks);
    for (int i = 0; i < A + B; i++) {
        owners[i] = i >= A;
        positions[i] = i < A ? i : i - A;
    }
    memset(cache.pool, 0xff, PAGES * cache.kv.page_bytes);
    const struct ss_cpu_attention call = {.out = both,
                                          .qkv = qkv,
                                          .rows = A + B,
                                          .heads = HEADS,
                                          .positions = positions,
                                          .sequence_of = owners,
                                          .blocks = blocks,
                                          .blocks_stride = STRIDE,
                                          .kv = cache.kv,
                                          .layer = LAYER,
                                          .scale = 0.25f};
    ss_cpu_write_kv(&call);
    ss_cpu_kernels_at(0)->attention(&call);
    same_bits(alone, both, COUNT(both), "in a batch");

    size_t untouched = 0;
    for (size_t i = 0; i < PAGES * cache.kv.page_bytes; i++)
        untouched += (unsigned char)cache.pool[i] == 0xff;
    cr_assert_geq(untouched, PAGES * cache.kv.page_bytes - (A + B) * 2 * DIM * sizeof(float));
    for (uint32_t page = 0; page < PAGES; page++)
        for (uint64_t i = 0; i < cache.kv.layer_bytes; i++)
            cr_assert_eq((unsigned char)cache.pool[page * cache.kv.page_bytes + i], 0xff,
                         "layer 0 of page %u was written", page);
    free(qkv);
    free(cache.pool);
    release_sequence(&a);
    release_sequence(&b);
}

/* A score far above the rest, first, in the middle and last: the running softmax rescales. */
Test(ops_attention, a_peak_anywhere_wins)
{
    enum { LENGTH = 700, DIM = 16 };
    static const uint32_t peaks[] = {0, 255, 256, 400, 699};
    for (size_t p = 0; p < COUNT(peaks); p++) {
        struct cache cache = make_cache(50, 16, 1, DIM);
        struct sequence s = make_sequence(&cache, LENGTH, 1, 6, 0, 1);
        float *out = test_alloc((size_t)LENGTH * DIM * sizeof *out);
        for (uint32_t d = 0; d < DIM; d++) {
            s.qkv[(LENGTH - 1) * s.width + d] = 30;
            s.qkv[peaks[p] * s.width + DIM + d] = 30;
        }
        run_slice(&cache, &s, 0, LENGTH, ss_cpu_kernels_at(0), out);
        for (uint32_t d = 0; d < DIM; d++)
            cr_assert_float_eq(out[(LENGTH - 1) * DIM + d], s.qkv[peaks[p] * s.width + 2 * DIM + d],
                               1e-6);
        free(cache.pool);
        release_sequence(&s);
        free(out);
    }
}
