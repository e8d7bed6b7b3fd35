/* A YAML file as a tree that remembers where everything stands.
 *
 * Only what a configuration needs: maps with plain keys, lists, scalars. Aliases, merges
 * and tags are refused rather than expanded, so that no small file can become a large tree. Size,
 * nesting and the number of values are bounded. */
#ifndef SS_CONFIG_YAML_H
#define SS_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/config/mistakes.h"

#define SS_YAML_BYTES_MAX (4u << 20)
#define SS_YAML_DEPTH_MAX 16
#define SS_YAML_NODES_MAX 200000

enum ss_yaml_kind {
    SS_YAML_SCALAR,
    SS_YAML_MAP,
    SS_YAML_LIST,
    SS_YAML_REFUSED, /* an alias or the like: noted as a mistake, nothing to be said about it */
};

struct ss_yaml_node {
    enum ss_yaml_kind kind;
    int line, column; /* of the value; from 1 */
    bool quoted;      /* scalar: 'so' or "so" or in a block */
    char *text;       /* scalar: terminated UTF-8; "" where nothing was written */
    char *key;        /* a map's member: its key, else null */
    int key_line, key_column;
    struct ss_yaml_node *first, *last; /* map, list: members in order */
    struct ss_yaml_node *next;         /* sibling */
};

struct ss_yaml;

/* Parses the BYTES at TEXT, notes what is wrong in form, and gives the tree of what could be read.
 * *OUT is set even where mistakes were noted; an error status means that memory ran out. */
SS_MUST_CHECK enum ss_status ss_yaml_parse(const char *text, size_t bytes,
                                           struct ss_mistakes *mistakes, struct ss_yaml **out);
void ss_yaml_destroy(struct ss_yaml *yaml);

/* The document's value; null for an empty file. */
const struct ss_yaml_node *ss_yaml_root(const struct ss_yaml *yaml);

/* True when reading stopped before the end: what is missing may stand in the part not read. */
bool ss_yaml_cut(const struct ss_yaml *yaml);

/* The first member of MAP (null allowed) named KEY, of KEY_BYTES; null if there is none. */
const struct ss_yaml_node *ss_yaml_member(const struct ss_yaml_node *map, const char *key,
                                          size_t key_bytes);

#endif
