/* Reading tensors of an open checkpoint; what the fill needs beyond swap/fill.h. */
#ifndef SS_SWAP_CHECKPOINT_CHECKPOINT_H
#define SS_SWAP_CHECKPOINT_CHECKPOINT_H

#include <stddef.h>

#include "swap/fill.h"

/* One tensor that can be a weight: a matrix or vector of a dtype that images hold. */
struct ss_checkpoint_tensor {
    enum ss_dtype dtype;
    uint32_t rows, columns;
    const char *path; /* of its file */
    int fd;
    uint64_t begin; /* in the file */
};

/* Like ss_checkpoint_find(). SS_UNSUPPORTED for other dtypes and more than two dimensions. */
SS_MUST_CHECK enum ss_status ss_checkpoint_locate(const struct ss_checkpoint *checkpoint,
                                                  const char *name,
                                                  struct ss_checkpoint_tensor *tensor);

/* Reads BYTES at OFFSET of the tensor. SS_IO names the file, and where it ended if it did. */
SS_MUST_CHECK enum ss_status ss_checkpoint_read(const struct ss_checkpoint_tensor *tensor,
                                                uint64_t offset, void *to, size_t bytes);

#endif
