/* Images to be filled: small tensors, one part each, in one chunk. */
#ifndef SS_TESTS_UNIT_SWAP_FILL_IMAGES_H
#define SS_TESTS_UNIT_SWAP_FILL_IMAGES_H

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swap/fill.h"

#define ROWS    37
#define COLUMNS 24

static inline struct ss_tensor_part part_of(const char *name, uint32_t rows, uint32_t row_begin,
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

static inline struct ss_tensor tensor_of(enum ss_dtype dtype, uint32_t rows, uint32_t columns,
                                         struct ss_tensor_part part)
{
    return (struct ss_tensor){
        .rows = rows, .columns = columns, .dtype = dtype, .part_count = 1, .parts = {part}};
}

/* An image of one chunk of the tensors given; its chunk is static. */
static inline struct ss_image image_of(int count, const struct ss_tensor *tensors)
{
    static struct ss_chunk chunk;
    struct ss_image image = {.chunk_count = 1, .chunks = &chunk};
    chunk = (struct ss_chunk){.kind = SS_CHUNK_LAYER, .tensor_count = count};
    memcpy(chunk.tensors, tensors, (size_t)count * sizeof *tensors);
    ss_image_lay_out(&image);
    return image;
}

static inline void count_bytes(void *user, size_t bytes)
{
    *(size_t *)user += bytes;
}

#endif
