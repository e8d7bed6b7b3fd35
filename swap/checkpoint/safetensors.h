/* The header of a safetensors file: what tensors there are and where.
 *
 * A file is a 64-bit little-endian header length, the header in JSON, and the tensors' bytes. The
 * rules, all checked here (format description: huggingface/safetensors, README and
 * tensor.rs):
 *  - the length is at most 100,000,000 and lies within the file; the JSON begins with '{' and may
 *    be padded with white space;
 *  - it is one object without duplicate names, of tensors {dtype, shape, data_offsets} and an
 *    optional "__metadata__" from strings to strings;
 *  - dtypes are known, and a tensor's bytes are what dtype and shape make, computed without
 *    overflow;
 *  - offsets count from the end of the header; sorted, they start at 0, leave no hole, do not
 *    overlap, and end where the file ends. Alignment is not promised.
 * Every error is SS_INVALID and names the file, the tensor and the numbers. */
#ifndef SS_SWAP_CHECKPOINT_SAFETENSORS_H
#define SS_SWAP_CHECKPOINT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_SAFETENSORS_PREFIX_BYTES     8
#define SS_SAFETENSORS_HEADER_BYTES_MAX 100000000ull
#define SS_SAFETENSORS_SHAPE_MAX        8

struct ss_safetensors_tensor {
    const char *name;
    const char *dtype; /* as the format spells it: "F16", "I64", ... */
    int shape_count;
    uint64_t shape[SS_SAFETENSORS_SHAPE_MAX];
    uint64_t begin, bytes; /* begin counts from the start of the file */
};

struct ss_safetensors {
    size_t count;
    struct ss_safetensors_tensor *tensors; /* by name, ascending in strcmp's order */
    void *names;                           /* what the names point into */
};

/* Reads the header's length from the file's first SS_SAFETENSORS_PREFIX_BYTES and checks it. PATH
 * is for messages. */
SS_MUST_CHECK enum ss_status ss_safetensors_length(const char *path, const void *prefix,
                                                   uint64_t file_bytes, uint64_t *header_bytes);

/* Parses the HEADER_BYTES after the prefix of a file of FILE_BYTES. */
SS_MUST_CHECK enum ss_status ss_safetensors_open(const char *path, const void *header,
                                                 size_t header_bytes, uint64_t file_bytes,
                                                 struct ss_safetensors **out);
void ss_safetensors_close(struct ss_safetensors *header);

/* Null where there is none. */
const struct ss_safetensors_tensor *ss_safetensors_find(const struct ss_safetensors *header,
                                                        const char *name);

#endif
