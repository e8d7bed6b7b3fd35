/* Filling images from checkpoints, cut as tensor parallelism cuts them. */
#include "tests/unit/swap_checkpoint_files.h"

#include "engine/base/fault.h"
#include "engine/base/random.h"
#include "swap/convert.h"
#include "swap/threads.h"
#include "tests/unit/swap_fill_images.h"

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

/* Filled into memory that held something else, so that zeros must have been written. */
static void *fill(const struct ss_image *image)
{
    size_t reported = 0;
    unsigned char *base = malloc(image->bytes);
    cr_assert(base);
    memset(base, 0xee, image->bytes);
    cr_assert_eq(ss_image_fill(image, checkpoint, base, 1, count_bytes, &reported), SS_OK, "%s",
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
    cr_assert_eq(ss_image_fill(&image, checkpoint, base, 1, 0, 0), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "tensor m is 37 x 24") &&
              strstr(ss_status_message(), "38 x 24") && strstr(ss_status_message(), folder));
    struct ss_tensor missing =
        tensor_of(SS_F32, 4, COLUMNS, part_of("layers.7.q", ROWS, 0, 4, 0, COLUMNS));
    image = image_of(1, &missing);
    cr_assert_eq(ss_image_fill(&image, checkpoint, base, 1, 0, 0), SS_NOT_FOUND);
    cr_assert(strstr(ss_status_message(), "layers.7.q") && strstr(ss_status_message(), folder));
}

/* Each chunk a part of the matrix or of "half", which is converted; CHUNKS is more than threads. */
static struct ss_image many_chunks(void)
{
    enum { CHUNKS = 9 };
    static struct ss_chunk chunks[CHUNKS];
    struct ss_image image = {.chunk_count = CHUNKS, .chunks = chunks};
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const char *name = i % 2 ? "half" : "m";
        chunks[i] = (struct ss_chunk){.kind = SS_CHUNK_LAYER, .tensor_count = 2};
        uint32_t rows = ROWS - 4 * i;
        chunks[i].tensors[0] =
            tensor_of(SS_F32, rows, COLUMNS, part_of(name, ROWS, 4 * i, rows, 0, COLUMNS));
        chunks[i].tensors[1] = tensor_of(SS_F16, 3, 7, part_of(name, ROWS, i, 3, i, 7));
    }
    ss_image_lay_out(&image);
    return image;
}

Test(fill, is_the_same_by_any_number_of_threads)
{
    static const int counts[] = {2, 3, 9, 10 * SS_THREADS_MAX};
    struct ss_image image = many_chunks();
    unsigned char *alone = fill(&image);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t reported = 0;
        unsigned char *shared = malloc(image.bytes);
        cr_assert(shared);
        memset(shared, 0xee, image.bytes);
        cr_assert_eq(ss_image_fill(&image, checkpoint, shared, counts[i], count_bytes, &reported),
                     SS_OK);
        cr_assert_eq(reported, image.bytes);
        for (int c = 0; c < image.chunk_count; c++) {
            const struct ss_chunk *chunk = &image.chunks[c];
            cr_assert_eq(memcmp(alone + chunk->offset, shared + chunk->offset, chunk->bytes), 0,
                         "chunk %d, %d threads", c, counts[i]);
        }
        free(shared);
    }
    free(alone);
}

Test(fill, a_failure_on_any_thread_has_its_message)
{
    struct ss_image image = many_chunks();
    unsigned char *base = malloc(image.bytes);
    cr_assert(base);
    for (int bad = 0; bad < image.chunk_count; bad++) {
        char *name = image.chunks[bad].tensors[1].parts[0].name, first = *name;
        *name = 'x';
        cr_assert_eq(ss_image_fill(&image, checkpoint, base, 4, 0, 0), SS_NOT_FOUND);
        cr_assert(strstr(ss_status_message(), name), "%s", ss_status_message());
        *name = first;
    }
    free(base);
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
            enum ss_status status = ss_image_fill(&image, checkpoint, base, 2, 0, 0);
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
    cr_assert_eq(ss_image_fill(&image, big, base, 1, 0, 0), SS_OK, "%s", ss_status_message());
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
