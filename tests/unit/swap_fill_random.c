/* Filling images from seeds. */
#include "tests/unit/swap_fill_images.h"

#include <math.h>

#include "engine/base/random.h"
#include "swap/convert.h"
#include "swap/threads.h"

static unsigned char *fill_by(const struct ss_image *image, uint64_t seed, int threads)
{
    size_t reported = 0;
    unsigned char *base = malloc(image->bytes);
    cr_assert(base);
    cr_assert_eq(ss_image_fill_random(image, seed, 0.02f, base, threads, count_bytes, &reported),
                 SS_OK);
    cr_assert_eq(reported, image->bytes);
    return base;
}

static unsigned char *fill_seeded(const struct ss_image *image, uint64_t seed)
{
    return fill_by(image, seed, 1);
}

Test(fill_random, is_the_same_by_any_number_of_threads)
{
    enum { CHUNKS = 7 };
    static const char *const names[CHUNKS] = {"a", "b", "c", "d", "e", "f", "norm.weight"};
    static struct ss_chunk chunks[CHUNKS];
    for (int i = 0; i < CHUNKS; i++) {
        uint32_t rows = (uint32_t)(ROWS * (i + 1));
        chunks[i].tensor_count = 1;
        chunks[i].tensors[0] =
            tensor_of(SS_F16, rows, COLUMNS, part_of(names[i], rows, 0, rows, 0, COLUMNS));
    }
    struct ss_image image = {.chunk_count = CHUNKS, .chunks = chunks};
    ss_image_lay_out(&image);
    unsigned char *alone = fill_by(&image, 5, 1);
    static const int counts[] = {2, 3, CHUNKS + 2, 10 * SS_THREADS_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned char *shared = fill_by(&image, 5, counts[i]);
        for (int c = 0; c < CHUNKS; c++)
            cr_assert_eq(
                memcmp(alone + chunks[c].offset, shared + chunks[c].offset, chunks[c].bytes), 0,
                "chunk %d, %d threads", c, counts[i]);
        free(shared);
    }
    free(alone);
}

Test(fill_random, is_the_same_for_every_cut)
{
    for (int d = SS_F32; d <= SS_BF16; d++) {
        enum ss_dtype dtype = (enum ss_dtype)d;
        size_t width = ss_dtype_bytes(dtype);
        struct ss_tensor whole =
            tensor_of(dtype, ROWS, COLUMNS, part_of("m", ROWS, 0, ROWS, 0, COLUMNS));
        struct ss_image image = image_of(1, &whole);
        unsigned char *all = fill_seeded(&image, 11);
        /* By rows with padding, and by columns, at several widths of both. */
        for (uint32_t tp = 2; tp <= 4; tp++) {
            uint32_t rows = (ROWS + tp - 1) / tp, columns = COLUMNS / tp;
            for (uint32_t t = 0; t < tp; t++) {
                uint32_t begin = t * rows, count = begin + rows > ROWS ? ROWS - begin : rows;
                const struct ss_tensor cuts[] = {
                    tensor_of(dtype, rows, COLUMNS, part_of("m", ROWS, begin, count, 0, COLUMNS)),
                    tensor_of(dtype, ROWS, columns,
                              part_of("m", ROWS, 0, ROWS, t * columns, columns))};
                image = image_of(2, cuts);
                unsigned char *base = fill_seeded(&image, 11);
                unsigned char *second = base + image.chunks[0].tensors[1].offset;
                size_t used = count * COLUMNS * width;
                cr_assert_eq(memcmp(base, all + begin * COLUMNS * width, used), 0);
                for (size_t i = used; i < rows * COLUMNS * width; i++)
                    cr_assert_eq(base[i], 0);
                for (size_t r = 0; r < ROWS; r++)
                    cr_assert_eq(memcmp(second + r * columns * width,
                                        all + (r * COLUMNS + t * columns) * width, columns * width),
                                 0);
                free(base);
            }
        }
        free(all);
    }
}

static void measure(const char *name, uint32_t rows, uint32_t columns, uint64_t seed, double *mean,
                    double *deviation)
{
    struct ss_tensor tensor = {.rows = rows, .columns = columns, .dtype = SS_F32, .part_count = 1};
    struct ss_tensor_part *part = &tensor.parts[0];
    part->source_rows = part->row_count = rows;
    part->source_columns = part->column_count = columns;
    snprintf(part->name, sizeof part->name, "%s", name);
    struct ss_image image = image_of(1, &tensor);
    float *base = (float *)(void *)fill_seeded(&image, seed);
    double sum = 0, squares = 0, count = (double)rows * columns;
    for (size_t i = 0; i < (size_t)rows * columns; i++) {
        sum += base[i];
        squares += (double)base[i] * base[i];
    }
    *mean = sum / count;
    *deviation = sqrt(squares / count - *mean * *mean);
    free(base);
}

Test(fill_random, has_plausible_sizes)
{
    double mean, deviation;
    measure("model.layers.0.mlp.up_proj.weight", 512, 512, 3, &mean, &deviation);
    cr_assert(fabs(mean) < 2e-4 && fabs(deviation - 0.02) < 2e-4, "%g %g", mean, deviation);
    measure("model.layers.0.input_layernorm.weight", 1, 4096, 3, &mean, &deviation);
    cr_assert(fabs(mean - 1) < 0.01 && deviation < 0.1, "%g %g", mean, deviation);
    measure("model.layers.0.self_attn.q_proj.bias", 1, 4096, 3, &mean, &deviation);
    cr_assert(fabs(mean) < 0.01 && deviation < 0.05 && deviation > 0, "%g %g", mean, deviation);
}

/* Seeds, names, rows and columns all matter: no two of these runs agree where they might. */
Test(fill_random, depends_on_seed_name_row_and_column)
{
    struct ss_tensor tensor =
        tensor_of(SS_F32, ROWS, COLUMNS, part_of("m", ROWS, 0, ROWS, 0, COLUMNS));
    struct ss_tensor other =
        tensor_of(SS_F32, ROWS, COLUMNS, part_of("n", ROWS, 0, ROWS, 0, COLUMNS));
    struct ss_image image = image_of(1, &tensor);
    uint32_t *a = (uint32_t *)(void *)fill_seeded(&image, 1);
    uint32_t *b = (uint32_t *)(void *)fill_seeded(&image, 2);
    uint32_t *again = (uint32_t *)(void *)fill_seeded(&image, 1);
    struct ss_image named = image_of(1, &other);
    uint32_t *c = (uint32_t *)(void *)fill_seeded(&named, 1);
    int same = 0;
    cr_assert_eq(memcmp(a, again, sizeof *a * ROWS * COLUMNS), 0);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++) {
        same += a[i] == b[i] || a[i] == c[i];
        for (size_t j = 0; j < i; j++)
            same += a[i] == a[j];
    }
    /* Chance makes some of the 400,000 pairs of 24-bit values equal: about 0.02 on average. */
    cr_assert_leq(same, 3);
    free(a);
    free(b);
    free(c);
    free(again);
}

static uint64_t pair_at(const float *elements)
{
    uint32_t bits[2];
    memcpy(bits, elements, sizeof bits);
    return (uint64_t)bits[0] << 32 | bits[1];
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* The start of a row must turn up nowhere else. Were rows shifted windows of one long sequence,
 * eight of these would. */
Test(fill_random, rows_are_not_shifted_copies)
{
    enum { MANY = 4096, LONG = 2048 };
    struct ss_tensor tensor = {.rows = MANY, .columns = LONG, .dtype = SS_F32, .part_count = 1};
    tensor.parts[0] = (struct ss_tensor_part){.name = "m",
                                              .source_rows = MANY,
                                              .source_columns = LONG,
                                              .row_count = MANY,
                                              .column_count = LONG};
    struct ss_image image = image_of(1, &tensor);
    float *base = (float *)(void *)fill_seeded(&image, 5);
    static uint64_t starts[MANY];
    for (size_t r = 0; r < MANY; r++)
        starts[r] = pair_at(base + r * LONG);
    qsort(starts, MANY, sizeof *starts, by_value);
    int copies = 0;
    for (size_t i = 0; i + 1 < (size_t)MANY * LONG; i++) {
        uint64_t pair = pair_at(base + i);
        copies += i % LONG != 0 && bsearch(&pair, starts, MANY, sizeof *starts, by_value);
    }
    cr_assert_eq(copies, 0);
    free(base);
}
