#include "rpc/wire/fields.h"

#include <string.h>

#include "rpc/report.h"
#include "rpc/wire/utf8.h"

static const char *state_name(int state)
{
    return ss_model_state_name((enum ss_model_state)state);
}

static void write_name(struct ss_writer *writer, const char *name)
{
    struct ss_text text = {name, name ? strlen(name) : 0};
    if (text.bytes > SS_REPORT_NAME_BYTES_MAX)
        text.bytes = SS_REPORT_NAME_BYTES_MAX;
    text.bytes = ss_utf8_valid_bytes(text.data, text.bytes);
    ss_write_text(writer, text);
}

static void write_share(struct ss_writer *writer, double share)
{
    /* In this order a NaN becomes 0. */
    ss_write_double(writer, share > 1 ? 1 : share > 0 ? share : 0);
}

void ss_fields_write(struct ss_writer *writer, const struct ss_field_table *table, const void *base)
{
    const struct ss_field *fields = table->fields;
    for (size_t i = 0; i < table->count; i++) {
        const void *at = (const char *)base + fields[i].offset;
        ss_write_key(writer, fields[i].name);
        switch (fields[i].type) {
        case SS_FIELD_U64:
            ss_write_u64(writer, *(const uint64_t *)at);
            break;
        case SS_FIELD_U32:
            ss_write_u64(writer, *(const uint32_t *)at);
            break;
        case SS_FIELD_SHARE:
            write_share(writer, *(const double *)at);
            break;
        case SS_FIELD_BOOL:
            ss_write_bool(writer, *(const bool *)at);
            break;
        case SS_FIELD_NAME:
            write_name(writer, *(const char *const *)at);
            break;
        case SS_FIELD_MODEL_STATE:
            ss_write_string(writer, ss_model_state_name(*(const enum ss_model_state *)at));
            break;
        }
    }
}

void ss_fields_read(struct ss_reader *reader, const struct ss_field_table *table, void *base)
{
    const struct ss_field *fields = table->fields;
    for (size_t i = 0; i < table->count; i++) {
        void *at = (char *)base + fields[i].offset;
        switch (fields[i].type) {
        case SS_FIELD_U64:
            ss_read_u64(reader, fields[i].name, 0, UINT64_MAX, at);
            break;
        case SS_FIELD_U32:
            ss_read_u32(reader, fields[i].name, 0, UINT32_MAX, at);
            break;
        case SS_FIELD_SHARE:
            ss_read_double(reader, fields[i].name, 0, 1, at);
            break;
        case SS_FIELD_BOOL:
            ss_read_bool(reader, fields[i].name, at);
            break;
        case SS_FIELD_NAME:
            ss_read_string(reader, fields[i].name, 0, SS_REPORT_NAME_BYTES_MAX, at);
            break;
        case SS_FIELD_MODEL_STATE: {
            int state = (int)*(enum ss_model_state *)at;
            ss_read_name(reader, fields[i].name, state_name, SS_MODEL_STATES, &state);
            *(enum ss_model_state *)at = (enum ss_model_state)state;
            break;
        }
        }
    }
}
