#include "tests/golden/golden.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"

static enum ss_status read_values(const char *json_path, const char *name, struct golden *golden)
{
    char path[PATH_MAX];
    const char *slash = strrchr(json_path, '/');
    snprintf(path, sizeof path, "%.*s/%s", (int)(slash - json_path), json_path, name);
    FILE *file = fopen(path, "rbe");
    if (!file)
        return ss_fail(SS_IO, "%s cannot be opened", path);
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    rewind(file);
    enum ss_status status = ss_alloc(&golden->values, 1, (size_t)bytes, "golden logits");
    if (!status && fread(golden->values, 1, (size_t)bytes, file) != (size_t)bytes)
        status = ss_fail(SS_IO, "%s cannot be read", path);
    fclose(file);
    return status;
}

static enum ss_status read_prompt(const json_t *json, const struct golden *golden,
                                  struct golden_prompt *prompt)
{
    const json_t *ids = json_object_get(json, "prompt_ids");
    const json_t *greedy = json_object_get(json, "greedy_ids");
    const json_t *logits = json_object_get(json, "logits");
    prompt->count = (uint32_t)json_array_size(ids);
    if (!prompt->count || json_array_size(greedy) != GOLDEN_TOKENS || json_array_size(logits) > 8)
        return ss_fail(SS_INVALID, "a golden prompt is not as README.md says");
    enum ss_status status =
        ss_alloc(&prompt->ids, prompt->count, sizeof *prompt->ids, "golden prompt");
    if (!status)
        status = ss_strdup(&prompt->name, json_string_value(json_object_get(json, "name")));
    if (status)
        return status;
    for (uint32_t i = 0; i < prompt->count; i++)
        prompt->ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    for (uint32_t i = 0; i < GOLDEN_TOKENS; i++)
        prompt->greedy[i] = (int32_t)json_integer_value(json_array_get(greedy, i));
    prompt->logits_count = (int)json_array_size(logits);
    for (int i = 0; i < prompt->logits_count; i++) {
        const json_t *item = json_array_get(logits, (size_t)i);
        prompt->logits[i].generated =
            (uint32_t)json_integer_value(json_object_get(item, "generated"));
        prompt->logits[i].values =
            golden->values +
            json_integer_value(json_object_get(item, "offset_bytes")) / (json_int_t)sizeof(float);
    }
    return SS_OK;
}

enum ss_status golden_read(const char *path, struct golden *out)
{
    struct golden golden = {0};
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!root)
        return ss_fail(SS_INVALID, "%s:%d: %s", path, error.line, error.text);
    const json_t *prompts = json_object_get(root, "prompts");
    size_t count = json_array_size(prompts);
    golden.vocab = (uint32_t)json_integer_value(json_object_get(root, "vocab_size"));
    enum ss_status status =
        read_values(path, json_string_value(json_object_get(root, "logits_file")), &golden);
    if (!status)
        status = ss_alloc(&golden.prompts, count, sizeof *golden.prompts, "golden prompts");
    for (size_t i = 0; i < count && !status; i++) {
        golden.prompt_count++;
        status = read_prompt(json_array_get(prompts, i), &golden, &golden.prompts[i]);
    }
    json_decref(root);
    if (status)
        golden_release(&golden);
    else
        *out = golden;
    return status;
}

void golden_release(struct golden *golden)
{
    for (int i = 0; i < golden->prompt_count; i++) {
        ss_free(golden->prompts[i].ids);
        ss_free(golden->prompts[i].name);
    }
    ss_free(golden->prompts);
    ss_free(golden->values);
}

bool golden_near_tie(const float *logits, uint32_t vocab, int32_t expected, double tolerance)
{
    uint32_t best = 0;
    double squares = 0;
    for (uint32_t v = 0; v < vocab; v++) {
        best = logits[v] > logits[best] ? v : best;
        squares += (double)logits[v] * logits[v];
    }
    return best != (uint32_t)expected &&
           logits[best] - logits[expected] <= 2 * tolerance * sqrt(squares / vocab);
}
