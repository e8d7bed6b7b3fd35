/* Builds a msgpack frame: maps whose keys need not be counted first, and one failure to check.
 *
 * A writer that has run out of memory stays failed; the calls after it do nothing. */
#ifndef SS_RPC_WIRE_WRITER_H
#define SS_RPC_WIRE_WRITER_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "rpc/request.h"

struct ss_writer {
    msgpack_sbuffer buffer; /* buffer.data[buffer.size]: the frame so far */
    msgpack_packer packer;
    uint32_t keys; /* of the innermost open map */
    bool failed;
};

/* Where a map began, and the keys of the map around it. */
struct ss_map_mark {
    size_t offset;
    uint32_t keys;
};

/* An open writer must stay where it is: it points into itself. */
void ss_writer_open(struct ss_writer *writer);
void ss_writer_close(struct ss_writer *writer);

/* SS_OK, or SS_NO_MEMORY if any call failed. */
SS_MUST_CHECK enum ss_status ss_writer_check(const struct ss_writer *writer);

/* Takes the frame out as *BYTES[*SIZE], to be freed with free(); the writer is empty then. */
void ss_writer_release(struct ss_writer *writer, void **bytes, size_t *size);

/* A map is written with a 16-bit count, put in by the end; at most 65535 keys. */
struct ss_map_mark ss_write_map_begin(struct ss_writer *writer);
void ss_write_map_end(struct ss_writer *writer, struct ss_map_mark mark);
void ss_write_array(struct ss_writer *writer, size_t count);

void ss_write_key(struct ss_writer *writer, const char *key);
void ss_write_u64(struct ss_writer *writer, uint64_t value);
void ss_write_fixed_u32(struct ss_writer *writer, uint32_t value); /* always 5 bytes */
void ss_write_double(struct ss_writer *writer, double value);
void ss_write_bool(struct ss_writer *writer, bool value);
void ss_write_nil(struct ss_writer *writer);
void ss_write_text(struct ss_writer *writer, struct ss_text text);
void ss_write_string(struct ss_writer *writer, const char *string);
void ss_write_tokens(struct ss_writer *writer, const uint32_t *tokens, size_t count);

#endif
