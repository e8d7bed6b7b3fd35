/* The image of a shard: what one rank holds of one model, laid out for the device.
 *
 * An image is a list of chunks in execution order (embedding, layers, head); a chunk is a list of
 * tensors, each cut from the checkpoint. A chunk is the unit of residency; its bytes are moved as
 * they lie in the arena and are used on the device as they arrive, so tensors begin at multiples of
 * SS_TENSOR_ALIGN and every offset is relative to the chunk's start. Model families describe images
 * (pipeline/models); this module only fills and moves them. */
#ifndef SS_SWAP_IMAGE_H
#define SS_SWAP_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_TENSOR_ALIGN      256u
#define SS_TENSOR_PARTS_MAX  3
#define SS_CHUNK_TENSORS_MAX 20
#define SS_TENSOR_NAME_BYTES 96

enum ss_dtype { SS_F32, SS_F16, SS_BF16 };

size_t ss_dtype_bytes(enum ss_dtype dtype);
const char *ss_dtype_name(enum ss_dtype dtype); /* "F32", "F16", "BF16", as safetensors spells it */

/* A rectangle of one checkpoint tensor. A vector is a matrix of one row. */
struct ss_tensor_part {
    char name[SS_TENSOR_NAME_BYTES];      /* in the checkpoint */
    uint32_t source_rows, source_columns; /* its whole shape there: checked */
    uint32_t row_begin, row_count;
    uint32_t column_begin, column_count;
};

/* rows x columns, row-major. The parts (each row_count x column_count) lie one after another:
 * matrices of equal columns stack by rows, vectors of one row join end to end. Elements past them
 * are zero. */
struct ss_tensor {
    uint32_t rows, columns;
    enum ss_dtype dtype;
    size_t offset; /* in the chunk */
    int part_count;
    struct ss_tensor_part parts[SS_TENSOR_PARTS_MAX];
};

enum ss_chunk_kind { SS_CHUNK_EMBEDDING, SS_CHUNK_LAYER, SS_CHUNK_HEAD };

struct ss_chunk {
    enum ss_chunk_kind kind;
    int layer;     /* of the whole model; -1 where not a layer */
    size_t offset; /* in the image */
    size_t bytes;  /* a multiple of SS_TENSOR_ALIGN */
    int tensor_count;
    struct ss_tensor tensors[SS_CHUNK_TENSORS_MAX];
};

struct ss_image {
    int chunk_count;
    struct ss_chunk *chunks; /* owned */
    size_t bytes;
};

/* Sets tensor and chunk offsets, chunk bytes and image bytes from the shapes alone. */
void ss_image_lay_out(struct ss_image *image);
void ss_image_release(struct ss_image *image);

#endif
