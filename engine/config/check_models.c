#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/config/checks.h"
#include "engine/config/quote.h"

#define FOUND_BYTES ((size_t)SS_QUOTE_BYTES * 3)
#define PATH_BYTES  4096

/* The node of model INDEX's KEY; the model's own where the key is not there. */
static const struct ss_yaml_node *node_of(const struct ss_reading *r, int index, const char *key)
{
    const struct ss_yaml_node *node = ss_yaml_member(r->models[index], key, strlen(key));

    return node != NULL ? node : r->models[index];
}

static bool has(const struct ss_reading *r, int index, const char *key)
{
    return ss_yaml_member(r->models[index], key, strlen(key)) != NULL;
}

__attribute__((format(printf, 4, 5))) static void note(struct ss_reading *r, int index,
                                                       const char *key, const char *format, ...)
{
    const struct ss_yaml_node *node = node_of(r, index, key);
    char path[64], text[512];
    va_list arguments;

    snprintf(path, sizeof path, "models[%d].%s", index, key);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ss_mistakes_add(r->mistakes, node->line, node->column, path, "%s", text);
}

static void check_name(struct ss_reading *r, int index)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-/:";
    const char *name = r->config->models[index].name;
    char found[SS_QUOTE_BYTES];

    if (name != NULL && name[strspn(name, letters)] != '\0')
        note(r, index, "name", "found %s, expected letters, digits and . _ - / : only",
             ss_quote(name, found, sizeof found));
}

struct named {
    const char *name;
    int index;
};

static int compare_named(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* Sorted rather than pair by pair: there may be thousands of models. */
static void check_unique(struct ss_reading *r)
{
    struct named *names;
    size_t count = 0;

    if (ss_alloc(&names, (size_t)r->config->model_count, sizeof *names, "the models' names") !=
        SS_OK) {
        ss_mistakes_add(r->mistakes, 0, 0, NULL, "%s", ss_status_message());
        return;
    }
    for (int i = 0; i < r->config->model_count; i++)
        if (r->config->models[i].name != NULL)
            names[count++] = (struct named){r->config->models[i].name, i};
    qsort(names, count, sizeof *names, compare_named);
    for (size_t i = 1, first = 0; i < count; i++) {
        char found[SS_QUOTE_BYTES];

        if (strcmp(names[i].name, names[first].name) != 0)
            first = i;
        else
            note(r, names[i].index, "name",
                 "found %s, the name of models[%d] in line %d, expected another name",
                 ss_quote(names[i].name, found, sizeof found), names[first].index,
                 node_of(r, names[first].index, "name")->line);
    }
    ss_free(names);
}

static void check_source(struct ss_reading *r, int index)
{
    static const char *const synthetic_keys[] = {"scale", "seed", "dtype"};
    bool path = has(r, index, "path"), synthetic = has(r, index, "synthetic");

    if (path && synthetic)
        note(r, index, "synthetic", "found beside path (line %d), expected one of the two",
             node_of(r, index, "path")->line);
    else if (!path && !synthetic && r->models[index]->kind == SS_YAML_MAP && !ss_yaml_cut(r->yaml))
        note(r, index, "path", "found neither path nor synthetic, expected one of the two");
    if (synthetic)
        return;
    for (size_t i = 0; i < sizeof synthetic_keys / sizeof synthetic_keys[0]; i++)
        if (has(r, index, synthetic_keys[i]))
            note(r, index, synthetic_keys[i],
                 "found without synthetic, expected only beside synthetic");
}

static void check_folder(struct ss_reading *r, int index)
{
    const char *path = r->config->models[index].path;
    char found[FOUND_BYTES], config_file[PATH_BYTES];
    struct stat info;

    if (path == NULL)
        return;
    ss_quote(path, found, sizeof found);
    snprintf(config_file, sizeof config_file, "%s/config.json", path);
    if (stat(path, &info) != 0)
        note(r, index, "path",
             "found %s, which does not exist or cannot be reached, expected a checkpoint's folder",
             found);
    else if (!S_ISDIR(info.st_mode))
        note(r, index, "path", "found %s, which is no folder, expected a checkpoint's folder",
             found);
    else if (access(config_file, R_OK) != 0)
        note(r, index, "path",
             "found %s, which has no readable config.json, expected a checkpoint's folder", found);
}

static void check_tokenizer(struct ss_reading *r, int index)
{
    const char *tokenizer = r->config->models[index].tokenizer;
    char found[FOUND_BYTES];
    struct stat info;

    if (tokenizer == NULL)
        return;
    ss_quote(tokenizer, found, sizeof found);
    if (stat(tokenizer, &info) != 0 || !S_ISREG(info.st_mode) || access(tokenizer, R_OK) != 0)
        note(r, index, "tokenizer",
             "found %s, which is no readable file, expected a "
             "tokenizer.json",
             found);
}

static void check_batch(struct ss_reading *r, int index)
{
    const struct ss_config *config = r->config;

    if (config->models[index].batch_max > config->limits.slots_max)
        note(r, index, "batch", "found %u, expected limits.slots (%u) at most",
             config->models[index].batch_max, config->limits.slots_max);
    else if (config->models[index].batch_max > config->limits.step_tokens_max)
        note(r, index, "batch", "found %u, expected limits.step_tokens (%u) at most",
             config->models[index].batch_max, config->limits.step_tokens_max);
}

void ss_check_models(struct ss_reading *r)
{
    for (int i = 0; i < r->config->model_count; i++) {
        if (r->models[i]->kind != SS_YAML_MAP)
            continue;
        check_name(r, i);
        check_source(r, i);
        check_folder(r, i);
        check_tokenizer(r, i);
        check_batch(r, i);
    }
    if (r->config->model_count > 1)
        check_unique(r);
}
