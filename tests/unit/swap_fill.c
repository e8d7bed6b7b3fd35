/* Filling images: cut from checkpoints as tensor parallelism cuts them, and from seeds. */
#include "tests/unit/swap_checkpoint_files.h"

#include <math.h>

#include "engine/base/fault.h"
#include "engine/base/random.h"
#include "swap/convert.h"
#include "swap/fill.h"

#define ROWS    37
#define COLUMNS 24

static char *folder;
static struct ss_checkpoint *checkpoint;
/* The checkpoint: a matrix and two vectors, all F32 but "half". */
static float matrix[ROWS][COLUMNS], vector[2][COLUMNS];
static uint16_t half[ROWS][COLUMNS];

static void make(void)
{
    static unsigned char data[sizeof matrix + sizeof vector + sizeof half];
    folder = make_folder();
    for (unsigned i = 0; i < ROWS * COLUMNS; i++)
        (&matrix[0][0])[i] = (float)ss_random_unit(1, i) - 0.5f;
    for (unsigned i = 0; i < 2 * COLUMNS; i++)
        (&vector[0][0])[i] = (float)ss_random_unit(2, i);
    ss_convert(half, SS_F16, matrix, SS_F32, (size_t)ROWS * COLUMNS);
    memcpy(data, matrix, sizeof matrix);
    memcpy(data + sizeof matrix, vector, sizeof vector);
    memcpy(data + sizeof matrix + sizeof vector, half, sizeof half);
    write_safetensors(
        folder, "model.safetensors",
        "{\"m\":{\"dtype\":\"F32\",\"shape\":[37,24],\"data_offsets\":[0,3552]},"
        "\"v\":{\"dtype\":\"F32\",\"shape\":[24],\"data_offsets\":[3552,3648]},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[24],\"data_offsets\":[3648,3744]},"
        "\"half\":{\"dtype\":\"F16\",\"shape\":[37,24],\"data_offsets\":[3744,5520]}}",
        data, sizeof data);
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK, "%s", ss_status_message());
}

static void unmake(void)
{
    ss_checkpoint_close(checkpoint);
    remove_folder(folder);
}

TestSuite(fill, .init = make, .fini = unmake);

static struct ss_tensor_part part_of(const char *name, uint32_t rows, uint32_t row_begin,
                                     uint32_t row_count, uint32_t column_begin,
                                     uint32_t column_count)
{
    struct ss_tensor_part part = {.source_rows = rows,
                                  .source_columns = COLUMNS,
                                  .row_begin = row_begin,
                                  .row_count = row_count,
                                  .column_begin = column_begin,
                                  .column_count = column_count};
    snprintf(part.name, sizeof part.name, "%s", name);
    return part;
}

static struct ss_tensor tensor_of(enum ss_dtype dtype, uint32_t rows, uint32_t columns,
                                  struct ss_tensor_part part)
{
    return (struct ss_tensor){
        .rows = rows, .columns = columns, .dtype = dtype, .part_count = 1, .parts = {part}};
}

/* An image of one chunk of the tensors given; its chunk is static. */
static struct ss_image image_of(int count, const struct ss_tensor *tensors)
{
    static struct ss_chunk chunk;
    struct ss_image image = {.chunk_count = 1, .chunks = &chunk};
    chunk = (struct ss_chunk){.kind = SS_CHUNK_LAYER, .tensor_count = count};
    memcpy(chunk.tensors, tensors, (size_t)count * sizeof *tensors);
    ss_image_lay_out(&image);
    return image;
}

static void count_bytes(void *user, size_t bytes)
{
    *(size_t *)user += bytes;
}

/* Filled into memory that held something else, so that zeros must have been written. */
static void *fill(const struct ss_image *image)
{
    size_t reported = 0;
    unsigned char *base = malloc(image->bytes);
    cr_assert(base);
    memset(base, 0xee, image->bytes);
    cr_assert_eq(ss_image_fill(image, checkpoint, base, count_bytes, &reported), SS_OK, "%s",
                 ss_status_message());
    cr_assert_eq(reported, image->bytes);
    return base;
}

Test(image, is_laid_out_by_its_shapes)
{
    struct ss_chunk chunks[2] = {{.tensor_count = 3}, {.tensor_count = 1}};
    struct ss_image image = {.chunk_count = 2, .chunks = chunks};
    chunks[0].tensors[0] = (struct ss_tensor){.rows = 3, .columns = 43, .dtype = SS_F16};
    chunks[0].tensors[1] = (struct ss_tensor){.rows = 0, .columns = 0};
    chunks[0].tensors[2] = (struct ss_tensor){.rows = 1, .columns = 64, .dtype = SS_F32};
    chunks[1].tensors[0] = (struct ss_tensor){.rows = 1u << 20, .columns = 1u << 15};
    ss_image_lay_out(&image);
    cr_assert_eq(chunks[0].tensors[1].offset, 512);
    cr_assert_eq(chunks[0].tensors[2].offset, 512);
    cr_assert_eq(chunks[0].bytes, 768);
    cr_assert_eq(chunks[1].offset, 768);
    cr_assert_eq(chunks[1].bytes, (size_t)1 << 37);
    cr_assert_eq(image.bytes, 768 + ((size_t)1 << 37));
}

Test(fill, rows_and_columns_are_cut)
{
    const struct ss_tensor tensors[] = {
        tensor_of(SS_F32, 9, COLUMNS, part_of("m", ROWS, 18, 9, 0, COLUMNS)),
        tensor_of(SS_F32, ROWS, 8, part_of("m", ROWS, 0, ROWS, 16, 8)),
        tensor_of(SS_F32, 1, 6, part_of("v", 1, 0, 1, 12, 6)),
    };
    struct ss_image image = image_of(3, tensors);
    unsigned char *base = fill(&image);
    const struct ss_tensor *t = image.chunks[0].tensors;
    cr_assert_arr_eq(base + t[0].offset, matrix[18], 9 * sizeof matrix[0]);
    for (int r = 0; r < ROWS; r++)
        cr_assert_arr_eq((float *)(void *)(base + t[1].offset) + r * 8, &matrix[r][16],
                         8 * sizeof(float));
    cr_assert_arr_eq(base + t[2].offset, &vector[0][12], 6 * sizeof(float));
    free(base);
}

Test(fill, parts_join_and_the_rest_is_zero)
{
    struct ss_tensor joined = {.rows = 1, .columns = 30, .dtype = SS_F32, .part_count = 2};
    joined.parts[0] = part_of("v", 1, 0, 1, 0, COLUMNS);
    joined.parts[1] = part_of("w", 1, 0, 1, 20, 4);
    struct ss_tensor stacked = {.rows = 20, .columns = COLUMNS, .dtype = SS_F32, .part_count = 3};
    stacked.parts[0] = part_of("m", ROWS, 30, 7, 0, COLUMNS);
    stacked.parts[1] = part_of("m", ROWS, ROWS, 0, 0, COLUMNS); /* past the end: nothing */
    stacked.parts[2] = part_of("m", ROWS, 0, 5, 0, COLUMNS);
    const struct ss_tensor tensors[] = {joined, stacked};
    struct ss_image image = image_of(2, tensors);
    unsigned char *base = fill(&image);
    float *first = (float *)(void *)base;
    float *second = (float *)(void *)(base + image.chunks[0].tensors[1].offset);
    cr_assert_arr_eq(first, vector[0], sizeof vector[0]);
    cr_assert_arr_eq(first + COLUMNS, &vector[1][20], 4 * sizeof(float));
    for (size_t i = 28; i < SS_TENSOR_ALIGN / sizeof(float); i++)
        cr_assert_eq(first[i], 0);
    cr_assert_arr_eq(second, matrix[30], 7 * sizeof matrix[0]);
    cr_assert_arr_eq(second + 7 * COLUMNS, matrix[0], 5 * sizeof matrix[0]);
    for (size_t i = 12 * COLUMNS; i < 20 * COLUMNS; i++)
        cr_assert_eq(second[i], 0);
    free(base);
}

Test(fill, other_dtypes_are_converted)
{
    static const enum ss_dtype dtypes[] = {SS_F32, SS_F16, SS_BF16};
    static const char *const names[] = {"m", "half"};
    for (int s = 0; s < 2; s++) {
        for (int d = 0; d < 3; d++) {
            unsigned char expected[sizeof matrix];
            const struct ss_tensor tensors[] = {
                tensor_of(dtypes[d], ROWS, COLUMNS, part_of(names[s], ROWS, 0, ROWS, 0, COLUMNS)),
                tensor_of(dtypes[d], ROWS, 10, part_of(names[s], ROWS, 0, ROWS, 5, 10))};
            struct ss_image image = image_of(2, tensors);
            unsigned char *base = fill(&image);
            size_t width = ss_dtype_bytes(dtypes[d]);
            ss_convert(expected, dtypes[d], s ? (const void *)half : (const void *)matrix,
                       s ? SS_F16 : SS_F32, (size_t)ROWS * COLUMNS);
            cr_assert_arr_eq(base, expected, ROWS * COLUMNS * width);
            for (size_t r = 0; r < ROWS; r++)
                cr_assert_arr_eq(base + image.chunks[0].tensors[1].offset + r * 10 * width,
                                 expected + (r * COLUMNS + 5) * width, 10 * width);
            free(base);
        }
    }
}

Test(fill, wrong_shapes_and_missing_tensors_are_named)
{
    float base[2 * ROWS * COLUMNS];
    struct ss_tensor wrong =
        tensor_of(SS_F32, 4, COLUMNS, part_of("m", ROWS + 1, 0, 4, 0, COLUMNS));
    struct ss_image image = image_of(1, &wrong);
    cr_assert_eq(ss_image_fill(&image, checkpoint, base, 0, 0), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "tensor m is 37 x 24") &&
              strstr(ss_status_message(), "38 x 24") && strstr(ss_status_message(), folder));
    struct ss_tensor missing =
        tensor_of(SS_F32, 4, COLUMNS, part_of("layers.7.q", ROWS, 0, 4, 0, COLUMNS));
    image = image_of(1, &missing);
    cr_assert_eq(ss_image_fill(&image, checkpoint, base, 0, 0), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), "layers.7.q") && strstr(ss_status_message(), folder));
}

Test(fill, planted_faults_are_clean)
{
    static const enum ss_fault_kind kinds[] = {SS_FAULT_ALLOC, SS_FAULT_FILE};
    float base[2 * ROWS * COLUMNS];
    const struct ss_tensor tensors[] = {
        tensor_of(SS_F32, ROWS, COLUMNS, part_of("m", ROWS, 0, ROWS, 0, COLUMNS)),
        tensor_of(SS_F32, 4, 8, part_of("half", ROWS, 0, 4, 0, 8))};
    struct ss_image image = image_of(2, tensors);
    for (int k = 0; k < 2; k++) {
        bool done = false;
        uint64_t nth = 1;
        for (; !done; nth++) {
            ss_fault_arm(kinds[k], nth);
            enum ss_status status = ss_image_fill(&image, checkpoint, base, 0, 0);
            done = ss_fault_count(kinds[k]) < nth;
            ss_fault_arm(kinds[k], 0);
            cr_assert_eq(status == SS_OK, done);
        }
        cr_assert_gt(nth, 2);
    }
}

/* More than the buffer holds, in every way of reading. */
Test(fill, large_tensors_are_filled)
{
    enum { BIG_ROWS = 700, BIG_COLUMNS = 5000, WIDE = 3000000 };
    struct ss_checkpoint *big;
    size_t bytes = (size_t)BIG_ROWS * BIG_COLUMNS * 4, wide_bytes = (size_t)2 * WIDE * 4;
    float *data = malloc(bytes + wide_bytes);
    cr_assert(data);
    for (size_t i = 0; i < (bytes + wide_bytes) / 4; i++)
        data[i] = (float)(i % 65536);
    write_safetensors(
        folder, "model.safetensors",
        "{\"m\":{\"dtype\":\"F32\",\"shape\":[700,5000],\"data_offsets\":[0,14000000]},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3000000],"
        "\"data_offsets\":[14000000,38000000]}}",
        data, bytes + wide_bytes);
    cr_assert_eq(ss_checkpoint_open(folder, &big), SS_OK, "%s", ss_status_message());
    struct ss_tensor whole = {
        .rows = BIG_ROWS, .columns = BIG_COLUMNS, .dtype = SS_BF16, .part_count = 1};
    whole.parts[0] = (struct ss_tensor_part){.name = "m",
                                             .source_rows = BIG_ROWS,
                                             .source_columns = BIG_COLUMNS,
                                             .row_count = BIG_ROWS,
                                             .column_count = BIG_COLUMNS};
    struct ss_tensor cut = whole, wide = whole;
    cut.dtype = SS_F32;
    cut.columns = cut.parts[0].column_count = BIG_COLUMNS - 1;
    cut.parts[0].column_begin = 1;
    wide.rows = 2;
    wide.columns = WIDE - 10;
    wide.parts[0] = (struct ss_tensor_part){.name = "w",
                                            .source_rows = 2,
                                            .source_columns = WIDE,
                                            .row_count = 2,
                                            .column_begin = 10,
                                            .column_count = WIDE - 10};
    const struct ss_tensor tensors[] = {whole, cut, wide};
    struct ss_image image = image_of(3, tensors);
    unsigned char *base = malloc(image.bytes);
    cr_assert(base);
    cr_assert_eq(ss_image_fill(&image, big, base, 0, 0), SS_OK, "%s", ss_status_message());
    uint16_t *expected = malloc(bytes / 2 + wide_bytes / 2);
    ss_convert(expected, SS_BF16, data, SS_F32, (bytes + wide_bytes) / 4);
    cr_assert_eq(memcmp(base, expected, bytes / 2), 0);
    const struct ss_tensor *t = image.chunks[0].tensors;
    for (size_t r = 0; r < BIG_ROWS; r++)
        cr_assert_eq(memcmp(base + t[1].offset + r * (BIG_COLUMNS - 1) * 4,
                            data + r * BIG_COLUMNS + 1, (BIG_COLUMNS - 1) * 4),
                     0);
    for (size_t r = 0; r < 2; r++)
        cr_assert_eq(memcmp(base + t[2].offset + r * (WIDE - 10) * 2,
                            expected + bytes / 4 + r * WIDE + 10, (size_t)(WIDE - 10) * 2),
                     0);
    free(expected);
    free(base);
    free(data);
    ss_checkpoint_close(big);
}

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
    static const int counts[] = {2, 3, CHUNKS + 2, 10 * SS_FILL_THREADS_MAX};
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
    cr_assert_eq(memcmp(a, again, sizeof matrix), 0);
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
