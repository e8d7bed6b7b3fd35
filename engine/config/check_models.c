#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/config/checks.h"
#include "engine/config/quote.h"
#include "rpc/request.h"

#define FOUND_BYTES ((size_t)SS_QUOTE_BYTES * 3)
#define PATH_BYTES  4096

/* The line of entry INDEX's KEY; the entry's own where the key is not there. */
static int line_of(const struct ss_reading *r, int index, const char *key)
{
    const struct ss_yaml_node *node = ss_yaml_member(r->item_nodes[index], key, strlen(key));

    return node != NULL ? node->line : r->item_nodes[index]->line;
}

static void check_name(struct ss_reading *r, const struct ss_config_model *model, int index)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-/:";
    const char *name = model->name;
    char found[SS_QUOTE_BYTES];

    if (name != NULL && name[strspn(name, letters)] != '\0')
        ss_item_note(r, index, "name", "found %s, expected letters, digits and . _ - / : only",
                     ss_quote(name, found, sizeof found));
}

static void check_source(struct ss_reading *r, int index)
{
    static const char *const synthetic_keys[] = {"scale", "seed", "dtype", "count"};
    bool path = ss_item_has(r, index, "path"), synthetic = ss_item_has(r, index, "synthetic");

    if (path && synthetic)
        ss_item_note(r, index, "synthetic", "found beside path (line %d), expected one of the two",
                     line_of(r, index, "path"));
    else if (!path && !synthetic && r->item_nodes[index]->kind == SS_YAML_MAP &&
             !ss_yaml_cut(r->yaml))
        ss_item_note(r, index, "path", "found neither path nor synthetic, expected one of the two");
    if (synthetic)
        return;
    for (size_t i = 0; i < sizeof synthetic_keys / sizeof synthetic_keys[0]; i++)
        if (ss_item_has(r, index, synthetic_keys[i]))
            ss_item_note(r, index, synthetic_keys[i],
                         "found without synthetic, expected only beside synthetic");
}

static void check_folder(struct ss_reading *r, const struct ss_config_model *model, int index)
{
    const char *path = model->path;
    char found[FOUND_BYTES], config_file[PATH_BYTES];
    struct stat info;

    if (path == NULL)
        return;
    ss_quote(path, found, sizeof found);
    snprintf(config_file, sizeof config_file, "%s/config.json", path);
    if (stat(path, &info) != 0)
        ss_item_note(
            r, index, "path",
            "found %s, which does not exist or cannot be reached, expected a checkpoint's folder",
            found);
    else if (!S_ISDIR(info.st_mode))
        ss_item_note(r, index, "path",
                     "found %s, which is no folder, expected a checkpoint's folder", found);
    else if (access(config_file, R_OK) != 0)
        ss_item_note(r, index, "path",
                     "found %s, which has no readable config.json, expected a checkpoint's folder",
                     found);
}

static void check_tokenizer(struct ss_reading *r, const struct ss_config_model *model, int index)
{
    const char *tokenizer = model->tokenizer;
    char found[FOUND_BYTES];
    struct stat info;

    if (tokenizer == NULL)
        return;
    ss_quote(tokenizer, found, sizeof found);
    if (stat(tokenizer, &info) != 0 || !S_ISREG(info.st_mode) || access(tokenizer, R_OK) != 0)
        ss_item_note(r, index, "tokenizer",
                     "found %s, which is no readable file, expected a "
                     "tokenizer.json",
                     found);
}

static void check_batch(struct ss_reading *r, const struct ss_config_model *model, int index)
{
    const struct ss_config *config = r->base;

    if (model->batch_max > config->limits.slots_max)
        ss_item_note(r, index, "batch", "found %u, expected limits.slots (%u) at most",
                     model->batch_max, config->limits.slots_max);
    else if (model->batch_max > config->limits.step_tokens_max)
        ss_item_note(r, index, "batch", "found %u, expected limits.step_tokens (%u) at most",
                     model->batch_max, config->limits.step_tokens_max);
}

/* A count that can be expanded: to names that are not too long, and not to too many models. */
static bool check_count(struct ss_reading *r, const struct ss_config_model *model, int index,
                        uint64_t *total)
{
    char last[SS_MODEL_NAME_BYTES_MAX + 16];

    *total += model->count > 0 ? model->count : 1;
    if (*total > SS_MODELS_MAX) {
        ss_item_note(r, index, "count", "found %" PRIu64 " models up to here, expected %d at most",
                     *total, SS_MODELS_MAX);
        return false;
    }
    if (model->count == 0 || model->name == NULL)
        return true;
    if (snprintf(last, sizeof last, "%s-%u", model->name, model->count - 1) >
        SS_MODEL_NAME_BYTES_MAX) {
        ss_item_note(r, index, "name",
                     "found %zu bytes, with the number of the last of %u over %d, expected a "
                     "shorter name",
                     strlen(model->name), model->count, SS_MODEL_NAME_BYTES_MAX);
        return false;
    }
    return model->synthetic != NULL;
}

bool ss_check_entries(struct ss_reading *r, const struct ss_config_model *entries, int entry_count)
{
    uint64_t total = 0;
    bool good = true;

    for (int i = 0; i < entry_count; i++) {
        if (r->item_nodes[i]->kind != SS_YAML_MAP)
            continue;
        check_name(r, &entries[i], i);
        check_source(r, i);
        check_folder(r, &entries[i], i);
        check_tokenizer(r, &entries[i], i);
        check_batch(r, &entries[i], i);
        if (!check_count(r, &entries[i], i, &total))
            good = false;
    }
    return good;
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
void ss_check_names(struct ss_reading *r)
{
    const struct ss_config *config = r->base;
    struct named *names;
    size_t count = 0;

    if (ss_alloc(&names, (size_t)config->model_count, sizeof *names, "the models' names") !=
        SS_OK) {
        ss_mistakes_add(r->mistakes, 0, 0, NULL, "%s", ss_status_message());
        return;
    }
    for (int i = 0; i < config->model_count; i++)
        if (config->models[i].name != NULL)
            names[count++] = (struct named){config->models[i].name, config->models[i].entry};
    qsort(names, count, sizeof *names, compare_named);
    for (size_t i = 1, first = 0; i < count; i++) {
        char found[SS_QUOTE_BYTES];

        if (strcmp(names[i].name, names[first].name) != 0)
            first = i;
        else
            ss_item_note(r, names[i].index, "name",
                         "found %s, the name of models[%d] in line %d, expected another name",
                         ss_quote(names[i].name, found, sizeof found), names[first].index,
                         line_of(r, names[first].index, "name"));
    }
    ss_free(names);
}
