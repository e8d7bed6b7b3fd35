#include "tests/gpu/parity.h"

#include <math.h>
#include <string.h>

#include "swap/convert.h"

#define MEMORY_BYTES ((size_t)512 << 20)
#define LONG_NS      60000000000ull
#define GUARD_BYTES  256u /* between blocks */

static void open_side(struct side *side, const char *device, const char *kind, bool invariant)
{
    const struct ss_device_options options = {.kind = device, .memory_bytes = MEMORY_BYTES * 2};
    const struct ss_ops_options ops = {.kind = kind, .invariant = invariant};
    MUST(ss_device_create(&options, &side->device));
    MUST(ss_ops_create(side->device, &ops, &side->ops));
    MUST(side->device->ops->stream_create(side->device, SS_STREAM_COMPUTE, &side->stream));
    MUST(side->device->ops->timeline_create(side->device, &side->timeline));
    MUST(side->device->ops->alloc(side->device, MEMORY_BYTES, &side->memory));
    side->table = side->ops->table;
    side->type = side->table->activation_dtype;
}

void pair_open(struct pair *pair, const char *kind, bool invariant)
{
    memset(pair, 0, sizeof *pair);
    open_side(&pair->sides[CPU], "cpu", "real", false);
    open_side(&pair->sides[GPU], "cuda", kind, invariant);
    pair->invariant = invariant;
    pair->tolerance = pair->sides[GPU].type == SS_F16 ? 1e-3 : 8e-3;
    printf("%s, %s%s, relative distance at most %g\n", pair->sides[GPU].device->description,
           ss_dtype_name(pair->sides[GPU].type), invariant ? ", invariant" : "", pair->tolerance);
}

int pair_close(struct pair *pair)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &pair->sides[i];
        side->device->ops->stream_destroy(side->stream);
        side->device->ops->timeline_destroy(side->timeline);
        side->device->ops->free(side->device, side->memory);
        side->table->destroy(side->ops);
        pair->failed += !CHECK(side->device->ops->health(side->device) == SS_OK);
        side->device->ops->destroy(side->device);
    }
    return pair->failed;
}

void pair_forget(struct pair *pair)
{
    for (int i = 0; i < SIDES; i++)
        pair->sides[i].used = 0;
}

void pair_end(struct pair *pair, const char *name)
{
    printf("%-20s %4d compared, worst %.2e\n", name, pair->compared, pair->worst);
    fflush(stdout);
    pair->compared = 0;
    pair->worst = 0;
    pair_forget(pair);
}

static void finish(struct side *side)
{
    MUST(side->device->ops->signal(side->stream, side->timeline, ++side->value));
    MUST(side->device->ops->timeline_wait(side->timeline, side->value, LONG_NS));
}

static ss_device_address put(struct side *side, const void *bytes, size_t count)
{
    size_t at = side->used;
    side->used = (at + count + 2 * GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
    if (side->used > MEMORY_BYTES)
        exit(3);
    MUST(side->device->ops->copy_to_device(side->stream, side->memory + at, bytes, count));
    finish(side);
    return side->memory + at;
}

static void *get(struct side *side, ss_device_address from, size_t bytes)
{
    void *to = malloc(bytes + 1);
    if (!to)
        exit(3);
    MUST(side->device->ops->copy_to_host(side->stream, to, from, bytes));
    finish(side);
    return to;
}

static struct both put_random_of(struct pair *pair, enum ss_dtype type, size_t count, float scale)
{
    struct both block = {.count = count, .type = type};
    float *values = malloc(count * sizeof *values + 1);
    void *narrow = malloc(count * sizeof *values + 1);
    if (!values || !narrow)
        exit(3);
    pair->seed++;
    for (size_t i = 0; i < count; i++)
        values[i] = scale * (float)(2 * ss_random_unit(pair->seed, i) - 1);
    ss_convert(narrow, type, values, SS_F32, count);
    ss_convert(values, SS_F32, narrow, type, count);
    block.at[CPU] = put(&pair->sides[CPU], values, count * sizeof *values);
    block.at[GPU] = put(&pair->sides[GPU], narrow, count * ss_dtype_bytes(type));
    free(values);
    free(narrow);
    return block;
}

struct both put_random(struct pair *pair, size_t count, float scale)
{
    return put_random_of(pair, pair->sides[GPU].type, count, scale);
}

struct both put_random_sums(struct pair *pair, size_t count, float scale)
{
    return put_random_of(pair, pair->sides[GPU].table->sum_dtype, count, scale);
}

static struct both put_poison_of(struct pair *pair, enum ss_dtype type, size_t count)
{
    struct both block = {.count = count, .type = type};
    unsigned char *bytes = malloc(count * sizeof(float) + 1);
    if (!bytes)
        exit(3);
    memset(bytes, 0xff, count * sizeof(float));
    block.at[CPU] = put(&pair->sides[CPU], bytes, count * sizeof(float));
    block.at[GPU] = put(&pair->sides[GPU], bytes, count * ss_dtype_bytes(type));
    free(bytes);
    return block;
}

struct both put_poison(struct pair *pair, size_t count)
{
    return put_poison_of(pair, pair->sides[GPU].type, count);
}

struct both put_poison_sums(struct pair *pair, size_t count)
{
    return put_poison_of(pair, pair->sides[GPU].table->sum_dtype, count);
}

struct both put_bytes(struct pair *pair, const void *bytes, size_t count)
{
    struct both block = {.count = count};
    for (int i = 0; i < SIDES; i++)
        block.at[i] = put(&pair->sides[i], bytes, count);
    return block;
}

struct both put_ints(struct pair *pair, const int32_t *values, size_t count)
{
    return put_bytes(pair, values, count * sizeof *values);
}

struct both put_weights(struct pair *pair, uint32_t rows, uint32_t columns, enum ss_dtype dtype)
{
    size_t count = (size_t)rows * columns;
    float *values = malloc(count * sizeof *values + 1);
    void *narrow = malloc(count * sizeof *values + 1);
    if (!values || !narrow)
        exit(3);
    pair->seed++;
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(2 * ss_random_unit(pair->seed, i) - 1);
    ss_convert(narrow, dtype, values, SS_F32, count);
    struct both block = put_bytes(pair, narrow, count * ss_dtype_bytes(dtype));
    free(values);
    free(narrow);
    return block;
}

const struct ss_weight *weight_at(const struct both *block, int side, uint32_t rows,
                                  uint32_t columns, enum ss_dtype dtype, struct ss_weight *out)
{
    *out = (struct ss_weight){
        .address = block->at[side], .dtype = dtype, .rows = rows, .columns = columns};
    return rows ? out : 0;
}

void compare(struct pair *pair, const struct both *block, size_t offset, size_t count,
             const char *what)
{
    size_t element = ss_dtype_bytes(block->type);
    float *a = get(&pair->sides[CPU], block->at[CPU] + offset * sizeof *a, count * sizeof *a);
    void *narrow = get(&pair->sides[GPU], block->at[GPU] + offset * element, count * element);
    float *b = malloc(count * sizeof *b + 1);
    if (!b)
        exit(3);
    ss_convert(b, SS_F32, narrow, block->type, count);
    double distance = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        distance += ((double)b[i] - a[i]) * ((double)b[i] - a[i]);
        norm += (double)a[i] * a[i];
    }
    double relative = norm > 0 ? sqrt(distance / norm) : sqrt(distance);
    if (!(relative <= pair->tolerance)) {
        printf("    FAILED %s: relative distance %g\n", what, relative);
        pair->failed++;
    }
    pair->worst = relative > pair->worst ? relative : pair->worst;
    pair->compared++;
    free(a);
    free(b);
    free(narrow);
}

void compare_ints(struct pair *pair, const struct both *block, size_t count, const char *what)
{
    int32_t *a = get(&pair->sides[CPU], block->at[CPU], count * sizeof *a);
    int32_t *b = get(&pair->sides[GPU], block->at[GPU], count * sizeof *b);
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i]) {
            printf("    FAILED %s: element %zu is %d, expected %d\n", what, i, b[i], a[i]);
            pair->failed++;
        }
    pair->compared++;
    free(a);
    free(b);
}

void compare_bits(struct pair *pair, const struct both *a, size_t a_at, const struct both *b,
                  size_t b_at, size_t count, const char *what)
{
    struct side *side = &pair->sides[GPU];
    size_t element = ss_dtype_bytes(a->type);
    void *left = get(side, a->at[GPU] + a_at * element, count * element);
    void *right = get(side, b->at[GPU] + b_at * element, count * element);
    if (memcmp(left, right, count * element) != 0) {
        printf("    FAILED %s: not the same bits\n", what);
        pair->failed++;
    }
    pair->compared++;
    free(left);
    free(right);
}
