#include "swap/fill.h"

#include <stdbool.h>

#include "swap/checkpoint/checkpoint.h"
#include "swap/convert.h"
#include "swap/fill_walk.h"

#define BUFFER_BYTES ((size_t)8 << 20)

/* Elements [FIRST, FIRST + COUNT) of the tensor, row after row, to TO. */
static enum ss_status read_run(struct ss_fill_walk *walk, const struct ss_checkpoint_tensor *tensor,
                               enum ss_dtype dtype, uint64_t first, uint64_t count,
                               unsigned char *to)
{
    size_t width = ss_dtype_bytes(tensor->dtype);
    bool direct = dtype == tensor->dtype;
    while (count > 0) {
        size_t step = count < BUFFER_BYTES / width ? count : BUFFER_BYTES / width;
        enum ss_status status =
            ss_checkpoint_read(tensor, first * width, direct ? to : walk->buffer, step * width);
        if (status)
            return status;
        if (!direct)
            ss_convert(to, dtype, walk->buffer, tensor->dtype, step);
        to += step * ss_dtype_bytes(dtype);
        first += step;
        count -= step;
        ss_fill_walk_reached(walk, to);
    }
    return SS_OK;
}

/* ROWS rows from ROW on, of which only PART's columns are wanted: read in one span, then cut. */
static enum ss_status read_rows(struct ss_fill_walk *walk,
                                const struct ss_checkpoint_tensor *tensor, enum ss_dtype dtype,
                                const struct ss_tensor_part *part, uint64_t row, size_t rows,
                                unsigned char *to)
{
    size_t width = ss_dtype_bytes(tensor->dtype), stride = part->source_columns * width;
    size_t bytes = (rows - 1) * stride + part->column_count * width;
    enum ss_status status =
        ss_checkpoint_read(tensor, row * stride + part->column_begin * width, walk->buffer, bytes);
    if (status)
        return status;
    for (size_t r = 0; r < rows; r++) {
        ss_convert(to, dtype, walk->buffer + r * stride, tensor->dtype, part->column_count);
        to += part->column_count * ss_dtype_bytes(dtype);
    }
    ss_fill_walk_reached(walk, to);
    return SS_OK;
}

static enum ss_status locate_part(const struct ss_checkpoint *checkpoint,
                                  const struct ss_tensor_part *part,
                                  struct ss_checkpoint_tensor *tensor)
{
    enum ss_status status = ss_checkpoint_locate(checkpoint, part->name, tensor);
    if (status)
        return status;
    if (tensor->rows != part->source_rows || tensor->columns != part->source_columns)
        return ss_fail(SS_INVALID, "%s: tensor %s is %u x %u, the model's config makes it %u x %u",
                       tensor->path, part->name, tensor->rows, tensor->columns, part->source_rows,
                       part->source_columns);
    return SS_OK;
}

static enum ss_status read_part(struct ss_fill_walk *walk, const struct ss_tensor *target,
                                const struct ss_tensor_part *part, void *out)
{
    struct ss_checkpoint_tensor tensor;
    unsigned char *to = out;
    enum ss_status status = locate_part(walk->way->context, part, &tensor);
    if (status)
        return status;
    uint64_t columns = part->source_columns;
    if (part->column_count == columns)
        return read_run(walk, &tensor, target->dtype, part->row_begin * columns,
                        part->row_count * columns, to);
    size_t row_bytes = columns * ss_dtype_bytes(tensor.dtype);
    size_t at_once = BUFFER_BYTES / row_bytes;
    for (uint64_t r = 0; r < part->row_count && !status;) {
        uint64_t row = part->row_begin + r, left = part->row_count - r;
        size_t rows = left < at_once ? left : at_once;
        if (rows > 1) {
            status = read_rows(walk, &tensor, target->dtype, part, row, rows, to);
        } else {
            rows = 1;
            status = read_run(walk, &tensor, target->dtype, row * columns + part->column_begin,
                              part->column_count, to);
        }
        r += rows;
        to += rows * part->column_count * ss_dtype_bytes(target->dtype);
    }
    return status;
}

enum ss_status ss_image_check(const struct ss_image *image, const struct ss_checkpoint *checkpoint)
{
    struct ss_checkpoint_tensor found;
    for (int c = 0; c < image->chunk_count; c++) {
        const struct ss_chunk *chunk = &image->chunks[c];
        for (int t = 0; t < chunk->tensor_count; t++) {
            for (int p = 0; p < chunk->tensors[t].part_count; p++) {
                enum ss_status status =
                    locate_part(checkpoint, &chunk->tensors[t].parts[p], &found);
                if (status)
                    return status;
            }
        }
    }
    return SS_OK;
}

enum ss_status ss_image_fill(const struct ss_image *image, const struct ss_checkpoint *checkpoint,
                             void *base, int threads, ss_fill_progress *progress, void *user)
{
    const struct ss_fill_way way = {
        .part = read_part, .context = checkpoint, .buffer_bytes = BUFFER_BYTES};
    return ss_fill_walk_run(&way, image, base, threads, progress, user);
}
