/* The file's tree held against the schema: values into fields, everything else into mistakes. */
#ifndef SS_CONFIG_WALK_H
#define SS_CONFIG_WALK_H

#include <stdbool.h>

#include "engine/base/status.h"
#include "engine/config/mistakes.h"
#include "engine/config/schema.h"
#include "engine/config/yaml.h"

/* Where a key stands in the file. */
struct ss_seen {
    const struct ss_yaml_node *node; /* null: not there */
    bool wrong;                      /* there, and noted as a mistake */
};

/* One reading of one file. */
struct ss_reading {
    const struct ss_schema *schema;
    void *base; /* what is filled */
    struct ss_mistakes *mistakes;
    const struct ss_yaml *yaml;
    const char *folder;               /* that relative paths start at */
    struct ss_seen seen[SS_KEYS_MAX]; /* by key of the whole, in the schema's order */
    void *items;                      /* of the schema's list, owned; and the place of each */
    int item_count;
    const struct ss_yaml_node **item_nodes;
};

/* Fills the base with the defaults, then with the file's values; notes unknown and doubled keys,
 * wrong types and ranges, and required keys that are missing. Fails only for want of memory. */
SS_MUST_CHECK enum ss_status ss_walk(struct ss_reading *reading);

/* True where the map of item INDEX has KEY, a direct child of it. */
bool ss_item_has(const struct ss_reading *reading, int index, const char *key);

/* Notes a mistake about KEY (maybe with dots) of item INDEX, at the key's place or, where it is not
 * there, the item's. */
void ss_item_note(struct ss_reading *reading, int index, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
