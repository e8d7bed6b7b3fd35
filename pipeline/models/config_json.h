/* Reading keys of a config.json, with errors that name file, key, what was found and what would be
 * right. Objects are jansson's json_t, passed as void * so that families need not include it. */
#ifndef SS_PIPELINE_CONFIG_JSON_H
#define SS_PIPELINE_CONFIG_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

enum ss_json_type { SS_JSON_TYPE_U32, SS_JSON_TYPE_F32, SS_JSON_TYPE_BOOL };

/* One key and where its value goes. A missing or null key takes SAME_AS's value (which must stand
 * before it in the file's object), else the default when there is one, else it is an error. */
struct ss_json_key {
    const char *key;
    enum ss_json_type type;
    void *out;
    const char *same_as;
    bool has_default;
    double fallback;
};

#define SS_JSON_U32(name, where, same)                                       \
    {                                                                        \
        .key = name, .type = SS_JSON_TYPE_U32, .out = where, .same_as = same \
    }
#define SS_JSON_U32_OR(name, where, value)                                        \
    {                                                                             \
        .key = name, .type = SS_JSON_TYPE_U32, .out = where, .has_default = true, \
        .fallback = value                                                         \
    }
#define SS_JSON_F32_OR(name, where, value)                                        \
    {                                                                             \
        .key = name, .type = SS_JSON_TYPE_F32, .out = where, .has_default = true, \
        .fallback = value                                                         \
    }
#define SS_JSON_BOOL(name, where, value)                                           \
    {                                                                              \
        .key = name, .type = SS_JSON_TYPE_BOOL, .out = where, .has_default = true, \
        .fallback = value                                                          \
    }

/* Reads KEYS (ended by a null key). Unsigned numbers are at least 1 and below 2^24. */
SS_MUST_CHECK enum ss_status ss_json_read(const void *object, const char *where,
                                          const struct ss_json_key *keys);

struct ss_json_choice {
    const char *text;
    int value;
};

/* The value of KEY among CHOICES (ended by a null text); FALLBACK where it is missing. */
SS_MUST_CHECK enum ss_status ss_json_choice(const void *object, const char *where, const char *key,
                                            const struct ss_json_choice *choices,
                                            const char *fallback, int *out);

/* Whether there is a KEY other than null. */
bool ss_json_has(const void *object, const char *key);

/* The object, or the text, under KEY, borrowed; null where it is missing or null. Anything else
 * there is an error. */
SS_MUST_CHECK enum ss_status ss_json_object(const void *object, const char *where, const char *key,
                                            const void **out);
SS_MUST_CHECK enum ss_status ss_json_text(const void *object, const char *where, const char *key,
                                          const char **out);

/* An integer or a list of integers under KEY; *COUNT 0 where it is missing. */
SS_MUST_CHECK enum ss_status ss_json_ids(const void *object, const char *where, const char *key,
                                         int max, int32_t *out, int *count);

/* Loads a file; free with ss_json_close(). Errors carry line and column. */
SS_MUST_CHECK enum ss_status ss_json_open(const char *path, void **out);
void ss_json_close(void *root);

#endif
