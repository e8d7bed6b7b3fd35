#include "engine/serve/tokenizers.h"

#include <limits.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/memory.h"

static enum ss_status open_one(const struct ss_catalog_model *model, struct ss_tokenizer **out)
{
    char path[PATH_MAX];
    struct ss_tokenizer *tokenizer;
    if (model->config->tokenizer)
        snprintf(path, sizeof path, "%s", model->config->tokenizer);
    else if (model->config->path)
        snprintf(path, sizeof path, "%s/tokenizer.json", model->config->path);
    if (!model->config->tokenizer && (!model->config->path || access(path, F_OK) != 0))
        return SS_OK;
    enum ss_status status = ss_tokenizer_open(path, &tokenizer);
    if (status == SS_UNSUPPORTED) {
        SS_WARNING("model %s takes token ids only: %s", model->config->name, ss_status_message());
        return SS_OK;
    }
    if (status)
        return status;
    uint32_t ids = ss_tokenizer_vocab_size(tokenizer);
    if (ids > model->shape.vocab) {
        ss_tokenizer_close(tokenizer);
        return ss_fail(SS_INVALID, "%s has ids up to %u, the model's vocab_size is %u", path,
                       ids - 1, model->shape.vocab);
    }
    *out = tokenizer;
    return SS_OK;
}

enum ss_status ss_tokenizers_open(const struct ss_catalog *catalog, FILE *mistakes,
                                  struct ss_tokenizer ***out)
{
    struct ss_tokenizer **tokenizers;
    int wrong = 0;
    enum ss_status last = SS_OK;
    enum ss_status status =
        ss_alloc(&tokenizers, (size_t)catalog->model_count, sizeof *tokenizers, "tokenizers");
    if (status)
        return status;
    for (int i = 0; i < catalog->model_count; i++) {
        const struct ss_config_model *model = catalog->models[i].config;
        status = open_one(&catalog->models[i], &tokenizers[i]);
        if (!status)
            continue;
        fprintf(mistakes, "%s:%d: model %s: %s\n", catalog->config->path, model->line, model->name,
                ss_status_message());
        last = status;
        wrong++;
    }
    if (wrong) {
        ss_tokenizers_close(tokenizers, catalog);
        return ss_fail(last, "%s: the tokenizers of %d of %d models cannot be used",
                       catalog->config->path, wrong, catalog->model_count);
    }
    *out = tokenizers;
    return SS_OK;
}

void ss_tokenizers_close(struct ss_tokenizer **tokenizers, const struct ss_catalog *catalog)
{
    for (int i = 0; tokenizers && i < catalog->model_count; i++)
        ss_tokenizer_close(tokenizers[i]);
    ss_free(tokenizers);
}
