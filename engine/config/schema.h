/* Every key of a kind of file, in one table: its place, type, default, range and meaning.
 *
 * The reader, the defaults, the messages and the printed reference all come from this table, so
 * that they cannot disagree. There is one for configurations (schema_table.c, config.h); profiles
 * and workloads have theirs beside their readers. */
#ifndef SS_CONFIG_SCHEMA_H
#define SS_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/config/units.h"

#define SS_LIST_MAX 64

enum ss_key_type {
    SS_KEY_BOOL,      /* bool */
    SS_KEY_INT,       /* int */
    SS_KEY_U32,       /* uint32_t */
    SS_KEY_U64,       /* uint64_t */
    SS_KEY_REAL,      /* double */
    SS_KEY_SHARE,     /* double, over 0 and at most 1 */
    SS_KEY_SIZE,      /* size_t */
    SS_KEY_RATE,      /* uint64_t, bytes per second */
    SS_KEY_RATE_REAL, /* double, bytes per second */
    SS_KEY_FLOPS,     /* double, operations per second */
    SS_KEY_TIME,      /* uint64_t, nanoseconds */
    SS_KEY_CHOICE,    /* char *, one of CHOICES */
    SS_KEY_TEXT,      /* char * */
    SS_KEY_PATH,      /* char *, made absolute against the file's folder */
    SS_KEY_ENDPOINT,  /* char *, tcp:// or ipc:// */
    SS_KEY_ENDPOINTS, /* struct ss_texts; here and below MIN and MAX count the list's items */
    SS_KEY_TEXTS,     /* struct ss_texts */
    SS_KEY_REALS,     /* struct ss_reals */
    SS_KEY_TIMES,     /* struct ss_times */
};

/* Lists, each as one value or as several; texts are owned. */
struct ss_texts {
    uint64_t count;
    char *items[SS_LIST_MAX];
};
struct ss_reals {
    uint64_t count;
    double items[SS_LIST_MAX];
};
struct ss_times {
    uint64_t count;
    uint64_t items[SS_LIST_MAX]; /* ns */
};

struct ss_key {
    const char *path; /* "device.link.bandwidth", "models[].name" */
    enum ss_key_type type;
    size_t offset;        /* in the struct that is filled; for items of the list in an item */
    const char *fallback; /* the default as it would be written; null: none */
    const char *note;     /* where there is none: what happens then; null: the key is required */
    uint64_t min, max;    /* numbers and quantities */
    const char *choices;  /* "cpu|cuda" */
    const char *meaning;
};

#define SS_KEYS_MAX 96

/* A kind of file: its keys, and the one list of maps that it has. Static storage. */
struct ss_schema {
    const char *document; /* for messages: "a configuration (see configs/llm.yaml)" */
    const struct ss_key *keys;
    size_t key_count; /* SS_KEYS_MAX at most */
    const char *list; /* "models", whose items have the keys "models[].NAME"; null: no list */
    const char *item; /* "model" */
    size_t item_bytes;
    size_t items_max;
};

bool ss_key_required(const struct ss_key *key);

/* True for a key of a list's item rather than of the whole. */
bool ss_key_of_item(const struct ss_key *key);

/* True for the types whose field is a list; what the items are. */
bool ss_key_is_list(enum ss_key_type type);
enum ss_key_type ss_key_item_type(enum ss_key_type type);

/* What a quantity's text is parsed as; only for SIZE, RATE, RATE_REAL, FLOPS and TIME. */
enum ss_quantity ss_key_quantity(enum ss_key_type type);
bool ss_key_is_quantity(enum ss_key_type type);

/* "integer from 1 to 16", "cpu or cuda", "size such as 512MiB, at least 4KiB": what would be right.
 * Returns OUT. */
const char *ss_key_expected(const struct ss_key *key, char *out, size_t bytes);

/* The index of the key whose path is PATH; -1 if none. */
int ss_key_find(const struct ss_schema *schema, const char *path);

/* True when some key lies below PATH: "device", "device.link". */
bool ss_key_is_section(const struct ss_schema *schema, const char *path);

/* The name among those directly below PREFIX ("" for the top) that NAME was probably meant to be,
 * else the full path of a key elsewhere that ends in NAME, else null. May point into BUFFER. */
const char *ss_key_suggest(const struct ss_schema *schema, const char *prefix, const char *name,
                           char *buffer, size_t bytes);

/* The names directly below PREFIX, comma separated. Returns OUT. */
const char *ss_key_names(const struct ss_schema *schema, const char *prefix, char *out,
                         size_t bytes);

/* Writes the reference of all keys to STREAM, as a table in Markdown. */
void ss_schema_print(const struct ss_schema *schema, FILE *stream);

#endif
