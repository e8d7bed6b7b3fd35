/* Every key of a configuration, in one table: its place, type, default, range and meaning.
 *
 * The reader, the defaults, the messages and the reference in configs/README.md all come from this
 * table, so that they cannot disagree. */
#ifndef SS_CONFIG_SCHEMA_H
#define SS_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/config/units.h"

enum ss_key_type {
    SS_KEY_BOOL,      /* bool */
    SS_KEY_INT,       /* int */
    SS_KEY_U32,       /* uint32_t */
    SS_KEY_U64,       /* uint64_t */
    SS_KEY_SHARE,     /* double, over 0 and at most 1 */
    SS_KEY_SIZE,      /* size_t */
    SS_KEY_RATE,      /* uint64_t, bytes per second */
    SS_KEY_RATE_REAL, /* double, bytes per second */
    SS_KEY_FLOPS,     /* double, operations per second */
    SS_KEY_TIME,      /* uint64_t, nanoseconds */
    SS_KEY_CHOICE,    /* char *, one of CHOICES */
    SS_KEY_TEXT,      /* char * */
    SS_KEY_PATH,      /* char *, made absolute against the file's folder */
    SS_KEY_ENDPOINTS, /* char *[], one text or a list of them */
};

struct ss_key {
    const char *path; /* "device.link.bandwidth", "models[].name" */
    enum ss_key_type type;
    size_t offset;        /* in struct ss_config; for models[] in struct ss_config_model */
    const char *fallback; /* the default as it would be written; null: none */
    const char *note;     /* where there is none: what happens then; null: the key is required */
    uint64_t min, max;    /* numbers and quantities */
    const char *choices;  /* "cpu|cuda" */
    const char *meaning;
};

extern const struct ss_key ss_keys[];
extern const size_t ss_key_count;

#define SS_KEYS_MAX    80
#define SS_MODELS_PATH "models[]"

bool ss_key_required(const struct ss_key *key);

/* True for a key of a model rather than of the whole. */
bool ss_key_of_model(const struct ss_key *key);

/* What a quantity's text is parsed as; only for SIZE, RATE, RATE_REAL, FLOPS and TIME. */
enum ss_quantity ss_key_quantity(enum ss_key_type type);
bool ss_key_is_quantity(enum ss_key_type type);

/* "integer from 1 to 16", "cpu or cuda", "size such as 512MiB, at least 4KiB": what would be right.
 * Returns OUT. */
const char *ss_key_expected(const struct ss_key *key, char *out, size_t bytes);

/* The index of the key whose path is PREFIX (may be "") followed by "." and NAME; -1 if none. */
int ss_key_find(const char *path);

/* True when some key lies below PATH: "device", "device.link". */
bool ss_key_is_section(const char *path);

/* The name among those directly below PREFIX ("" for the top) that NAME was probably meant to be,
 * else the full path of a key elsewhere that ends in NAME, else null. May point into BUFFER. */
const char *ss_key_suggest(const char *prefix, const char *name, char *buffer, size_t bytes);

/* The names directly below PREFIX, comma separated. Returns OUT. */
const char *ss_key_names(const char *prefix, char *out, size_t bytes);

#endif
