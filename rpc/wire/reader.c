#include "rpc/wire/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/wire/utf8.h"

/* msgpack-c gives an empty string as a null pointer. */
static struct ss_text text_in(const msgpack_object *string)
{
    return (struct ss_text){string->via.str.ptr ? string->via.str.ptr : "", string->via.str.size};
}

static bool same(struct ss_text a, struct ss_text b)
{
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static bool key_is(const msgpack_object *key, const char *field)
{
    return same(text_in(key), (struct ss_text){field, strlen(field)});
}

enum ss_status ss_read_check_keys(const msgpack_object_map *map, struct ss_wire_error *error)
{
    if (map->size > SS_MAP_KEYS_MAX)
        return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0, "a map of %u keys, at most %d",
                            map->size, SS_MAP_KEYS_MAX);
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;
        if (key->type != MSGPACK_OBJECT_STR)
            return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0, "key %u of a map is not a string",
                                i);
        for (uint32_t k = 0; k < i; k++) {
            if (same(text_in(&map->ptr[k].key), text_in(key)))
                return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                                    "keys %u and %u of a map are "
                                    "the same",
                                    k, i);
        }
    }
    return SS_OK;
}

enum ss_status ss_frame_open(struct ss_frame *frame, const void *bytes, size_t size,
                             const struct ss_scan_limits *limits, struct ss_reader *reader,
                             struct ss_wire_error *error)
{
    enum ss_status status = ss_wire_scan(bytes, size, limits, error);
    if (status)
        return status;
    size_t offset = 0;
    msgpack_unpack_return result = msgpack_unpack_next(&frame->unpacked, bytes, size, &offset);
    if (result != MSGPACK_UNPACK_SUCCESS) {
        ss_wire_fail(error, SS_ERROR_INTERNAL, 0, "out of memory for a frame of %zu bytes", size);
        return ss_fail(SS_NO_MEMORY, "%s", error->message);
    }
    const msgpack_object *root = &frame->unpacked.data;
    if (root->type != MSGPACK_OBJECT_MAP)
        return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0, "the frame is not a map");
    status = ss_read_check_keys(&root->via.map, error);
    if (status)
        return status;
    *reader = (struct ss_reader){.map = root->via.map, .frame = frame, .error = error};
    return SS_OK;
}

void ss_frame_close(struct ss_frame *frame)
{
    msgpack_unpacked_destroy(&frame->unpacked);
}

void ss_reader_fail(struct ss_reader *reader, enum ss_error_code code, const char *field,
                    const char *format, ...)
{
    char text[sizeof reader->error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (reader->failed)
        return;
    ss_wire_fail(reader->error, code, field, "%s", text);
    reader->failed = true;
}

void *ss_reader_alloc(struct ss_reader *reader, size_t count, size_t size)
{
    if (reader->failed)
        return 0;
    /* Never more than a frame holds items, so the product cannot overflow. */
    void *made = msgpack_zone_malloc(reader->frame->unpacked.zone, count * size + 1);
    if (!made) {
        ss_reader_fail(reader, SS_ERROR_INTERNAL, 0, "out of memory for %zu items", count);
        return 0;
    }
    return memset(made, 0, count * size + 1);
}

static const char *describe(const msgpack_object *value, char text[static 40])
{
    switch (value->type) {
    case MSGPACK_OBJECT_NIL:
        return "nil";
    case MSGPACK_OBJECT_BOOLEAN:
        return value->via.boolean ? "true" : "false";
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(text, 40, "%llu", (unsigned long long)value->via.u64);
        return text;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(text, 40, "%lld", (long long)value->via.i64);
        return text;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        snprintf(text, 40, "%g", value->via.f64);
        return text;
    case MSGPACK_OBJECT_STR:
        snprintf(text, 40, "a string of %u bytes", value->via.str.size);
        return text;
    case MSGPACK_OBJECT_ARRAY:
        snprintf(text, 40, "an array of %u", value->via.array.size);
        return text;
    case MSGPACK_OBJECT_MAP:
        return "a map";
    case MSGPACK_OBJECT_BIN:
        return "bytes (bin)";
    default:
        return "an extension type";
    }
}

static void refuse(struct ss_reader *reader, const char *field, const msgpack_object *value,
                   const char *want)
{
    char text[40];
    ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "found %s, want %s", describe(value, text),
                   want);
}

const msgpack_object *ss_read_find(struct ss_reader *reader, const char *field)
{
    if (reader->failed)
        return 0;
    for (uint32_t i = 0; i < reader->map.size; i++)
        if (key_is(&reader->map.ptr[i].key, field))
            return reader->map.ptr[i].val.type == MSGPACK_OBJECT_NIL ? 0 : &reader->map.ptr[i].val;
    return 0;
}

void ss_read_require(struct ss_reader *reader, const char *field)
{
    if (!ss_read_find(reader, field))
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "is missing");
}

bool ss_read_envelope(struct ss_reader *reader, const char *who, uint64_t *id)
{
    uint64_t version = 0;
    const msgpack_object *found = ss_read_find(reader, "id");
    if (found && found->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        reader->error->has_id = true;
        reader->error->id = found->via.u64;
    }
    ss_read_require(reader, "v");
    ss_read_u64(reader, "v", 0, UINT64_MAX, &version);
    if (version != SS_PROTOCOL_VERSION)
        ss_reader_fail(reader, SS_ERROR_UNSUPPORTED_VERSION, "v",
                       "found version %llu, this %s speaks %d", (unsigned long long)version, who,
                       SS_PROTOCOL_VERSION);
    ss_read_u64(reader, "id", 0, UINT64_MAX, id);
    return found;
}

void ss_read_u64(struct ss_reader *reader, const char *field, uint64_t min, uint64_t max,
                 uint64_t *out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    if (!value)
        return;
    if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER && value->via.u64 >= min &&
        value->via.u64 <= max) {
        *out = value->via.u64;
        return;
    }
    char want[80];
    snprintf(want, sizeof want, "an integer from %llu to %llu", (unsigned long long)min,
             (unsigned long long)max);
    refuse(reader, field, value, want);
}

void ss_read_u32(struct ss_reader *reader, const char *field, uint32_t min, uint32_t max,
                 uint32_t *out)
{
    uint64_t value = *out;
    ss_read_u64(reader, field, min, max, &value);
    if (!reader->failed)
        *out = (uint32_t)value;
}

void ss_read_double(struct ss_reader *reader, const char *field, double min, double max,
                    double *out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    double number;
    char want[80];
    if (!value)
        return;
    snprintf(want, sizeof want, "a number from %g to %g", min, max);
    switch (value->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        number = (double)value->via.u64;
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        number = (double)value->via.i64;
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        number = value->via.f64;
        break;
    default:
        refuse(reader, field, value, want);
        return;
    }
    /* Written so that a NaN is refused. */
    if (number >= min && number <= max)
        *out = number;
    else
        refuse(reader, field, value, want);
}

void ss_read_bool(struct ss_reader *reader, const char *field, bool *out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    if (!value)
        return;
    if (value->type == MSGPACK_OBJECT_BOOLEAN)
        *out = value->via.boolean;
    else
        refuse(reader, field, value, "true or false");
}

bool ss_read_text_value(struct ss_reader *reader, const char *field, const msgpack_object *value,
                        size_t bytes_min, size_t bytes_max, struct ss_text *out)
{
    if (value->type != MSGPACK_OBJECT_STR) {
        refuse(reader, field, value, "a string");
        return false;
    }
    struct ss_text text = text_in(value);
    if (text.bytes > bytes_max) {
        ss_reader_fail(reader, SS_ERROR_TOO_LONG, field, "found %zu bytes, want at most %zu",
                       text.bytes, bytes_max);
        return false;
    }
    if (text.bytes < bytes_min) {
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "found %zu bytes, want at least %zu",
                       text.bytes, bytes_min);
        return false;
    }
    size_t valid = ss_utf8_valid_bytes(text.data, text.bytes);
    if (valid < text.bytes) {
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "is not UTF-8: byte %zu is 0x%02x",
                       valid, (unsigned char)text.data[valid]);
        return false;
    }
    *out = text;
    return true;
}

void ss_read_text(struct ss_reader *reader, const char *field, size_t bytes_min, size_t bytes_max,
                  struct ss_text *out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    if (value)
        ss_read_text_value(reader, field, value, bytes_min, bytes_max, out);
}

void ss_read_string(struct ss_reader *reader, const char *field, size_t bytes_min, size_t bytes_max,
                    const char **out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    struct ss_text text;
    if (!value || !ss_read_text_value(reader, field, value, bytes_min, bytes_max, &text))
        return;
    if (memchr(text.data, 0, text.bytes)) {
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "holds a NUL character");
        return;
    }
    char *copy = ss_reader_alloc(reader, text.bytes, 1);
    if (copy)
        *out = memcpy(copy, text.data, text.bytes);
}

void ss_read_name(struct ss_reader *reader, const char *field, const char *(*name_of)(int),
                  int count, int *out)
{
    const msgpack_object *value = ss_read_find(reader, field);
    char want[160] = "";
    size_t used = 0;
    if (!value)
        return;
    if (value->type != MSGPACK_OBJECT_STR) {
        refuse(reader, field, value, "a string");
        return;
    }
    struct ss_text text = text_in(value);
    for (int i = 0; i < count; i++) {
        const char *name = name_of(i);
        if (same(text, (struct ss_text){name, strlen(name)})) {
            *out = i;
            return;
        }
        if (used < sizeof want)
            used += (size_t)snprintf(want + used, sizeof want - used, "%s%s", i ? ", " : "", name);
    }
    int shown = text.bytes < 32 ? (int)text.bytes : 32;
    bool printable = ss_utf8_valid_bytes(text.data, (size_t)shown) == (size_t)shown;
    ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, field, "found \"%.*s\", want one of %s",
                   printable ? shown : 0, text.data, want);
}
