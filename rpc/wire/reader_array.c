/* The fields of a frame that hold other values: arrays and maps. */
#include <stdio.h>

#include "rpc/wire/reader.h"

static const msgpack_object_array *find_array(struct ss_reader *reader, const char *field,
                                              size_t count_max)
{
    const msgpack_object *value = ss_read_find(reader, field);
    if (!value)
        return 0;
    if (value->type != MSGPACK_OBJECT_ARRAY) {
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "is not an array");
        return 0;
    }
    if (value->via.array.size > count_max) {
        ss_reader_fail(reader, SS_ERROR_TOO_LONG, field, "found %u items, want at most %zu",
                       value->via.array.size, count_max);
        return 0;
    }
    return &value->via.array;
}

void ss_read_tokens(struct ss_reader *reader, const char *field, size_t count_max,
                    const uint32_t **out, size_t *count)
{
    const msgpack_object_array *array = find_array(reader, field, count_max);
    if (!array)
        return;
    uint32_t *tokens = ss_reader_alloc(reader, array->size, sizeof *tokens);
    if (!tokens)
        return;
    for (uint32_t i = 0; i < array->size; i++) {
        const msgpack_object *item = &array->ptr[i];
        if (item->type != MSGPACK_OBJECT_POSITIVE_INTEGER || item->via.u64 > SS_TOKEN_ID_MAX) {
            ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field,
                           "item %u is not a token id: want an integer from 0 to %u", i,
                           SS_TOKEN_ID_MAX);
            return;
        }
        tokens[i] = (uint32_t)item->via.u64;
    }
    *out = tokens;
    *count = array->size;
}

void ss_read_texts(struct ss_reader *reader, const char *field, size_t count_max, size_t bytes_max,
                   struct ss_text *out, size_t *count)
{
    const msgpack_object_array *array = find_array(reader, field, count_max);
    if (!array)
        return;
    for (uint32_t i = 0; i < array->size; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s[%u]", field, i);
        ss_read_text_value(reader, name, &array->ptr[i], 1, bytes_max, &out[i]);
    }
    if (!reader->failed)
        *count = array->size;
}

size_t ss_read_array_size(struct ss_reader *reader, const char *field, size_t count_max)
{
    const msgpack_object_array *array = find_array(reader, field, count_max);
    return array ? array->size : 0;
}

static void open_map(struct ss_reader *reader, const char *field, const msgpack_object *value,
                     struct ss_reader *out)
{
    *out = (struct ss_reader){.frame = reader->frame, .error = reader->error, .failed = true};
    if (reader->failed)
        return;
    if (value->type != MSGPACK_OBJECT_MAP) {
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "is not a map");
        return;
    }
    if (ss_read_check_keys(&value->via.map, reader->error)) {
        reader->failed = true;
        return;
    }
    out->map = value->via.map;
    out->failed = false;
}

void ss_read_element(struct ss_reader *reader, const char *field, size_t index,
                     struct ss_reader *out)
{
    const msgpack_object_array *array = find_array(reader, field, SIZE_MAX);
    static const msgpack_object nothing = {.type = MSGPACK_OBJECT_NIL};
    open_map(reader, field, array && index < array->size ? &array->ptr[index] : &nothing, out);
}

void ss_read_map(struct ss_reader *reader, const char *field, struct ss_reader *out)
{
    ss_read_require(reader, field);
    open_map(reader, field, ss_read_find(reader, field), out);
}

void ss_reader_join(struct ss_reader *reader, const struct ss_reader *inner)
{
    reader->failed |= inner->failed;
}
