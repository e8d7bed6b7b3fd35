#include "pipeline/models/config_json.h"

#include <jansson.h>
#include <string.h>

#define COUNT_MAX (1 << 24)

static enum ss_status wrong(const char *where, const char *key, json_t *found, const char *right)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    enum ss_status status = ss_fail(SS_INVALID, "%s: %s: found %.60s, expected %s", where, key,
                                    text ? text : "?", right);
    free(text);
    return status;
}

static enum ss_status store(const struct ss_json_key *key, const char *where, json_t *value)
{
    switch (key->type) {
    case SS_JSON_TYPE_U32:
        if (!json_is_integer(value) || json_integer_value(value) < 1 ||
            json_integer_value(value) >= COUNT_MAX)
            return wrong(where, key->key, value, "a whole number from 1 to 16777215");
        *(uint32_t *)key->out = (uint32_t)json_integer_value(value);
        return SS_OK;
    case SS_JSON_TYPE_F32:
        if (!json_is_number(value))
            return wrong(where, key->key, value, "a number");
        *(float *)key->out = (float)json_number_value(value);
        return SS_OK;
    case SS_JSON_TYPE_BOOL:
        if (!json_is_boolean(value))
            return wrong(where, key->key, value, "true or false");
        *(bool *)key->out = json_is_true(value);
        return SS_OK;
    }
    return SS_OK;
}

static void store_default(const struct ss_json_key *key)
{
    switch (key->type) {
    case SS_JSON_TYPE_U32:
        *(uint32_t *)key->out = (uint32_t)key->fallback;
        break;
    case SS_JSON_TYPE_F32:
        *(float *)key->out = (float)key->fallback;
        break;
    case SS_JSON_TYPE_BOOL:
        *(bool *)key->out = key->fallback != 0;
        break;
    }
}

enum ss_status ss_json_read(const void *object, const char *where, const struct ss_json_key *keys)
{
    for (const struct ss_json_key *key = keys; key->key; key++) {
        json_t *value = json_object_get(object, key->key);
        if ((!value || json_is_null(value)) && key->same_as)
            value = json_object_get(object, key->same_as);
        if (value && !json_is_null(value)) {
            enum ss_status status = store(key, where, value);
            if (status)
                return status;
        } else if (key->has_default) {
            store_default(key);
        } else {
            return ss_fail(SS_INVALID, "%s: %s is missing", where, key->key);
        }
    }
    return SS_OK;
}

enum ss_status ss_json_choice(const void *object, const char *where, const char *key,
                              const struct ss_json_choice *choices, const char *fallback, int *out)
{
    char expected[256] = "one of";
    json_t *value = json_object_get(object, key);
    const char *text = value && !json_is_null(value) ? json_string_value(value) : fallback;
    for (const struct ss_json_choice *choice = choices; choice->text; choice++) {
        if (text && strcmp(choice->text, text) == 0) {
            *out = choice->value;
            return SS_OK;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, " %s", choice->text);
    }
    return wrong(where, key, value, expected);
}

bool ss_json_has(const void *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

enum ss_status ss_json_object(const void *object, const char *where, const char *key,
                              const void **out)
{
    json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value) && !json_is_object(value))
        return wrong(where, key, value, "an object");
    *out = json_is_object(value) ? value : 0;
    return SS_OK;
}

enum ss_status ss_json_text(const void *object, const char *where, const char *key,
                            const char **out)
{
    json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value) && !json_is_string(value))
        return wrong(where, key, value, "a text");
    *out = json_string_value(value);
    return SS_OK;
}

enum ss_status ss_json_ids(const void *object, const char *where, const char *key, int max,
                           int32_t *out, int *count)
{
    json_t *value = json_object_get(object, key);
    *count = 0;
    if (!value || json_is_null(value))
        return SS_OK;
    bool list = json_is_array(value);
    size_t items = list ? json_array_size(value) : 1;
    if (items > (size_t)max)
        return ss_fail(SS_UNSUPPORTED, "%s: %s has %zu ids, at most %d are supported", where, key,
                       items, max);
    for (size_t i = 0; i < items; i++) {
        json_t *item = list ? json_array_get(value, i) : value;
        if (!json_is_integer(item) || json_integer_value(item) < 0 ||
            json_integer_value(item) >= COUNT_MAX)
            return wrong(where, key, value, "a token id or a list of token ids");
        out[i] = (int32_t)json_integer_value(item);
    }
    *count = (int)items;
    return SS_OK;
}

enum ss_status ss_json_open(const char *path, void **out)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return ss_fail(SS_INVALID, "%s:%d:%d: %s", path, error.line, error.column, error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return ss_fail(SS_INVALID, "%s: expected a JSON object", path);
    }
    *out = root;
    return SS_OK;
}

void ss_json_close(void *root)
{
    json_decref(root);
}
