/* The plan that --check prints, and what it refuses. */
#include <inttypes.h>
#include <string.h>

#include "engine/serve/catalog.h"

/* Every rank keeps some of them for each peer. */
#define MESSAGE_BYTES_MAX ((size_t)64 << 20)

static const char *bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 32, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

/* What models that are never dropped take of a rank's pool. */
static uint64_t pinned_bytes(const struct ss_catalog *catalog, int stage)
{
    uint64_t bytes = 0;
    for (int i = 0; i < catalog->model_count; i++)
        if (catalog->models[i].config->pin)
            bytes += ss_catalog_shard_bytes(catalog, i, stage);
    return bytes;
}

/* True for the first of the models that one entry of the config stands for. */
static bool is_first(const struct ss_catalog *catalog, int index)
{
    return catalog->models[index].config->alike == index;
}

/* PINNED: as above; what the model itself takes of it is its shard. */
static bool fits(const struct ss_catalog *catalog, int index, int stage, uint64_t pinned,
                 FILE *mistakes)
{
    const struct ss_config *config = catalog->config;
    char need[32], shard[32], sequence[32], beside[32], pool[32];
    uint64_t shard_bytes = ss_catalog_shard_bytes(catalog, index, stage);
    uint64_t sequence_bytes = ss_catalog_sequence_bytes(catalog, index, stage);
    uint64_t pinned_beside = pinned - (config->models[index].pin ? shard_bytes : 0);
    uint64_t sum = shard_bytes + sequence_bytes + pinned_beside;
    if (sum <= config->device.pool_bytes)
        return true;
    fprintf(mistakes,
            "%s:%d: model %s: a rank of stage %d needs %s (shard %s, one sequence of %u tokens %s",
            config->path, config->models[index].line, config->models[index].name, stage,
            bytes_text(sum, need), bytes_text(shard_bytes, shard),
            catalog->models[index].context_max, bytes_text(sequence_bytes, sequence));
    if (pinned_beside)
        fprintf(mistakes, ", other models that are pinned %s", bytes_text(pinned_beside, beside));
    fprintf(mistakes, "), device.pool is %s\n", bytes_text(config->device.pool_bytes, pool));
    return false;
}

/* What a node with all ranks needs of the host, against the configured limit; what the machine has
 * is known when it starts. */
static enum ss_status check_arena(const struct ss_catalog *catalog, FILE *mistakes)
{
    const struct ss_config *config = catalog->config;
    char need[32], limit[32];
    uint64_t arena = 0;
    for (int stage = 0; stage < catalog->pp; stage++)
        arena += ss_catalog_arena_bytes(catalog, stage) * (uint64_t)catalog->tp;
    if (config->arena.limit_bytes && arena > config->arena.limit_bytes) {
        fprintf(mistakes, "%s: arena.limit: found %s, the models and the spill areas need %s\n",
                config->path, bytes_text(config->arena.limit_bytes, limit),
                bytes_text(arena, need));
        return ss_fail(SS_INVALID, "%s: arena.limit is too small", config->path);
    }
    if (ss_catalog_message_bytes_max(catalog) > MESSAGE_BYTES_MAX) {
        fprintf(mistakes,
                "%s: limits.batch: %u sequences that open at once with full prompts make a message "
                "of %s, the limit is %s: lower it, or the models' contexts\n",
                config->path, config->limits.batch_max,
                bytes_text(ss_catalog_message_bytes_max(catalog), need),
                bytes_text(MESSAGE_BYTES_MAX, limit));
        return ss_fail(SS_INVALID, "%s: limits.batch is too large", config->path);
    }
    return SS_OK;
}

enum ss_status ss_catalog_check(const struct ss_catalog *catalog, FILE *mistakes)
{
    uint64_t pinned[SS_STAGES_MAX];
    int wrong = 0;
    for (int stage = 0; stage < catalog->pp; stage++)
        pinned[stage] = pinned_bytes(catalog, stage);
    for (int i = 0; i < catalog->model_count; i++)
        for (int stage = 0; stage < catalog->pp && is_first(catalog, i); stage++)
            wrong += !fits(catalog, i, stage, pinned[stage], mistakes);
    if (wrong)
        return ss_fail(
            SS_INVALID,
            "%s: device.pool is too small: raise it, shorten a model's context, pin fewer "
            "models, or use more ranks",
            catalog->config->path);
    return check_arena(catalog, mistakes);
}

#define NAME_BYTES 320

/* A model's name; "opt-0 ... opt-9" for all of one entry. */
static const char *group_name(const struct ss_catalog *catalog, int index, char text[NAME_BYTES])
{
    int last = index;
    while (last + 1 < catalog->model_count && catalog->models[last + 1].config->alike == index)
        last++;
    if (last == index)
        return catalog->models[index].config->name;
    snprintf(text, NAME_BYTES, "%s ... %s", catalog->models[index].config->name,
             catalog->models[last].config->name);
    return text;
}

static void print_model(const struct ss_catalog *catalog, int index, FILE *file)
{
    const struct ss_catalog_model *model = &catalog->models[index];
    uint64_t total = 0;
    char text[32], name[NAME_BYTES];
    for (int stage = 0; stage < catalog->pp; stage++)
        total += model->images[stage].bytes * (uint64_t)catalog->tp;
    fprintf(file, "  %-20s %-6s %4s %3u layers  %10s  stages", group_name(catalog, index, name),
            model->shape.family->name, ss_dtype_name(model->shape.dtype), model->shape.layers,
            bytes_text(total, text));
    for (int stage = 0; stage < catalog->pp; stage++)
        fprintf(file, " %u",
                model->partition.first_layer[stage + 1] - model->partition.first_layer[stage]);
    if (model->config->synthetic && model->config->scale < 1)
        fprintf(file, "  (%s, %.0f%% of its layers)", model->config->synthetic,
                100 * model->config->scale);
    fprintf(file, "%s\n", model->config->pin ? "  pinned" : "");
}

/* How many of the models fit beside each other on every rank, smallest first. */
static int count_fitting(const struct ss_catalog *catalog)
{
    int best = catalog->model_count;
    for (int stage = 0; stage < catalog->pp; stage++) {
        uint64_t left = catalog->config->device.pool_bytes, last = 0;
        int fitting = 0;
        for (;;) {
            uint64_t next = UINT64_MAX;
            int same = 0;
            for (int i = 0; i < catalog->model_count; i++) {
                uint64_t bytes = ss_catalog_shard_bytes(catalog, i, stage);
                if (bytes > last && bytes < next)
                    next = bytes;
            }
            for (int i = 0; next != UINT64_MAX && i < catalog->model_count; i++)
                same += ss_catalog_shard_bytes(catalog, i, stage) == next;
            if (!same || next > left)
                break;
            uint64_t fit = left / next < (uint64_t)same ? left / next : (uint64_t)same;
            fitting += (int)fit;
            left -= fit * next;
            last = next;
        }
        best = fitting < best ? fitting : best;
    }
    return best;
}

void ss_catalog_print(const struct ss_catalog *catalog, FILE *file)
{
    const struct ss_config *config = catalog->config;
    char pool[32], page[32], each[32], name[NAME_BYTES];
    uint64_t arena = 0;
    fprintf(file, "%s: tp %d x pp %d = %d ranks, device %s, pool %s per rank in pages of %s\n",
            config->path, catalog->tp, catalog->pp, catalog->tp * catalog->pp, config->device.kind,
            bytes_text(config->device.pool_bytes, pool),
            bytes_text(config->device.page_bytes, page));
    fprintf(file, "models:\n");
    for (int i = 0; i < catalog->model_count; i++)
        if (is_first(catalog, i))
            print_model(catalog, i, file);
    fprintf(file, "bytes per rank:\n  %-20s", "");
    for (int stage = 0; stage < catalog->pp; stage++)
        fprintf(file, "  stage %-6d", stage);
    fprintf(file, "\n");
    for (int i = 0; i < catalog->model_count; i++) {
        if (!is_first(catalog, i))
            continue;
        fprintf(file, "  %-20s", group_name(catalog, i, name));
        for (int stage = 0; stage < catalog->pp; stage++)
            fprintf(file, "  %-12s", bytes_text(ss_catalog_shard_bytes(catalog, i, stage), each));
        fprintf(file, "\n");
    }
    fprintf(file, "  %-20s", "longest sequence");
    for (int stage = 0; stage < catalog->pp; stage++) {
        uint64_t longest = 0;
        for (int i = 0; i < catalog->model_count; i++) {
            uint64_t bytes = ss_catalog_sequence_bytes(catalog, i, stage);
            longest = bytes > longest ? bytes : longest;
        }
        fprintf(file, "  %-12s", bytes_text(longest, each));
        arena += ss_catalog_arena_bytes(catalog, stage) * (uint64_t)catalog->tp;
    }
    fprintf(file, "\nhost arena: %s\n", bytes_text(arena, each));
    fprintf(file, "fits at once: %d of %d models (weights alone, smallest first)\n",
            count_fitting(catalog), catalog->model_count);
}
