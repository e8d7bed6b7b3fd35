#include "pipeline/text/json_place.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/text/tokenizer.h"

/* Characters of a value or of a path that a message shows. */
#define SHOWN 100

static void describe(const json_t *value, char *out, size_t out_bytes)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: {
        const json_t *type = json_object_get(value, "type");
        if (json_is_string(type))
            snprintf(out, out_bytes, "type \"%.*s\"", SHOWN, json_string_value(type));
        else
            snprintf(out, out_bytes, "an object");
        return;
    }
    case JSON_ARRAY:
        snprintf(out, out_bytes, "an array of %zu", json_array_size(value));
        return;
    case JSON_STRING:
        snprintf(out, out_bytes, "\"%.*s\"", SHOWN, json_string_value(value));
        return;
    case JSON_INTEGER:
        snprintf(out, out_bytes, "%lld", (long long)json_integer_value(value));
        return;
    case JSON_REAL:
        snprintf(out, out_bytes, "%g", json_real_value(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(out, out_bytes, "%s", json_is_true(value) ? "true" : "false");
        return;
    case JSON_NULL:
        snprintf(out, out_bytes, "nothing");
    }
}

enum ss_status ss_json_refuse(enum ss_status status, const struct ss_json_place *place,
                              const char *right)
{
    char found[SHOWN + 32];
    describe(place->value, found, sizeof found);
    return ss_json_fail(status, place, "found %s; %s", found, right);
}

enum ss_status ss_json_fail(enum ss_status status, const struct ss_json_place *place,
                            const char *format, ...)
{
    char text[SS_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ss_fail(status, "%s: at %s: %s", place->file, place->path[0] ? place->path : "the top",
                   text);
}

enum ss_status ss_json_member(const struct ss_json_place *object, const char *key,
                              struct ss_json_place *out)
{
    if (!json_is_object(object->value))
        return ss_json_refuse(SS_INVALID, object, "this should be an object");
    struct ss_json_place place = {.file = object->file};
    json_t *value = json_object_get(object->value, key);
    place.value = json_is_null(value) ? 0 : value;
    /* Paths that do not fit lose their end; the file's name stands in any case. */
    int written = snprintf(place.path, sizeof place.path, "%s%s%.*s", object->path,
                           object->path[0] ? "." : "", SHOWN, key);
    if (written >= (int)sizeof place.path)
        memcpy(place.path + sizeof place.path - 4, "...", 4);
    *out = place;
    return SS_OK;
}

void ss_json_element(const struct ss_json_place *array, size_t index, struct ss_json_place *out)
{
    struct ss_json_place place = {.file = array->file};
    json_t *value = json_array_get(array->value, index);
    place.value = json_is_null(value) ? 0 : value;
    int written = snprintf(place.path, sizeof place.path, "%s[%zu]", array->path, index);
    if (written >= (int)sizeof place.path)
        memcpy(place.path + sizeof place.path - 4, "...", 4);
    *out = place;
}

enum ss_status ss_json_array(const struct ss_json_place *place, size_t *count)
{
    if (!json_is_array(place->value))
        return ss_json_refuse(SS_INVALID, place, "this should be an array");
    *count = json_array_size(place->value);
    return SS_OK;
}

enum ss_status ss_json_string(const struct ss_json_place *place, const char **text)
{
    if (!json_is_string(place->value))
        return ss_json_refuse(SS_INVALID, place, "this should be a string");
    *text = json_string_value(place->value);
    return SS_OK;
}

enum ss_status ss_json_bool(const struct ss_json_place *place, bool *flag)
{
    if (!json_is_boolean(place->value))
        return ss_json_refuse(SS_INVALID, place, "this should be true or false");
    *flag = json_is_true(place->value);
    return SS_OK;
}

enum ss_status ss_json_id(const struct ss_json_place *place, uint32_t *id)
{
    json_int_t value = json_is_integer(place->value) ? json_integer_value(place->value) : -1;
    if (value < 0 || value >= SS_TOKEN_IDS_MAX)
        return ss_json_refuse(SS_INVALID, place, "a token id is an integer from 0 to 4194303");
    *id = (uint32_t)value;
    return SS_OK;
}

enum ss_status ss_json_bool_or(const struct ss_json_place *object, const char *key, bool otherwise,
                               bool *flag)
{
    struct ss_json_place member = {0};
    enum ss_status status = ss_json_member(object, key, &member);
    if (status)
        return status;
    if (member.value)
        return ss_json_bool(&member, flag);
    *flag = otherwise;
    return SS_OK;
}

enum ss_status ss_json_type(const struct ss_json_place *object, const char **type)
{
    struct ss_json_place member = {0};
    enum ss_status status = ss_json_member(object, "type", &member);
    return status ? status : ss_json_string(&member, type);
}
