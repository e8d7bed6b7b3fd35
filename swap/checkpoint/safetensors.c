#include "swap/checkpoint/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

#define METADATA "__metadata__"

/* Sizes in bits, as the newest types pack several elements into a byte. */
static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {{"F32", 32},    {"F16", 16},    {"BF16", 16},   {"F64", 64},    {"I64", 64},
              {"I32", 32},    {"I16", 16},    {"I8", 8},      {"U64", 64},    {"U32", 32},
              {"U16", 16},    {"U8", 8},      {"BOOL", 8},    {"C64", 64},    {"F8_E4M3", 8},
              {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};

/* What is being parsed, for messages. */
struct source {
    const char *path;
    uint64_t data_begin, data_bytes;
};

enum ss_status ss_safetensors_length(const char *path, const void *prefix, uint64_t file_bytes,
                                     uint64_t *header_bytes)
{
    const unsigned char *bytes = prefix;
    uint64_t length = 0;
    if (file_bytes < SS_SAFETENSORS_PREFIX_BYTES)
        return ss_fail(SS_INVALID,
                       "%s: the file has %" PRIu64 " bytes, a safetensors file at least %d", path,
                       file_bytes, SS_SAFETENSORS_PREFIX_BYTES);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > SS_SAFETENSORS_HEADER_BYTES_MAX)
        return ss_fail(SS_INVALID,
                       "%s: the header claims %" PRIu64 " bytes, at most %llu are possible; is "
                       "this a safetensors file?",
                       path, length, SS_SAFETENSORS_HEADER_BYTES_MAX);
    if (length > file_bytes - SS_SAFETENSORS_PREFIX_BYTES)
        return ss_fail(SS_INVALID,
                       "%s: the header claims %" PRIu64 " bytes, but the file has only %" PRIu64
                       " after its length; is it truncated?",
                       path, length, file_bytes - SS_SAFETENSORS_PREFIX_BYTES);
    *header_bytes = length;
    return SS_OK;
}

static const char *type_of(const json_t *value)
{
    static const char *const names[] = {"an object",     "an array", "a string", "an integer",
                                        "a real number", "true",     "false",    "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static enum ss_status check_metadata(const struct source *source, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return ss_fail(SS_INVALID, "%s: " METADATA " is %s, expected an object", source->path,
                       type_of(metadata));
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return ss_fail(SS_INVALID, "%s: " METADATA ": %.200s is %s, expected a string",
                           source->path, key, type_of(value));
    }
    return SS_OK;
}

static enum ss_status read_integer(const struct source *source, const char *name, const char *what,
                                   const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return ss_fail(SS_INVALID,
                       "%s: tensor %.200s: %s holds %s, expected integers that are not negative",
                       source->path, name, what,
                       json_is_integer(value) ? "a negative number" : type_of(value));
    *out = (uint64_t)json_integer_value(value);
    return SS_OK;
}

static enum ss_status read_shape(const struct source *source, const json_t *shape,
                                 struct ss_safetensors_tensor *tensor)
{
    size_t count = json_array_size(shape);
    if (!json_is_array(shape))
        return ss_fail(SS_INVALID, "%s: tensor %.200s: shape is %s, expected an array",
                       source->path, tensor->name, type_of(shape));
    if (count > SS_SAFETENSORS_SHAPE_MAX)
        return ss_fail(SS_INVALID, "%s: tensor %.200s: %zu dimensions, at most %d are possible",
                       source->path, tensor->name, count, SS_SAFETENSORS_SHAPE_MAX);
    tensor->shape_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        enum ss_status status = read_integer(source, tensor->name, "shape",
                                             json_array_get(shape, i), &tensor->shape[i]);
        if (status)
            return status;
    }
    return SS_OK;
}

static enum ss_status read_dtype(const struct source *source, const json_t *dtype,
                                 struct ss_safetensors_tensor *tensor, unsigned *bits)
{
    if (!json_is_string(dtype))
        return ss_fail(SS_INVALID, "%s: tensor %.200s: dtype is %s, expected a string",
                       source->path, tensor->name, type_of(dtype));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, json_string_value(dtype)) != 0)
            continue;
        tensor->dtype = dtypes[i].name;
        *bits = dtypes[i].bits;
        return SS_OK;
    }
    return ss_fail(SS_INVALID, "%s: tensor %.200s: unknown dtype \"%.60s\"", source->path,
                   tensor->name, json_string_value(dtype));
}

static enum ss_status read_offsets(const struct source *source, const json_t *offsets,
                                   struct ss_safetensors_tensor *tensor)
{
    uint64_t at[2];
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return ss_fail(SS_INVALID, "%s: tensor %.200s: data_offsets is %s, expected [begin, end]",
                       source->path, tensor->name,
                       json_is_array(offsets) ? "an array of another length" : type_of(offsets));
    for (size_t i = 0; i < 2; i++) {
        enum ss_status status =
            read_integer(source, tensor->name, "data_offsets", json_array_get(offsets, i), &at[i]);
        if (status)
            return status;
    }
    if (at[0] > at[1] || at[1] > source->data_bytes)
        return ss_fail(SS_INVALID,
                       "%s: tensor %.200s: data_offsets [%" PRIu64 ", %" PRIu64
                       "] do not lie in order within the file's %" PRIu64 " data bytes%s",
                       source->path, tensor->name, at[0], at[1], source->data_bytes,
                       at[0] > at[1] ? "" : "; is it truncated?");
    tensor->begin = at[0];
    tensor->bytes = at[1] - at[0];
    return SS_OK;
}

static enum ss_status check_size(const struct source *source,
                                 const struct ss_safetensors_tensor *tensor, unsigned bits)
{
    uint64_t product = 1;
    bool overflow = false;
    for (int i = 0; i < tensor->shape_count; i++)
        overflow |= __builtin_mul_overflow(product, tensor->shape[i], &product);
    overflow |= __builtin_mul_overflow(product, bits, &product);
    if (overflow)
        return ss_fail(SS_INVALID, "%s: tensor %.200s: the product of its shape overflows 64 bits",
                       source->path, tensor->name);
    if (product % 8 || product / 8 != tensor->bytes)
        return ss_fail(SS_INVALID,
                       "%s: tensor %.200s: data_offsets span %" PRIu64
                       " bytes, but %s and its shape make %" PRIu64 " bits",
                       source->path, tensor->name, tensor->bytes, tensor->dtype, product);
    return SS_OK;
}

static enum ss_status read_tensor(const struct source *source, const json_t *value,
                                  struct ss_safetensors_tensor *tensor)
{
    unsigned bits = 0;
    if (!json_is_object(value))
        return ss_fail(SS_INVALID, "%s: tensor %.200s is %s, expected an object", source->path,
                       tensor->name, type_of(value));
    enum ss_status status = read_dtype(source, json_object_get(value, "dtype"), tensor, &bits);
    if (!status)
        status = read_shape(source, json_object_get(value, "shape"), tensor);
    if (!status)
        status = read_offsets(source, json_object_get(value, "data_offsets"), tensor);
    if (!status)
        status = check_size(source, tensor, bits);
    return status;
}

static int by_place(const void *left, const void *right)
{
    const struct ss_safetensors_tensor *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static int by_name(const void *left, const void *right)
{
    const struct ss_safetensors_tensor *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Expects the tensors sorted by place. */
static enum ss_status check_cover(const struct source *source, const struct ss_safetensors *header)
{
    uint64_t end = 0;
    const char *before = "the start";
    for (size_t i = 0; i < header->count; i++) {
        const struct ss_safetensors_tensor *tensor = &header->tensors[i];
        if (tensor->begin != end)
            return ss_fail(SS_INVALID,
                           "%s: tensor %.200s begins at %" PRIu64 ", but %.200s ends at %" PRIu64
                           ": %s",
                           source->path, tensor->name, tensor->begin, before, end,
                           tensor->begin < end ? "they overlap" : "a hole");
        end = tensor->begin + tensor->bytes;
        before = tensor->name;
    }
    if (end != source->data_bytes)
        return ss_fail(SS_INVALID,
                       "%s: the tensors end at %" PRIu64 ", but the file has %" PRIu64
                       " data bytes",
                       source->path, end, source->data_bytes);
    return SS_OK;
}

static enum ss_status read_object(const struct source *source, json_t *object,
                                  struct ss_safetensors *header)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        enum ss_status status;
        if (strcmp(name, METADATA) == 0) {
            status = check_metadata(source, value);
        } else {
            struct ss_safetensors_tensor *tensor = &header->tensors[header->count++];
            tensor->name = name;
            status = read_tensor(source, value, tensor);
        }
        if (status)
            return status;
    }
    qsort(header->tensors, header->count, sizeof *header->tensors, by_place);
    enum ss_status status = check_cover(source, header);
    if (status)
        return status;
    for (size_t i = 0; i < header->count; i++)
        header->tensors[i].begin += source->data_begin;
    qsort(header->tensors, header->count, sizeof *header->tensors, by_name);
    return SS_OK;
}

enum ss_status ss_safetensors_open(const char *path, const void *text, size_t header_bytes,
                                   uint64_t file_bytes, struct ss_safetensors **out)
{
    struct source source = {.path = path, .data_begin = SS_SAFETENSORS_PREFIX_BYTES + header_bytes};
    struct ss_safetensors *header;
    json_error_t error;
    source.data_bytes = file_bytes - source.data_begin;
    if (header_bytes == 0 || *(const char *)text != '{')
        return ss_fail(SS_INVALID, "%s: the header does not begin with '{'", path);
    json_t *object = json_loadb(text, header_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return ss_fail(SS_INVALID, "%s: header byte %d: %s", path, error.position, error.text);
    enum ss_status status = ss_alloc(&header, 1, sizeof *header, "safetensors header");
    if (status) {
        json_decref(object);
        return status;
    }
    header->names = object;
    status = ss_alloc(&header->tensors, json_object_size(object), sizeof *header->tensors,
                      "safetensors header");
    if (!status)
        status = read_object(&source, object, header);
    if (status) {
        ss_safetensors_close(header);
        return status;
    }
    *out = header;
    return SS_OK;
}

void ss_safetensors_close(struct ss_safetensors *header)
{
    json_decref(header->names);
    ss_free(header->tensors);
    ss_free(header);
}

const struct ss_safetensors_tensor *ss_safetensors_find(const struct ss_safetensors *header,
                                                        const char *name)
{
    struct ss_safetensors_tensor key = {.name = name};
    return header->count ? bsearch(&key, header->tensors, header->count, sizeof key, by_name) : 0;
}
