#include "engine/config/walk.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/quote.h"
#include "engine/config/value.h"

#define PATH_BYTES  160
#define NAMES_BYTES 400

/* Where the walk stands: one map of the file. */
struct place {
    const char *prefix;  /* in the schema: "", "device.link", "models[]" */
    const char *display; /* in messages: "", "device.link", "models[2]" */
    void *base;          /* the config, or the model */
    const struct ss_yaml_node *map;
    struct ss_seen *seen; /* as in the reading; each model has its own */
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
    const char *suggestion = ss_key_suggest(place->prefix, node->key, near, sizeof near);

    ss_quote(node->key, found, sizeof found);
    ss_key_names(place->prefix, names, sizeof names);
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

static void clear_endpoints(struct ss_config *config)
{
    for (int i = 0; i < config->server.endpoint_count; i++) {
        ss_free(config->server.endpoints[i]);
        config->server.endpoints[i] = NULL;
    }
    config->server.endpoint_count = 0;
}

static enum ss_status add_endpoint(struct ss_reading *r, const char *display,
                                   const struct ss_yaml_node *node)
{
    struct ss_config *config = r->config;
    char found[SS_QUOTE_BYTES], expected[PATH_BYTES];

    if (node->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (node->kind != SS_YAML_SCALAR ||
        (strncmp(node->text, "tcp://", 6) != 0 && strncmp(node->text, "ipc://", 6) != 0)) {
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found %s, expected tcp://HOST:PORT or ipc://PATH",
                        describe(node, found, sizeof found));
        return SS_OK;
    }
    if (config->server.endpoint_count == SS_ENDPOINTS_MAX) {
        ss_key_expected(&ss_keys[ss_key_find("server.endpoints")], expected, sizeof expected);
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found more than %d, expected %s", SS_ENDPOINTS_MAX, expected);
        return SS_OK;
    }
    return ss_strdup(&config->server.endpoints[config->server.endpoint_count], node->text) == SS_OK
               ? (config->server.endpoint_count++, SS_OK)
               : SS_NO_MEMORY;
}

static enum ss_status take_endpoints(struct ss_reading *r, const char *display,
                                     const struct ss_yaml_node *node)
{
    enum ss_status status = SS_OK;

    clear_endpoints(r->config);
    if (node->kind != SS_YAML_LIST)
        return add_endpoint(r, display, node);
    if (node->first == NULL)
        ss_mistakes_add(r->mistakes, node->line, node->column, display,
                        "found an empty list, expected one endpoint at least");
    for (const struct ss_yaml_node *item = node->first; item != NULL && status == SS_OK;
         item = item->next) {
        status = add_endpoint(r, display, item);
        if (ss_mistakes_full(r->mistakes))
            break;
    }
    return status;
}

static enum ss_status take_value(struct ss_reading *r, const struct place *place, int index,
                                 const char *display, const struct ss_yaml_node *node)
{
    const struct ss_key *key = &ss_keys[index];
    char found[SS_QUOTE_BYTES], expected[PATH_BYTES];
    enum ss_status status;
    size_t before = r->mistakes->count;

    place->seen[index] = (struct ss_seen){node, node->kind == SS_YAML_REFUSED};
    if (node->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (key->type == SS_KEY_ENDPOINTS)
        return take_endpoints(r, display, node);
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
static enum ss_status take_models(struct ss_reading *r, const struct ss_yaml_node *list);

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
                        ss_key_names(prefix, names, sizeof names));
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
    index = strpbrk(node->key, ".[") == NULL ? ss_key_find(path) : -1;
    if (index < 0 && (strpbrk(node->key, ".[") != NULL || !ss_key_is_section(path))) {
        note_unknown(r, place, node);
        return SS_OK;
    }
    if (is_second(r, place, display, node))
        return SS_OK;
    if (index >= 0)
        return take_value(r, place, index, display, node);
    if (strcmp(path, "models") == 0)
        return take_models(r, node);
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
static void note_missing(struct ss_reading *r, const struct ss_yaml_node *base_map, bool of_model,
                         const char *display, const struct ss_seen *seen)
{
    char key[PATH_BYTES], expected[PATH_BYTES];

    if (ss_yaml_cut(r->yaml))
        return;
    for (size_t i = 0; i < ss_key_count; i++) {
        const struct ss_yaml_node *at = base_map, *below;
        const char *path = ss_keys[i].path, *dot;

        if (!ss_key_required(&ss_keys[i]) || ss_key_of_model(&ss_keys[i]) != of_model ||
            seen[i].node != NULL)
            continue;
        if (of_model)
            path += strlen(SS_MODELS_PATH ".");
        join(key, sizeof key, display, path);
        while ((dot = strchr(path, '.')) != NULL &&
               (below = ss_yaml_member(at, path, (size_t)(dot - path))) != NULL) {
            at = below;
            path = dot + 1;
        }
        if (at != NULL && at->kind == SS_YAML_REFUSED)
            continue;
        ss_mistakes_add(r->mistakes, at != NULL ? at->line : 1, at != NULL ? at->column : 1, key,
                        "found no such key, expected %s",
                        ss_key_expected(&ss_keys[i], expected, sizeof expected));
    }
}

static enum ss_status set_defaults(struct ss_reading *r, void *base, bool of_model)
{
    enum ss_status status = SS_OK;

    for (size_t i = 0; i < ss_key_count && status == SS_OK; i++) {
        const struct ss_key *key = &ss_keys[i];

        if (key->fallback == NULL || ss_key_of_model(key) != of_model)
            continue;
        if (key->type == SS_KEY_ENDPOINTS) {
            status = ss_strdup(&r->config->server.endpoints[0], key->fallback);
            r->config->server.endpoint_count = status == SS_OK;
        } else {
            status = ss_value_set(key, base, key->fallback, false, r->folder);
        }
    }
    return status;
}

static enum ss_status take_model(struct ss_reading *r, const struct ss_yaml_node *node)
{
    struct ss_config_model *model = &r->config->models[r->config->model_count];
    struct ss_seen seen[SS_KEYS_MAX] = {{NULL, false}};
    char display[32], found[SS_QUOTE_BYTES], names[NAMES_BYTES];
    struct place place = {SS_MODELS_PATH, display, model, node, seen};
    enum ss_status status;

    snprintf(display, sizeof display, "models[%d]", r->config->model_count);
    r->models[r->config->model_count++] = node;
    model->line = node->line;
    status = set_defaults(r, model, true);
    if (status != SS_OK || node->kind == SS_YAML_REFUSED)
        return status;
    if (node->kind != SS_YAML_MAP) {
        ss_mistakes_add(
            r->mistakes, node->line, node->column, display, "found %s, expected a model's keys: %s",
            describe(node, found, sizeof found), ss_key_names(SS_MODELS_PATH, names, sizeof names));
        return SS_OK;
    }
    status = take_map(r, &place);
    if (status == SS_OK)
        note_missing(r, node, true, display, seen);
    return status;
}

static enum ss_status take_models(struct ss_reading *r, const struct ss_yaml_node *list)
{
    char found[SS_QUOTE_BYTES];
    size_t count = 0;
    enum ss_status status;

    if (list->kind == SS_YAML_REFUSED)
        return SS_OK;
    if (list->kind != SS_YAML_LIST || list->first == NULL) {
        ss_mistakes_add(r->mistakes, list->line, list->column, "models",
                        "found %s, expected a list of models (- name: ...), one at least",
                        list->kind == SS_YAML_LIST ? "an empty list"
                                                   : describe(list, found, sizeof found));
        return SS_OK;
    }
    for (const struct ss_yaml_node *node = list->first; node != NULL; node = node->next)
        count++;
    if (count > SS_MODELS_MAX) {
        ss_mistakes_add(r->mistakes, list->line, list->column, "models",
                        "found %zu models, expected %d at most", count, SS_MODELS_MAX);
        return SS_OK;
    }
    status = ss_alloc(&r->config->models, count, sizeof *r->config->models, "the list of models");
    if (status == SS_OK)
        status = ss_alloc(&r->models, count, sizeof(const struct ss_yaml_node *),
                          "the places of the models");
    for (const struct ss_yaml_node *node = list->first;
         node != NULL && status == SS_OK && !ss_mistakes_full(r->mistakes); node = node->next)
        status = take_model(r, node);
    return status;
}

enum ss_status ss_walk(struct ss_reading *r)
{
    const struct ss_yaml_node *root = ss_yaml_root(r->yaml);
    struct place top = {"", "", r->config, root, r->seen};
    char found[SS_QUOTE_BYTES], names[NAMES_BYTES];
    enum ss_status status = set_defaults(r, r->config, false);

    if (status != SS_OK)
        return status;
    if (root == NULL || is_null(root)) {
        if (!ss_yaml_cut(r->yaml))
            ss_mistakes_add(r->mistakes, 0, 0, NULL,
                            "found an empty file, expected a configuration (see configs/llm.yaml)");
        return SS_OK;
    }
    if (root->kind != SS_YAML_MAP) {
        if (root->kind != SS_YAML_REFUSED)
            ss_mistakes_add(r->mistakes, root->line, root->column, NULL,
                            "found %s, expected keys: %s", describe(root, found, sizeof found),
                            ss_key_names("", names, sizeof names));
        return SS_OK;
    }
    status = take_map(r, &top);
    if (status != SS_OK)
        return status;
    note_missing(r, root, false, "", r->seen);
    if (ss_yaml_member(root, "models", strlen("models")) == NULL && !ss_yaml_cut(r->yaml))
        ss_mistakes_add(r->mistakes, 1, 1, "models",
                        "found no such key, expected a list of models (- name: ...), one at least");
    return SS_OK;
}
