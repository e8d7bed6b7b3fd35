#include "pipeline/models/describe.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/assert.h"

static struct ss_tensor *append(struct ss_chunk *chunk)
{
    SS_ASSERT(chunk->tensor_count < SS_CHUNK_TENSORS_MAX);
    struct ss_tensor *tensor = &chunk->tensors[chunk->tensor_count++];
    *tensor = (struct ss_tensor){0};
    return tensor;
}

static struct ss_tensor_part *append_part(struct ss_tensor *tensor, const char *format,
                                          va_list args)
{
    SS_ASSERT(tensor->part_count < SS_TENSOR_PARTS_MAX);
    struct ss_tensor_part *part = &tensor->parts[tensor->part_count++];
    int length = vsnprintf(part->name, sizeof part->name, format, args);
    SS_ASSERT(length > 0 && (size_t)length < sizeof part->name);
    return part;
}

void ss_describe_none(struct ss_chunk *chunk)
{
    append(chunk);
}

void ss_describe_whole(struct ss_chunk *chunk, const struct ss_shape *shape, uint32_t rows,
                       uint32_t columns, const char *format, ...)
{
    struct ss_tensor *tensor = ss_describe_begin(chunk, shape, columns);
    va_list args;
    va_start(args, format);
    struct ss_tensor_part *part = append_part(tensor, format, args);
    va_end(args);
    part->source_rows = part->row_count = tensor->rows = rows;
    part->source_columns = part->column_count = columns;
}

struct ss_tensor *ss_describe_begin(struct ss_chunk *chunk, const struct ss_shape *shape,
                                    uint32_t columns)
{
    struct ss_tensor *tensor = append(chunk);
    tensor->dtype = shape->dtype;
    tensor->columns = columns;
    return tensor;
}

void ss_describe_rows(struct ss_tensor *tensor, struct ss_cut cut, uint32_t rows,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct ss_tensor_part *part = append_part(tensor, format, args);
    va_end(args);
    part->source_rows = rows;
    part->source_columns = part->column_count = tensor->columns;
    part->row_count = rows / (uint32_t)cut.tp;
    part->row_begin = part->row_count * (uint32_t)cut.tp_rank;
    tensor->rows += part->row_count;
}

void ss_describe_elements(struct ss_tensor *tensor, struct ss_cut cut, uint32_t elements,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct ss_tensor_part *part = append_part(tensor, format, args);
    va_end(args);
    part->source_rows = part->row_count = tensor->rows = 1;
    part->source_columns = elements;
    part->column_count = elements / (uint32_t)cut.tp;
    part->column_begin = part->column_count * (uint32_t)cut.tp_rank;
    tensor->columns += part->column_count;
}

void ss_describe_columns(struct ss_chunk *chunk, const struct ss_shape *shape, struct ss_cut cut,
                         uint32_t rows, uint32_t columns, const char *format, ...)
{
    struct ss_tensor *tensor = ss_describe_begin(chunk, shape, columns / (uint32_t)cut.tp);
    va_list args;
    va_start(args, format);
    struct ss_tensor_part *part = append_part(tensor, format, args);
    va_end(args);
    part->source_rows = part->row_count = tensor->rows = rows;
    part->source_columns = columns;
    part->column_count = tensor->columns;
    part->column_begin = tensor->columns * (uint32_t)cut.tp_rank;
}

void ss_describe_vocab(struct ss_chunk *chunk, const struct ss_shape *shape, struct ss_cut cut,
                       uint32_t columns, const char *format, ...)
{
    struct ss_tensor *tensor = ss_describe_begin(chunk, shape, columns);
    va_list args;
    va_start(args, format);
    struct ss_tensor_part *part = append_part(tensor, format, args);
    va_end(args);
    uint32_t each = ss_vocab_part(shape, cut.tp);
    uint32_t begin = each * (uint32_t)cut.tp_rank;
    part->source_rows = shape->vocab;
    part->source_columns = part->column_count = columns;
    part->row_begin = begin < shape->vocab ? begin : shape->vocab;
    part->row_count = shape->vocab - part->row_begin < each ? shape->vocab - part->row_begin : each;
    tensor->rows = each;
}
