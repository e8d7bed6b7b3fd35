#include "engine/config/walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/quote.h"
#include "engine/config/value.h"

#define PATH_BYTES  160
#define NAMES_BYTES 400

#define ITEM_BYTES_MAX 128 /* of a text in a list */

/* Where the walk stands: one map of the file. */
struct place {
    const char *prefix;  /* in the schema: "", "device.link", "models[]" */
    const char *display; /* in messages: "", "device.link", "models[2]" */
    void *base;          /* the whole, or the item */
    const struct ss_yaml_node *map;
    struct ss_seen *seen; /* as in the reading; each item has its own */
};

static void join(char *out, size_t bytes, const char *prefix, const char *name)
{
    snprintf(out, bytes, "%s%s%s", prefix, *prefix != '\0' ? "." : "", name);
}

/* "a list" and so on, for messages about the wrong kind of node. */
static const char *describe(const struct ss_yaml_node *node, char *out, size_t bytes)
{
    if (node->kind == SS_YAML_MAP)
        return "keys and values";
    if (node->kind == SS_YAML_LIST)
        return "a list";
    return node->text[0] == '\0' ? "nothing" : ss_quote(node->text, out, bytes);
}

static void note_unknown(struct ss_reading *r, const struct place *place,
                         const struct ss_yaml_node *node)
{
    char found[SS_QUOTE_BYTES], near[PATH_BYTES], names[NAMES_BYTES];
    const char *suggestion = ss_key_suggest(r->schema, place->prefix, node->key, near, sizeof near);

    ss_quote(node->key, found, sizeof found);
    ss_key_names(r->schema, place->prefix, names, sizeof names);
    if (suggestion != NULL)
        ss_mistakes_add(r->mistakes, node->key_line, node->key_column,
                        *place->display != '\0' ? place->display : NULL,
                        "found the unknown key %s, expected one of: %s; did you mean %s?", found,
                        names, suggestion);
    else
        ss_mistakes_add(r->mistakes, node->key_line, node->key_column,
                        *place->display != '\0' ? place->display : NULL,
                        "found the unknown key %s, expected one of: %s", found, names);
}

/* Notes NODE as the second of its key in its map; the first one counts. */
static bool is_second(struct ss_reading *r, const struct place *place, const char *display,
                      const struct ss_yaml_node *node)
{
    const struct ss_yaml_node *first = ss_yaml_member(place->map, node->key, strlen(node->key));

    if (first == node)
        return false;
    ss_mistakes_add(r->mistakes, node->key_line, node->key_column, display,
                    "found the key a second time (first in line %d), expected it once",
                    first->key_line);
    return true;
}

/* A status of setting one value: bad input becomes a mistake, the rest stays a failure. */
static enum ss_status settle(struct ss_reading *r, enum ss_status status, const char *display,
                             const struct ss_yaml_node *node)
{
    if (status != SS_INVALID)
        return status;
    ss_mistakes_add(r->mistakes, node->line, node->column, display, "%s", ss_status_message());
    return SS_OK;
}

static bool is_null(const struct ss_yaml_node *node)
{
    return node->kind == SS_YAML_SCALAR && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "null") == 0 ||
            strcmp(node->text, "~") == 0);
}

/* Every list's struct: a count, then items of eight bytes. */
struct list {
    uint64_t count;
    uint64_t items[SS_LIST_MAX];
};
_Static_assert(sizeof(struct ss_texts) == sizeof(struct list) &&
                   sizeof(struct ss_reals) == sizeof(struct list) &&
                   sizeof(struct ss_times) == sizeof(struct list),
               "lists of one layout");

/* What one item of KEY's list is. */
static struct ss_key item_of(const struct ss_key *key)
{
    bool text = key->type == SS_KEY_TEXTS;

    return (struct ss_key){.path = key->path,
                           .type = ss_key_item_type(key->type),
                           .min = text,
                           .max = text ? ITEM_BYTES_MAX : UINT64_MAX};
}

static enum ss_status add_item(struct ss_reading *r, const struct place *place,
                               const struct ss_key *key, const char *display,
                               const struct ss_yaml_node *node)
{
    struct list *list = (void *)((char *)place->base + key->offset);
    struct ss_key item = item_of(key);
    char found[SS_QUOTE_BYTES], expected[PATH_BYTES];
    enum ss_status status;

    if (node->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (node->kind != SS_YAML_SCALAR) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display, "found %s, expected %s",
                        describe(node, found, sizeof found),
                        ss_key_expected(&item, expected, sizeof expected));
        return SS_OK;
    }
    if (list->count == key->max) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found more than %" PRIu64 ", expected %s", key->max,
                        ss_key_expected(key, expected, sizeof expected));
        return SS_OK;
    }
    status = ss_value_set(&item, &list->items[list->count], node->text, node->quoted, r->folder);
    if (status == SS_OK)
        list->count++;
    return settle(r, status, display, node);
}

static enum ss_status take_list(struct ss_reading *r, const struct place *place,
                                const struct ss_key *key, const char *display,
                                const struct ss_yaml_node *node)
{
    enum ss_status status = SS_OK;
    char expected[PATH_BYTES];

    ss_value_clear(key, place->base);
    ((struct list *)(void *)((char *)place->base + key->offset))->count = 0;
    if (node->kind != SS_YAML_LIST)
        return add_item(r, place, key, display, node);
    if (node->first == NULL)
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found an empty list, expected %s",
                        ss_key_expected(key, expected, sizeof expected));
    for (const struct ss_yaml_node *item = node->first; item != NULL && status == SS_OK;
         item = item->next) {
        status = add_item(r, place, key, display, item);
        if (ss_mistakes_full(r->mistakes))
            break;
    }
    return status;
}

static enum ss_status take_value(struct ss_reading *r, const struct place *place, int index,
                                 const char *display, const struct ss_yaml_node *node)
{
    const struct ss_key *key = &r->schema->keys[index];
    char found[SS_QUOTE_BYTES], expected[PATH_BYTES];
    enum ss_status status;
    size_t before = r->mistakes->count;

    place->seen[index] = (struct ss_seen){node, node->kind == SS_YAML_REFUSED};
    if (node->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (ss_key_is_list(key->type)) {
        enum ss_status taken = take_list(r, place, key, display, node);

        place->seen[index].wrong = r->mistakes->count != before;
        return taken;
    }
    if (node->kind != SS_YAML_SCALAR) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display, "found %s, expected %s",
                        describe(node, found, sizeof found),
                        ss_key_expected(key, expected, sizeof expected));
        place->seen[index].wrong = true;
        return SS_OK;
    }
    if (is_null(node) && key->note != NULL) { /* "trace:" means no trace */
        place->seen[index].node = NULL;
        return SS_OK;
    }
    status =
        ss_value_set(key, place->base, is_null(node) ? "" : node->text, node->quoted, r->folder);
    status = settle(r, status, display, node);
    place->seen[index].wrong = r->mistakes->count != before;
    return status;
}

static enum ss_status take_map(struct ss_reading *r, const struct place *place);
static enum ss_status take_items(struct ss_reading *r, const struct ss_yaml_node *list);

static enum ss_status take_section(struct ss_reading *r, const struct place *place,
                                   const char *prefix, const char *display,
                                   const struct ss_yaml_node *node)
{
    char found[SS_QUOTE_BYTES], names[NAMES_BYTES];
    struct place below = {prefix, display, place->base, node, place->seen};

    if (node->kind == SS_YAML_REFUSED || is_null(node))
        return SS_OK;
    if (node->kind != SS_YAML_MAP) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found %s, expected keys below it: %s", describe(node, found, sizeof found),
                        ss_key_names(r->schema, prefix, names, sizeof names));
        return SS_OK;
    }
    return take_map(r, &below);
}

static enum ss_status take_member(struct ss_reading *r, const struct place *place,
                                  const struct ss_yaml_node *node)
{
    char path[PATH_BYTES], display[PATH_BYTES];
    int index;

    join(path, sizeof path, place->prefix, node->key);
    join(display, sizeof display, place->display, node->key);
    /* A key that holds dots or brackets itself must not pass for a path. */
    index = strpbrk(node->key, ".[") == NULL ? ss_key_find(r->schema, path) : -1;
    if (index < 0 && (strpbrk(node->key, ".[") != NULL || !ss_key_is_section(r->schema, path))) {
        note_unknown(r, place, node);
        return SS_OK;
    }
    if (is_second(r, place, display, node))
        return SS_OK;
    if (index >= 0)
        return take_value(r, place, index, display, node);
    if (r->schema->list != NULL && strcmp(path, r->schema->list) == 0)
        return take_items(r, node);
    return take_section(r, place, path, display, node);
}

static enum ss_status take_map(struct ss_reading *r, const struct place *place)
{
    enum ss_status status = SS_OK;

    for (const struct ss_yaml_node *node = place->map->first;
         node != NULL && status == SS_OK && !ss_mistakes_full(r->mistakes); node = node->next)
        status = take_member(r, place, node);
    return status;
}

/* Notes the required keys that are not SEEN; BASE_MAP is where the schema's PREFIX stands. */
static void note_missing(struct ss_reading *r, const struct ss_yaml_node *base_map, bool of_item,
                         const char *display, const struct ss_seen *seen)
{
    char key[PATH_BYTES], expected[PATH_BYTES];

    if (ss_yaml_cut(r->yaml))
        return;
    for (size_t i = 0; i < r->schema->key_count; i++) {
        const struct ss_yaml_node *at = base_map, *below;
        const char *path = r->schema->keys[i].path, *dot;

        if (!ss_key_required(&r->schema->keys[i]) ||
            ss_key_of_item(&r->schema->keys[i]) != of_item || seen[i].node != NULL)
            continue;
        if (of_item)
            path = strstr(path, "[].") + strlen("[].");
        join(key, sizeof key, display, path);
        while ((dot = strchr(path, '.')) != NULL &&
               (below = ss_yaml_member(at, path, (size_t)(dot - path))) != NULL) {
            at = below;
            path = dot + 1;
        }
        if (at != NULL && at->kind != SS_YAML_MAP && !is_null(at)) /* that was noted */
            continue;
        ss_mistakes_add(r->mistakes, at != NULL ? at->line : 1, at != NULL ? at->column : 1, key,
                        "found no such key, expected %s",
                        ss_key_expected(&r->schema->keys[i], expected, sizeof expected));
    }
}

static enum ss_status set_defaults(struct ss_reading *r, void *base, bool of_item)
{
    enum ss_status status = SS_OK;

    for (size_t i = 0; i < r->schema->key_count && status == SS_OK; i++) {
        const struct ss_key *key = &r->schema->keys[i];

        if (key->fallback == NULL || ss_key_of_item(key) != of_item)
            continue;
        if (ss_key_is_list(key->type)) {
            struct list *list = (void *)((char *)base + key->offset);
            struct ss_key item = item_of(key);

            status = ss_value_set(&item, &list->items[0], key->fallback, false, r->folder);
            list->count = status == SS_OK;
        } else {
            status = ss_value_set(key, base, key->fallback, false, r->folder);
        }
    }
    return status;
}

/* "models[]" and, for messages, "models[2]". */
static const char *items_path(const struct ss_reading *r, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s[]", r->schema->list);
    return out;
}

static enum ss_status take_item(struct ss_reading *r, const struct ss_yaml_node *node)
{
    void *item = (char *)r->items + (size_t)r->item_count * r->schema->item_bytes;
    struct ss_seen seen[SS_KEYS_MAX] = {{NULL, false}};
    char prefix[PATH_BYTES], display[PATH_BYTES], found[SS_QUOTE_BYTES], names[NAMES_BYTES];
    struct place place = {items_path(r, prefix, sizeof prefix), display, item, node, seen};
    enum ss_status status;

    snprintf(display, sizeof display, "%s[%d]", r->schema->list, r->item_count);
    r->item_nodes[r->item_count++] = node;
    status = set_defaults(r, item, true);
    if (status != SS_OK || node->kind == SS_YAML_REFUSED)
        return status;
    if (node->kind != SS_YAML_MAP) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found %s, expected a %s's keys: %s", describe(node, found, sizeof found),
                        r->schema->item, ss_key_names(r->schema, prefix, names, sizeof names));
        return SS_OK;
    }
    status = take_map(r, &place);
    if (status == SS_OK)
        note_missing(r, node, true, display, seen);
    return status;
}

/* "a list of models (- name: ...), one at least": by the first key of an item. */
static const char *expected_list(const struct ss_reading *r, char *out, size_t bytes)
{
    const char *first = "...";

    for (size_t i = 0; i < r->schema->key_count && *first == '.'; i++)
        if (ss_key_of_item(&r->schema->keys[i]))
            first = strstr(r->schema->keys[i].path, "[].") + strlen("[].");
    snprintf(out, bytes, "a list of %s (- %s: ...), one at least", r->schema->list, first);
    return out;
}

static enum ss_status take_items(struct ss_reading *r, const struct ss_yaml_node *list)
{
    char found[SS_QUOTE_BYTES], expected[PATH_BYTES];
    size_t count = 0;
    enum ss_status status;

    if (list->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (list->kind != SS_YAML_LIST || list->first == NULL) {
        ss_mistakes_add(
            r->mistakes, list->line, list->column, r->schema->list, "found %s, expected %s",
            list->kind == SS_YAML_LIST ? "an empty list" : describe(list, found, sizeof found),
            expected_list(r, expected, sizeof expected));
        return SS_OK;
    }
    for (const struct ss_yaml_node *node = list->first; node != NULL; node = node->next)
        count++;
    if (count > r->schema->items_max) {
        ss_mistakes_add(r->mistakes, list->line, list->column, r->schema->list,
                        "found %zu %s, expected %zu at most", count, r->schema->list,
                        r->schema->items_max);
        return SS_OK;
    }
    status = ss_alloc(&r->items, count, r->schema->item_bytes, "a list of a file");
    if (status == SS_OK)
        status = ss_alloc(&r->item_nodes, count, sizeof(const struct ss_yaml_node *),
                          "the places of a list's items");
    for (const struct ss_yaml_node *node = list->first;
         node != NULL && status == SS_OK && !ss_mistakes_full(r->mistakes); node = node->next)
        status = take_item(r, node);
    return status;
}

enum ss_status ss_walk(struct ss_reading *r)
{
    const struct ss_yaml_node *root = ss_yaml_root(r->yaml);
    struct place top = {"", "", r->base, root, r->seen};
    char found[SS_QUOTE_BYTES], names[NAMES_BYTES], expected[PATH_BYTES];
    const char *list = r->schema->list;
    enum ss_status status = set_defaults(r, r->base, false);

    if (status != SS_OK)
        return status;
    if (root == NULL || is_null(root)) {
        if (!ss_yaml_cut(r->yaml))
            ss_mistakes_add(r->mistakes, 0, 0, NULL, "found an empty file, expected %s",
                            r->schema->document);
        return SS_OK;
    }
    if (root->kind != SS_YAML_MAP) {
        if (root->kind != SS_YAML_REFUSED)
            ss_mistakes_add(r->mistakes, root->line, root->column, NULL,
                            "found %s, expected keys: %s", describe(root, found, sizeof found),
                            ss_key_names(r->schema, "", names, sizeof names));
        return SS_OK;
    }
    status = take_map(r, &top);
    if (status != SS_OK)
        return status;
    note_missing(r, root, false, "", r->seen);
    if (list != NULL && ss_yaml_member(root, list, strlen(list)) == NULL && !ss_yaml_cut(r->yaml))
        ss_mistakes_add(r->mistakes, 1, 1, list, "found no such key, expected %s",
                        expected_list(r, expected, sizeof expected));
    return SS_OK;
}

bool ss_item_has(const struct ss_reading *r, int index, const char *key)
{
    return ss_yaml_member(r->item_nodes[index], key, strlen(key)) != NULL;
}

void ss_item_note(struct ss_reading *r, int index, const char *key, const char *format, ...)
{
    const struct ss_yaml_node *node = r->item_nodes[index], *below;
    char display[PATH_BYTES], text[512];
    va_list arguments;

    snprintf(display, sizeof display, "%s[%d].%s", r->schema->list, index, key);
    for (size_t bytes = strcspn(key, ".");
         (below = ss_yaml_member(node, key, bytes)) != NULL && below->kind != SS_YAML_REFUSED;
         bytes = strcspn(key, ".")) {
        node = below;
        key += bytes;
        if (*key++ == '\0')
            break;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ss_mistakes_add(r->mistakes, node->line, node->column, display, "%s", text);
}
