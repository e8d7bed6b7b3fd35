#include "engine/config/yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "pipeline/text/utf8.h"

#define NODES_PER_BLOCK 128
#define KEY_BYTES_MAX   256
#define PATH_BYTES      160

struct block {
    struct block *next;
    size_t used;
    struct ss_yaml_node nodes[NODES_PER_BLOCK];
};

struct ss_yaml {
    struct block *blocks;
    size_t node_count;
    struct ss_yaml_node *root;
    bool cut;
};

/* What is being built: the open maps and lists, and the key that waits for its value. */
struct builder {
    struct ss_yaml *yaml;
    struct ss_mistakes *mistakes;
    struct ss_yaml_node *open[SS_YAML_DEPTH_MAX];
    int depth;
    char *key;
    int key_line, key_column;
    int line, column; /* of the current event */
    int documents;
    bool stop;
};

static void stop_at(struct builder *b, const char *what)
{
    ss_mistakes_add(b->mistakes, b->line, b->column, NULL, "%s", what);
    b->yaml->cut = true;
    b->stop = true;
}

static enum ss_status node_create(struct builder *b, enum ss_yaml_kind kind,
                                  struct ss_yaml_node **out)
{
    struct ss_yaml *yaml = b->yaml;
    struct ss_yaml_node *node;
    enum ss_status status;

    if (yaml->blocks == NULL || yaml->blocks->used == NODES_PER_BLOCK) {
        struct block *block;

        status = ss_alloc(&block, 1, sizeof *block, "the configuration's tree");
        if (status != SS_OK)
            return status;
        block->next = yaml->blocks;
        yaml->blocks = block;
    }
    node = &yaml->blocks->nodes[yaml->blocks->used++];
    yaml->node_count++;
    node->kind = kind;
    node->line = b->line;
    node->column = b->column;
    *out = node;
    return SS_OK;
}

/* Hangs NODE, with the waiting key if its parent is a map, where it belongs. */
static void attach(struct builder *b, struct ss_yaml_node *node)
{
    struct ss_yaml_node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;

    if (parent == NULL) {
        b->yaml->root = node;
        return;
    }
    if (parent->kind == SS_YAML_MAP) {
        node->key = b->key;
        node->key_line = b->key_line;
        node->key_column = b->key_column;
        b->key = NULL;
    }
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
}

static bool expects_key(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == SS_YAML_MAP && b->key == NULL;
}

static enum ss_status copy_text(const char *text, size_t bytes, char **out)
{
    char *copy;
    enum ss_status status = ss_alloc(&copy, bytes + 1, 1, "the configuration's text");

    if (status != SS_OK)
        return status;
    memcpy(copy, text, bytes);
    *out = copy;
    return SS_OK;
}

/* Appends where NODE stands in PARENT (null for the root) to the path in OUT: ".key" or "[2]". */
static size_t append_step(const struct ss_yaml_node *parent, const struct ss_yaml_node *node,
                          char *out, size_t used, size_t bytes)
{
    int index = 0;

    if (parent == NULL || used >= bytes)
        return used;
    if (parent->kind == SS_YAML_MAP)
        return used +
               (size_t)snprintf(out + used, bytes - used, "%s%s", used > 0 ? "." : "", node->key);
    for (const struct ss_yaml_node *other = parent->first; other != node; other = other->next)
        index++;
    return used + (size_t)snprintf(out + used, bytes - used, "[%d]", index);
}

/* Notes NODE, just attached, as wrong, by its path. */
static void note_node(struct builder *b, const struct ss_yaml_node *node, const char *what)
{
    char path[PATH_BYTES] = "";
    size_t used = 0;

    if (!ss_mistakes_full(b->mistakes)) {
        for (int i = 1; i < b->depth; i++)
            used = append_step(b->open[i - 1], b->open[i], path, used, sizeof path);
        append_step(b->depth > 0 ? b->open[b->depth - 1] : NULL, node, path, used, sizeof path);
    }
    ss_mistakes_add(b->mistakes, b->line, b->column, path[0] != '\0' ? path : NULL, "%s", what);
}

static enum ss_status take_scalar(struct builder *b, struct fy_event *event)
{
    struct ss_yaml_node *node;
    enum ss_status status;
    size_t bytes = 0;
    const char *text = fy_token_get_text(event->scalar.value, &bytes);

    if (text == NULL)
        bytes = 0;
    if (bytes > 0 && memchr(text, '\0', bytes) != NULL) {
        stop_at(b, "found a NUL character, expected text");
        return SS_OK;
    }
    if (expects_key(b)) {
        if (bytes == 0 || bytes > KEY_BYTES_MAX) {
            stop_at(b, bytes == 0 ? "found an empty key, expected a name before the colon"
                                  : "found a key of over 256 bytes, expected a short name");
            return SS_OK;
        }
        b->key_line = b->line;
        b->key_column = b->column;
        return copy_text(text, bytes, &b->key);
    }
    status = node_create(b, SS_YAML_SCALAR, &node);
    if (status != SS_OK)
        return status;
    node->quoted =
        event->scalar.value != NULL && fy_token_scalar_style(event->scalar.value) != FYSS_PLAIN;
    attach(b, node);
    if (event->scalar.tag != NULL)
        note_node(b, node, "found a tag (!...), expected a plain value: tags are not used here");
    return copy_text(text, bytes, &node->text);
}

static enum ss_status take_alias(struct builder *b)
{
    struct ss_yaml_node *node;
    enum ss_status status;

    b->column -= b->column > 1; /* the mark stands behind the asterisk */
    if (expects_key(b)) {
        stop_at(b, "found an alias (*...) as a key, expected a name: aliases are not used here");
        return SS_OK;
    }
    status = node_create(b, SS_YAML_REFUSED, &node);
    if (status != SS_OK)
        return status;
    attach(b, node);
    note_node(b, node,
              "found an alias (*...), expected the value itself: aliases are not used here");
    return SS_OK;
}

static enum ss_status open_collection(struct builder *b, enum ss_yaml_kind kind)
{
    struct ss_yaml_node *node;
    enum ss_status status;

    if (expects_key(b)) {
        stop_at(b, "found a map or a list as a key, expected a name before the colon");
        return SS_OK;
    }
    if (b->depth == SS_YAML_DEPTH_MAX) {
        stop_at(b, "found values nested over 16 deep, expected 3 at most");
        return SS_OK;
    }
    status = node_create(b, kind, &node);
    if (status != SS_OK)
        return status;
    attach(b, node);
    b->open[b->depth++] = node;
    return SS_OK;
}

/* libfyaml counts from 0, and gives no mark for what was left empty: the last place stands. */
static void note_place(struct builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);

    if (mark != NULL) {
        b->line = mark->line + 1;
        b->column = mark->column + 1;
    }
}

static enum ss_status take_event(struct builder *b, struct fy_event *event)
{
    note_place(b, event);
    if (b->yaml->node_count >= SS_YAML_NODES_MAX) {
        stop_at(b, "found over 200000 values, expected a configuration");
        return SS_OK;
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (b->documents++ > 0)
            stop_at(b, "found a second document (---), expected one only");
        return SS_OK;
    case FYET_SCALAR:
        return take_scalar(b, event);
    case FYET_ALIAS:
        return take_alias(b);
    case FYET_MAPPING_START:
        return open_collection(b, SS_YAML_MAP);
    case FYET_SEQUENCE_START:
        return open_collection(b, SS_YAML_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        b->depth--;
        return SS_OK;
    default:
        return SS_OK;
    }
}

/* The parser's own complaints; the first is the one to mend, the others follow from it. */
static void note_syntax(struct builder *b, struct fy_diag *diag)
{
    void *cursor = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &cursor);

    b->yaml->cut = true;
    if (error != NULL && error->msg != NULL)
        ss_mistakes_add(b->mistakes, error->line > 0 ? error->line : b->line,
                        error->column > 0 ? error->column : 1, NULL,
                        "found what is not YAML (%s), expected YAML; keys from here on were not "
                        "read",
                        error->msg);
    else
        ss_mistakes_add(b->mistakes, b->line, b->column, NULL,
                        "found what is not YAML, expected YAML; keys from here on were not read");
}

static enum ss_status parse_events(struct builder *b, struct fy_parser *parser,
                                   struct fy_diag *diag)
{
    enum ss_status status = SS_OK;
    struct fy_event *event;

    while (status == SS_OK && !b->stop && (event = fy_parser_parse(parser)) != NULL) {
        status = take_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (status == SS_OK && !b->stop && fy_parser_get_stream_error(parser))
        note_syntax(b, diag);
    return status;
}

/* Notes the first byte that cannot stand in a text file; false if there is one. */
static bool check_characters(const char *text, size_t bytes, struct builder *b)
{
    size_t good = ss_utf8_whole_bytes((const uint8_t *)text, bytes);
    const char *nul = memchr(text, '\0', good), *line_start = text;

    if (nul != NULL)
        good = (size_t)(nul - text);
    if (good == bytes)
        return true;
    b->line = 1;
    for (const char *at = text; at < text + good; at++) {
        if (*at == '\n') {
            b->line++;
            line_start = at + 1;
        }
    }
    b->column = (int)(text + good - line_start) + 1;
    stop_at(b, nul != NULL ? "found a NUL byte, expected text in UTF-8"
                           : "found bytes that are not UTF-8, expected text in UTF-8");
    return false;
}

static enum ss_status parse_text(struct builder *b, const char *text, size_t bytes)
{
    struct fy_diag_cfg diag_options;
    struct fy_diag *diag;
    struct fy_parser *parser = NULL;
    enum ss_status status = SS_NO_MEMORY;

    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL;
    diag = fy_diag_create(&diag_options);
    if (diag == NULL)
        return ss_fail(SS_NO_MEMORY, "no memory to parse YAML with");
    fy_diag_set_collect_errors(diag, true);
    parser = fy_parser_create(&(struct fy_parse_cfg){
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE,
        .diag = diag,
    });
    if (parser == NULL || fy_parser_set_string(parser, text, bytes) != 0)
        status = ss_fail(SS_NO_MEMORY, "no memory to parse YAML with");
    else
        status = parse_events(b, parser, diag);
    if (parser != NULL)
        fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return status;
}

enum ss_status ss_yaml_parse(const char *text, size_t bytes, struct ss_mistakes *mistakes,
                             struct ss_yaml **out)
{
    struct builder b = {.mistakes = mistakes, .line = 1, .column = 1};
    enum ss_status status = ss_alloc(&b.yaml, 1, sizeof *b.yaml, "the configuration's tree");

    if (status != SS_OK)
        return status;
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
        bytes -= 3;
    }
    if (bytes > 0 && check_characters(text, bytes, &b))
        status = parse_text(&b, text, bytes);
    ss_free(b.key);
    if (status != SS_OK) {
        ss_yaml_destroy(b.yaml);
        return status;
    }
    *out = b.yaml;
    return SS_OK;
}

void ss_yaml_destroy(struct ss_yaml *yaml)
{
    if (yaml == NULL)
        return;
    while (yaml->blocks != NULL) {
        struct block *block = yaml->blocks;

        for (size_t i = 0; i < block->used; i++) {
            ss_free(block->nodes[i].text);
            ss_free(block->nodes[i].key);
        }
        yaml->blocks = block->next;
        ss_free(block);
    }
    ss_free(yaml);
}

const struct ss_yaml_node *ss_yaml_root(const struct ss_yaml *yaml)
{
    return yaml->root;
}

bool ss_yaml_cut(const struct ss_yaml *yaml)
{
    return yaml->cut;
}

const struct ss_yaml_node *ss_yaml_member(const struct ss_yaml_node *map, const char *key,
                                          size_t key_bytes)
{
    if (map == NULL || map->kind != SS_YAML_MAP)
        return NULL;
    for (const struct ss_yaml_node *node = map->first; node != NULL; node = node->next)
        if (node->key != NULL && strlen(node->key) == key_bytes &&
            memcmp(node->key, key, key_bytes) == 0)
            return node;
    return NULL;
}
