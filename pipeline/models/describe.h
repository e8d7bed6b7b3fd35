/* Describing tensors: how families say what a chunk holds and how tp cuts it. */
#ifndef SS_PIPELINE_DESCRIBE_H
#define SS_PIPELINE_DESCRIBE_H

#include <stdint.h>

#include "pipeline/models/model.h"

/* Appends an empty tensor: an index that this model does not use. */
void ss_describe_none(struct ss_chunk *chunk);

/* Appends a tensor that every rank holds whole: a norm, a bias added after a sum, a projection. */
void ss_describe_whole(struct ss_chunk *chunk, const struct ss_shape *shape, uint32_t rows,
                       uint32_t columns, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Begins a tensor of COLUMNS columns, to which parts are added below one another. */
struct ss_tensor *ss_describe_begin(struct ss_chunk *chunk, const struct ss_shape *shape,
                                    uint32_t columns);

/* Adds this rank's 1/tp of the ROWS x columns tensor NAME, cut by rows (output features). */
void ss_describe_rows(struct ss_tensor *tensor, struct ss_cut cut, uint32_t rows,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A bias vector of ELEMENTS, cut like the rows above: appended to the one row that TENSOR has. */
void ss_describe_elements(struct ss_tensor *tensor, struct ss_cut cut, uint32_t elements,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends this rank's 1/tp of a ROWS x COLUMNS tensor cut by columns (input features). */
void ss_describe_columns(struct ss_chunk *chunk, const struct ss_shape *shape, struct ss_cut cut,
                         uint32_t rows, uint32_t columns, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Rows of the vocabulary that each tp rank holds: ceil(vocab / tp). */
uint32_t ss_vocab_part(const struct ss_shape *shape, int tp);

/* Appends this rank's ceil(vocab / tp) rows of a vocabulary table, zero past its end. */
void ss_describe_vocab(struct ss_chunk *chunk, const struct ss_shape *shape, struct ss_cut cut,
                       uint32_t columns, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
