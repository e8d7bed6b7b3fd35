/* A table says how a struct stands in a map: one place for writing and reading it. */
#ifndef SS_RPC_WIRE_FIELDS_H
#define SS_RPC_WIRE_FIELDS_H

#include <stddef.h>

#include "rpc/wire/reader.h"
#include "rpc/wire/writer.h"

enum ss_field_type {
    SS_FIELD_U64,
    SS_FIELD_U32,
    SS_FIELD_SHARE, /* a double from 0 to 1 */
    SS_FIELD_BOOL,
    SS_FIELD_NAME,        /* const char *, at most SS_REPORT_NAME_BYTES_MAX */
    SS_FIELD_MODEL_STATE, /* enum ss_model_state */
};

struct ss_field {
    const char *name;
    enum ss_field_type type;
    size_t offset;
};

struct ss_field_table {
    const struct ss_field *fields;
    size_t count;
};

/* Writes the table's keys of BASE into the open map. A name that is null goes as "", a share
 * outside 0 .. 1 as the nearer end, and a name too long is cut between characters. */
void ss_fields_write(struct ss_writer *writer, const struct ss_field_table *table,
                     const void *base);

/* Reads them; what is absent stays as it was in BASE. */
void ss_fields_read(struct ss_reader *reader, const struct ss_field_table *table, void *base);

#endif
