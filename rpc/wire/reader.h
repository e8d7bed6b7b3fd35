/* Reads typed fields out of an unpacked frame; the first thing that is wrong is kept.
 *
 * A frame is scanned, then unpacked into a zone of the frame's: what is read lives until the next
 * ss_frame_open() or ss_frame_close(), and texts point into the frame's own bytes. A reader that
 * has failed stays failed, and its calls do nothing, so that a list of fields is read straight
 * through and checked once. A field that is absent or nil leaves its out-parameter alone: put the
 * default there first. */
#ifndef SS_RPC_WIRE_READER_H
#define SS_RPC_WIRE_READER_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/request.h"
#include "rpc/wire/scan.h"

/* More keys than this in one map are refused. */
#define SS_MAP_KEYS_MAX 64

struct ss_frame {
    msgpack_unpacked unpacked;
};

struct ss_reader {
    msgpack_object_map map;
    struct ss_frame *frame;
    struct ss_wire_error *error;
    bool failed;
};

/* A zeroed frame may be opened. SS_INVALID with ERROR filled; SS_NO_MEMORY too (internal). READER
 * reads the frame's outermost map; its keys are strings without duplicates. */
SS_MUST_CHECK enum ss_status ss_frame_open(struct ss_frame *frame, const void *bytes, size_t size,
                                           const struct ss_scan_limits *limits,
                                           struct ss_reader *reader, struct ss_wire_error *error);
void ss_frame_close(struct ss_frame *frame);

/* Keys must be strings, at most SS_MAP_KEYS_MAX, and differ: of two equal ones, which would count?
 */
SS_MUST_CHECK enum ss_status ss_read_check_keys(const msgpack_object_map *map,
                                                struct ss_wire_error *error);

/* Makes READER fail, unless it has already. */
void ss_reader_fail(struct ss_reader *reader, enum ss_error_code code, const char *field,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* COUNT zeroed elements that live as long as the frame; null if the reader has failed or fails so.
 */
void *ss_reader_alloc(struct ss_reader *reader, size_t count, size_t size);

/* The field's value; null if absent, nil, or the reader has failed. */
const msgpack_object *ss_read_find(struct ss_reader *reader, const char *field);

/* Fails if FIELD is absent or nil. */
void ss_read_require(struct ss_reader *reader, const char *field);

/* What every frame has: the id first, so that an error over anything else can be addressed; then
 * the version, because the meaning of the rest depends on it. WHO reads ("server", "client") is for
 * that error. True if there is an id. */
bool ss_read_envelope(struct ss_reader *reader, const char *who, uint64_t *id);

void ss_read_u64(struct ss_reader *reader, const char *field, uint64_t min, uint64_t max,
                 uint64_t *out);
void ss_read_u32(struct ss_reader *reader, const char *field, uint32_t min, uint32_t max,
                 uint32_t *out);
void ss_read_double(struct ss_reader *reader, const char *field, double min, double max,
                    double *out);
void ss_read_bool(struct ss_reader *reader, const char *field, bool *out);

/* UTF-8 of BYTES_MIN .. BYTES_MAX bytes; too_long above. */
void ss_read_text(struct ss_reader *reader, const char *field, size_t bytes_min, size_t bytes_max,
                  struct ss_text *out);
/* The same of a value that is in hand, FIELD being its name for errors; true if *OUT was set. */
bool ss_read_text_value(struct ss_reader *reader, const char *field, const msgpack_object *value,
                        size_t bytes_min, size_t bytes_max, struct ss_text *out);
/* The same, copied with a terminator; holds no NUL inside. */
void ss_read_string(struct ss_reader *reader, const char *field, size_t bytes_min, size_t bytes_max,
                    const char **out);
/* One of the words name_of(0 .. COUNT-1): its index. */
void ss_read_name(struct ss_reader *reader, const char *field, const char *(*name_of)(int),
                  int count, int *out);

/* Arrays: *OUT is allocated as ss_reader_alloc() does; too_long over COUNT_MAX. */
void ss_read_tokens(struct ss_reader *reader, const char *field, size_t count_max,
                    const uint32_t **out, size_t *count);
/* Up to COUNT_MAX texts of 1 .. BYTES_MAX bytes each, into OUT[COUNT_MAX]. */
void ss_read_texts(struct ss_reader *reader, const char *field, size_t count_max, size_t bytes_max,
                   struct ss_text *out, size_t *count);
/* The elements of an array of maps: their number, and a reader over element INDEX. An inner reader
 * that fails leaves the outer one as it is: see ss_reader_join(). */
size_t ss_read_array_size(struct ss_reader *reader, const char *field, size_t count_max);
void ss_read_element(struct ss_reader *reader, const char *field, size_t index,
                     struct ss_reader *out);
/* A reader over a nested map; a failed one if FIELD is absent or not a map. */
void ss_read_map(struct ss_reader *reader, const char *field, struct ss_reader *out);

/* READER fails if INNER has. */
void ss_reader_join(struct ss_reader *reader, const struct ss_reader *inner);

#endif
