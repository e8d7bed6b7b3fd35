#include "engine/config/config.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/config/checks.h"
#include "engine/config/document.h"
#include "engine/config/read_text.h"
#include "rpc/request.h"

void ss_config_destroy(struct ss_config *config)
{
    if (config == NULL)
        return;
    ss_document_release_items(&ss_config_schema, config->models, config->model_count);
    ss_document_release(&ss_config_schema, config);
    ss_free(config->path);
    ss_free(config);
}

/* The models of one entry with a count: NAME-0, NAME-1, ... with seeds counting up. */
static enum ss_status expand_entry(const struct ss_config_model *entry, struct ss_config *config)
{
    char name[SS_MODEL_NAME_BYTES_MAX + 16];
    enum ss_status status = SS_OK;
    int first = config->model_count;

    for (uint32_t i = 0; i < entry->count && status == SS_OK; i++) {
        struct ss_config_model *model = &config->models[config->model_count++];

        *model = *entry;
        model->name = model->path = model->synthetic = model->dtype = model->tokenizer = NULL;
        model->seed += i;
        model->alike = first;
        snprintf(name, sizeof name, "%s-%u", entry->name, i);
        status = ss_strdup(&model->name, name);
        if (status == SS_OK)
            status = ss_strdup(&model->synthetic, entry->synthetic);
        if (status == SS_OK && entry->dtype != NULL)
            status = ss_strdup(&model->dtype, entry->dtype);
        if (status == SS_OK && entry->tokenizer != NULL)
            status = ss_strdup(&model->tokenizer, entry->tokenizer);
    }
    return status;
}

/* Entries of the list to models. Takes ENTRIES; on failure the config has what was made so far. */
static enum ss_status expand_models(struct ss_config *config, struct ss_config_model *entries,
                                    int entry_count)
{
    size_t total = 0;
    enum ss_status status;

    for (int i = 0; i < entry_count; i++)
        total += entries[i].count > 0 ? entries[i].count : 1;
    status = ss_alloc(&config->models, total, sizeof *config->models, "the list of models");
    for (int i = 0; i < entry_count && status == SS_OK; i++) {
        if (entries[i].count > 0) {
            status = expand_entry(&entries[i], config);
        } else {
            config->models[config->model_count] = entries[i];
            config->models[config->model_count].alike = config->model_count;
            config->model_count++;
            entries[i] = (struct ss_config_model){0};
        }
    }
    return status;
}

static enum ss_status finish(struct ss_reading *reading)
{
    struct ss_config *config = reading->base;
    struct ss_config_model *entries = reading->items;
    int entry_count = reading->item_count;
    enum ss_status status = SS_OK;

    reading->items = NULL;
    for (int i = 0; i < entry_count; i++) {
        entries[i].line = reading->item_nodes[i]->line;
        entries[i].entry = i;
    }
    ss_fill_defaults(reading);
    ss_check(reading);
    if (ss_check_entries(reading, entries, entry_count) && entry_count > 0)
        status = expand_models(config, entries, entry_count);
    if (status == SS_OK && config->model_count > 1)
        ss_check_names(reading);
    ss_document_release_items(&ss_config_schema, entries, entry_count);
    return status;
}

static enum ss_status read_from(const struct ss_document_source *from, FILE *mistakes,
                                struct ss_config **out)
{
    struct ss_config *config;
    enum ss_status status = ss_alloc(&config, 1, sizeof *config, "a configuration");

    if (status != SS_OK)
        return status;
    status = ss_strdup(&config->path, from->path);
    if (status == SS_OK)
        status = ss_document_read(&ss_config_schema, from, mistakes, config, finish);
    if (status == SS_OK)
        *out = config;
    else
        ss_config_destroy(config);
    return status;
}

enum ss_status ss_config_read_text(const char *path, const char *folder, const char *text,
                                   size_t bytes, FILE *mistakes, struct ss_config **out)
{
    return read_from(
        &(struct ss_document_source){.path = path, .folder = folder, .text = text, .bytes = bytes},
        mistakes, out);
}

enum ss_status ss_config_read(const char *path, FILE *mistakes, struct ss_config **out)
{
    return read_from(&(struct ss_document_source){.path = path}, mistakes, out);
}
