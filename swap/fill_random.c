#include <fnmatch.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "engine/base/random.h"
#include "swap/convert.h"
#include "swap/fill_walk.h"

/* Elements made at once, in the first-level cache. */
#define BATCH 1024

#define NORM_SPREAD 0.05f
#define BIAS_SPREAD 0.01f

struct random_fill {
    uint64_t seed;
    float scale;
};

/* Element = CENTRE + a value uniform in [-reach, reach), of standard deviation reach / sqrt(3). */
struct spread {
    float centre, reach;
};

static struct spread spread_of(const struct random_fill *fill, const struct ss_tensor_part *part)
{
    float root = sqrtf(3.0f);
    if (part->source_rows > 1)
        return (struct spread){0.0f, fill->scale * root};
    if (fnmatch("*norm*weight", part->name, 0) == 0)
        return (struct spread){1.0f, NORM_SPREAD * root};
    return (struct spread){0.0f, BIAS_SPREAD * root};
}

/* What distinguishes the elements of one row from those of all others. */
struct row_key {
    uint32_t add, flip;
};

/* A 32-bit mixer per column: multiply-xorshift, with the constants of Chris Wellons' search,
 * "Prospecting for Hash Functions" (2018), lowbias32; the row's key enters before each multiply, so
 * that rows are not shifted copies of each other. */
static inline __attribute__((always_inline)) void
make_elements(float *to, uint32_t column, size_t count, struct row_key key, struct spread spread)
{
    float step = spread.reach * 0x1.0p-31f;
    for (size_t i = 0; i < count; i++) {
        uint32_t x = column + (uint32_t)i + key.add;
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15 ^ key.flip;
        x *= 0x846ca68bu;
        x ^= x >> 16;
        to[i] = spread.centre + (float)(int32_t)x * step;
    }
}

static void make_plain(float *to, uint32_t column, size_t count, struct row_key key,
                       struct spread spread)
{
    make_elements(to, column, count, key, spread);
}

#if defined(__x86_64__)
/* The same operations, each exact or rounded the same, eight at a time: the same bits. */
__attribute__((target("avx2"))) static void make_avx2(float *to, uint32_t column, size_t count,
                                                      struct row_key key, struct spread spread)
{
    make_elements(to, column, count, key, spread);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
static bool has_avx2(void)
{
    return false;
}
#define make_avx2 make_plain
#endif

static enum ss_status make_part(struct ss_fill_walk *walk, const struct ss_tensor *tensor,
                                const struct ss_tensor_part *part, void *out)
{
    const struct random_fill *fill = walk->way->context;
    struct spread spread = spread_of(fill, part);
    uint64_t key = XXH64(part->name, strlen(part->name), fill->seed);
    size_t width = ss_dtype_bytes(tensor->dtype);
    unsigned char *to = out;
    bool fast = has_avx2();
    float batch[BATCH];
    for (uint32_t r = 0; r < part->row_count; r++) {
        uint64_t mixed = ss_random_u64(key, (uint64_t)part->row_begin + r);
        struct row_key row = {(uint32_t)mixed, (uint32_t)(mixed >> 32)};
        for (size_t c = 0; c < part->column_count;) {
            size_t left = part->column_count - c, step = left < BATCH ? left : BATCH;
            uint32_t column = part->column_begin + (uint32_t)c;
            (fast ? make_avx2 : make_plain)(batch, column, step, row, spread);
            ss_convert(to, tensor->dtype, batch, SS_F32, step);
            to += step * width;
            c += step;
        }
        ss_fill_walk_reached(walk, to);
    }
    return SS_OK;
}

enum ss_status ss_image_fill_random(const struct ss_image *image, uint64_t seed, float scale,
                                    void *base, int threads, ss_fill_progress *progress, void *user)
{
    const struct random_fill fill = {.seed = seed, .scale = scale};
    const struct ss_fill_way way = {.part = make_part, .context = &fill};
    return ss_fill_walk_run(&way, image, base, threads, progress, user);
}
