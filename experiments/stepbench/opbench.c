/* opbench: how long operations take one by one, in a decode step of a model's shape, and how fast
 * they read. Prints a table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/random.h"
#include "pipeline/ops/ops.h"
#include "swap/convert.h"

#define MEMORY_BYTES ((size_t)9 << 30)
#define RANDOM_BYTES ((size_t)64 << 20)
#define SCRATCH      ((size_t)1 << 30) /* at the end: activations and small arrays */
#define CALLS        32
#define ROUNDS       5
#define BLOCK_TOKENS 16u
#define ROWS_MAX     64u
#define STRIDE       256u
#define PATIENCE_NS  20000000000ull

static struct ss_device *device;
static struct ss_ops *ops;
static struct ss_stream *stream;
static struct ss_timeline *done;
static uint64_t value;
static ss_device_address memory, next_weight;

static void must(enum ss_status status)
{
    if (!status)
        return;
    fprintf(stderr, "opbench: %s\n", ss_status_message());
    exit(EXIT_FAILURE);
}

static void finish(void)
{
    must(device->ops->signal(stream, done, ++value));
    must(device->ops->timeline_wait(done, value, PATIENCE_NS));
}

/* Places in the scratch memory, of 64 MiB each. */
static ss_device_address scratch(int place)
{
    return memory + MEMORY_BYTES - SCRATCH + ((size_t)place << 26);
}

/* Weights that are in no cache: one after the other over all of the memory. */
static struct ss_weight weight_of(uint32_t rows, uint32_t columns)
{
    size_t bytes = ((size_t)rows * columns * 2 + 255) / 256 * 256;
    if (next_weight + bytes > memory + MEMORY_BYTES - SCRATCH)
        next_weight = memory;
    struct ss_weight weight = {next_weight, ops->table->activation_dtype, rows, columns};
    next_weight += bytes;
    return weight;
}

struct bench {
    uint32_t n, k, rows, context, heads, kv_heads, head_dim, ffn;
    enum ss_norm_kind norm;
    bool gated, adds;
    struct ss_step step;
    struct ss_sampling sampling;
};

typedef void (*bench_call)(const struct bench *bench);

static void say(const char *what, const struct bench *bench, bench_call call, double bytes)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin_ns = ss_now_ns();
        for (int i = 0; i < CALLS; i++)
            call(bench);
        finish();
        double spent = (double)(ss_now_ns() - begin_ns) / 1e9 / CALLS;
        if (round > 0 && spent < best)
            best = spent;
    }
    printf("%-52s %9.2f us %7.3f TB/s\n", what, best * 1e6, bytes / best / 1e12);
    fflush(stdout);
}

static void call_dense(const struct bench *b)
{
    struct ss_weight weight = weight_of(b->n, b->k), bias = weight_of(1, b->n);
    struct ss_weight norm_weight = weight_of(1, b->k), norm_bias = weight_of(1, b->k);
    const struct ss_dense dense = {.out = scratch(1),
                                   .in = scratch(0),
                                   .rows = b->rows,
                                   .weight = &weight,
                                   .bias = &bias,
                                   .norm = {b->norm, &norm_weight, &norm_bias, 1e-5f},
                                   .gated = b->gated,
                                   .adds = b->adds,
                                   .normed = scratch(2),
                                   .product = scratch(3)};
    must(ops->table->dense(ops, stream, &dense));
}

static void bench_dense(const char *name, uint32_t n, uint32_t k, enum ss_norm_kind norm,
                        bool gated, bool adds)
{
    static const uint32_t rows[] = {1, 2, 4, 8, 32};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char what[96];
        const struct bench bench = {
            .n = n, .k = k, .rows = rows[i], .norm = norm, .gated = gated, .adds = adds};
        snprintf(what, sizeof what, "%s, %u x %u, %u rows", name, n, k, rows[i]);
        say(what, &bench, call_dense, (double)n * k * 2);
    }
}

static void put(ss_device_address to, const void *from, size_t bytes)
{
    must(device->ops->copy_to_device(stream, to, from, bytes));
    finish();
}

/* ROWS sequences that each have one new token after CONTEXT - 1; pages of 2 MiB scattered. */
static struct ss_step make_step(uint32_t rows, uint32_t context)
{
    static int32_t positions[ROWS_MAX], index[ROWS_MAX + 1], blocks[ROWS_MAX * STRIDE];
    for (uint32_t i = 0; i <= rows; i++)
        index[i] = (int32_t)i;
    for (uint32_t i = 0; i < rows; i++)
        positions[i] = (int32_t)context - 1;
    for (uint32_t i = 0; i < rows * STRIDE; i++)
        blocks[i] = (int32_t)(i * 17u % 4001u);
    put(scratch(8), positions, rows * sizeof *positions);
    put(scratch(9), index, (rows + 1) * sizeof *index);
    put(scratch(10), blocks, rows * STRIDE * sizeof *blocks);
    return (struct ss_step){.rows = rows,
                            .sequences = rows,
                            .positions = scratch(8),
                            .sequence_of = scratch(9),
                            .row_begin = scratch(9),
                            .slots = scratch(9),
                            .blocks = scratch(10),
                            .blocks_stride = STRIDE,
                            .rows_max_per_sequence = 1,
                            .context_max = context};
}

static void attend(const struct bench *b, ss_device_address qkv, ss_device_address out)
{
    static uint32_t layer;
    uint64_t layer_bytes = (uint64_t)2 * BLOCK_TOKENS * b->kv_heads * b->head_dim * 2;
    const struct ss_kv_layout kv = {.pool = memory,
                                    .page_bytes = (uint64_t)2 << 20,
                                    .layer_bytes = layer_bytes,
                                    .block_tokens = BLOCK_TOKENS,
                                    .kv_heads = b->kv_heads,
                                    .head_dim = b->head_dim};
    uint32_t layers = (uint32_t)(kv.page_bytes / layer_bytes);
    must(ops->table->attention(ops, stream, &b->step, &kv, ++layer % layers, qkv, b->heads,
                               1 / sqrtf((float)b->head_dim), out));
}

static void call_attention(const struct bench *b)
{
    attend(b, scratch(0), scratch(1));
}

static void bench_attention(uint32_t heads, uint32_t kv_heads, uint32_t rows, uint32_t context)
{
    char what[96];
    const struct bench bench = {.rows = rows,
                                .context = context,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_dim = 128,
                                .step = make_step(rows, context)};
    snprintf(what, sizeof what, "attention, %u/%u heads, %u rows, context %u", heads, kv_heads,
             rows, context);
    say(what, &bench, call_attention, (double)rows * context * kv_heads * 128 * 2 * 2);
}

static void one_dense(const struct bench *b, uint32_t n, uint32_t k, enum ss_norm_kind norm,
                      enum ss_activation activation, bool gated, bool adds, ss_device_address in,
                      ss_device_address out)
{
    struct ss_weight weight = weight_of(n, k), bias = weight_of(1, n);
    struct ss_weight norm_weight = weight_of(1, k), norm_bias = weight_of(1, k);
    const struct ss_dense dense = {.out = out,
                                   .in = in,
                                   .rows = b->rows,
                                   .weight = &weight,
                                   .bias = &bias,
                                   .norm = {norm, &norm_weight, &norm_bias, 1e-5f},
                                   .activation = activation,
                                   .gated = gated,
                                   .adds = adds,
                                   .normed = scratch(6),
                                   .product = scratch(7)};
    must(ops->table->dense(ops, stream, &dense));
}

/* Every operation of a layer, in order. */
static void call_layer(const struct bench *b)
{
    uint32_t width = b->heads * b->head_dim, qkv = (b->heads + 2 * b->kv_heads) * b->head_dim;
    enum ss_activation activation = b->gated ? SS_ACTIVATION_NONE : SS_ACTIVATION_RELU;
    one_dense(b, qkv, b->k, b->norm, SS_ACTIVATION_NONE, false, false, scratch(0), scratch(1));
    attend(b, scratch(1), scratch(2));
    one_dense(b, b->k, width, SS_NORM_NONE, SS_ACTIVATION_NONE, false, true, scratch(2),
              scratch(0));
    one_dense(b, b->gated ? 2 * b->ffn : b->ffn, b->k, b->norm, activation, b->gated, false,
              scratch(0), scratch(3));
    one_dense(b, b->k, b->ffn, SS_NORM_NONE, SS_ACTIVATION_NONE, false, true, scratch(3),
              scratch(0));
}

static void bench_layer(const char *name, uint32_t hidden, uint32_t heads, uint32_t kv_heads,
                        uint32_t ffn, bool gated, uint32_t rows, uint32_t context)
{
    char what[96];
    const struct bench bench = {.k = hidden,
                                .rows = rows,
                                .context = context,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_dim = 128,
                                .ffn = ffn,
                                .gated = gated,
                                .norm = gated ? SS_NORM_RMS : SS_NORM_LAYER,
                                .step = make_step(rows, context)};
    double weights = (heads + 2.0 * kv_heads) * 128 * hidden + heads * 128.0 * hidden +
                     (gated ? 3.0 : 2.0) * hidden * ffn;
    snprintf(what, sizeof what, "layer of %s, %u rows, context %u", name, rows, context);
    say(what, &bench, call_layer, 2 * (weights + (double)rows * context * kv_heads * 128 * 2));
}

static void call_sample(const struct bench *b)
{
    must(ops->table->sample(ops, stream, scratch(0), b->rows, 1, 50272, 50272, scratch(11),
                            scratch(12), 0));
}

static void bench_sample(const char *name, uint32_t rows, struct ss_sampling how)
{
    struct ss_sampling all[ROWS_MAX];
    char what[96];
    const struct bench bench = {.rows = rows};
    for (uint32_t i = 0; i < rows; i++)
        all[i] = how;
    put(scratch(11), all, sizeof all);
    snprintf(what, sizeof what, "sample %s, %u rows", name, rows);
    say(what, &bench, call_sample, rows * 50272.0 * 2);
}

static void call_norm(const struct bench *b)
{
    struct ss_weight weight = weight_of(1, 5120), bias = weight_of(1, 5120);
    must(ops->table->layer_norm(ops, stream, scratch(1), scratch(0), b->rows, 5120, &weight, &bias,
                                1e-5f));
}

static void fill(void)
{
    enum ss_dtype type = ops->table->activation_dtype;
    size_t count = RANDOM_BYTES / 2;
    float *values = malloc(count * sizeof *values);
    void *narrow = malloc(RANDOM_BYTES);
    if (!values || !narrow)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < count; i++)
        values[i] = 0.02f * (float)(2 * ss_random_unit(5, i) - 1);
    ss_convert(narrow, type, values, SS_F32, count);
    put(memory, narrow, RANDOM_BYTES);
    for (size_t at = RANDOM_BYTES; at < MEMORY_BYTES; at += RANDOM_BYTES)
        must(device->ops->copy_on_device(stream, memory + at, memory, RANDOM_BYTES));
    finish();
    free(values);
    free(narrow);
}

static void bench_all(void)
{
    const struct bench row = {.rows = 1};
    bench_dense("norm and qkv", 15360, 5120, SS_NORM_LAYER, false, false);
    bench_dense("out, added", 5120, 5120, SS_NORM_NONE, false, true);
    bench_dense("norm and fc1", 20480, 5120, SS_NORM_LAYER, false, false);
    bench_dense("fc2, added", 5120, 20480, SS_NORM_NONE, false, true);
    bench_dense("head", 50272, 5120, SS_NORM_NONE, false, false);
    bench_dense("norm, gate and up", 28672, 4096, SS_NORM_RMS, true, false);
    say("layer norm of 1 x 5120", &row, call_norm, 10240);
    bench_attention(40, 40, 1, 512);
    bench_attention(40, 40, 1, 2048);
    bench_attention(40, 40, 32, 512);
    bench_attention(40, 40, 8, 2048);
    bench_attention(32, 8, 1, 512);
    bench_attention(32, 8, 32, 2048);
    for (uint32_t rows = 1; rows <= 32; rows *= rows == 1 ? 4 : 8) {
        bench_layer("OPT-13B", 5120, 40, 40, 20480, false, rows, 512);
        bench_layer("Llama-3-8B", 4096, 32, 8, 14336, true, rows, 512);
    }
    bench_sample("greedy", 1, (struct ss_sampling){.top_p = 1});
    bench_sample("greedy", 32, (struct ss_sampling){.top_p = 1});
    bench_sample("of all", 1, (struct ss_sampling){.temperature = 1, .top_p = 1});
    bench_sample("top_k and top_p", 1,
                 (struct ss_sampling){.temperature = 1, .top_p = 0.9f, .top_k = 50});
    bench_sample("top_k and top_p", 32,
                 (struct ss_sampling){.temperature = 1, .top_p = 0.9f, .top_k = 50});
}

int main(int count, char **arguments)
{
    const struct ss_device_options options = {.kind = "cuda"};
    const struct ss_ops_options which = {.kind = count > 1 ? arguments[1] : "real"};
    must(ss_device_create(&options, &device));
    must(ss_ops_create(device, &which, &ops));
    must(device->ops->stream_create(device, SS_STREAM_COMPUTE, &stream));
    must(device->ops->timeline_create(device, &done));
    must(device->ops->alloc(device, MEMORY_BYTES, &memory));
    next_weight = memory;
    fill();
    bench_all();
    device->ops->stream_destroy(stream);
    device->ops->timeline_destroy(done);
    device->ops->free(device, memory);
    ops->table->destroy(ops);
    device->ops->destroy(device);
    return EXIT_SUCCESS;
}
