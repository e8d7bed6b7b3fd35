#include "engine/serve/catalog.h"

#include <string.h>

#include "engine/base/memory.h"
#include "engine/serve/costs.h"
#include "swap/fill.h"

#define SHARD_ALIGN 4096u

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static enum ss_dtype dtype_of(const char *text)
{
    if (text && strcmp(text, "f32") == 0)
        return SS_F32;
    return text && strcmp(text, "bf16") == 0 ? SS_BF16 : SS_F16;
}

/* CHECKPOINT stays null for a synthetic model; else it is the caller's, whatever is returned. */
static enum ss_status read_shape(struct ss_catalog_model *model, struct ss_checkpoint **checkpoint)
{
    const struct ss_config_model *config = model->config;
    if (config->synthetic)
        return ss_shape_synthetic(config->synthetic, config->scale, dtype_of(config->dtype),
                                  &model->shape);
    enum ss_status status = ss_shape_read(config->path, &model->shape);
    if (status)
        return status;
    status = ss_checkpoint_open(config->path, checkpoint);
    return status ? status : ss_shape_settle(&model->shape, *checkpoint);
}

static enum ss_status measure_stage(const struct ss_catalog *catalog,
                                    struct ss_catalog_model *model, int stage)
{
    const struct ss_config *config = catalog->config;
    uint64_t page = config->device.page_bytes;
    struct ss_image *image = &model->images[stage];
    enum ss_status status = ss_partition_image(&model->partition, &model->shape, stage, 0, image);
    if (status)
        return status;
    size_t chunks = (size_t)image->chunk_count;
    status = ss_alloc(&model->chunk_pages[stage], chunks, sizeof(uint32_t), "chunk pages");
    if (!status)
        status = ss_alloc(&model->chunk_bytes[stage], chunks, sizeof(uint64_t), "chunk bytes");
    if (status)
        return status;
    for (size_t i = 0; i < chunks; i++) {
        model->chunk_bytes[stage][i] = image->chunks[i].bytes;
        model->chunk_pages[stage][i] = (uint32_t)(round_up(image->chunks[i].bytes, page) / page);
    }
    uint64_t layers = model->partition.first_layer[stage + 1] - model->partition.first_layer[stage];
    model->kv_block_bytes[stage] =
        layers * config->kv_block_tokens *
        ss_kv_bytes_per_token_layer(&model->shape, catalog->tp, catalog->activation_bytes);
    model->kv_block_pages[stage] = (uint32_t)(round_up(model->kv_block_bytes[stage], page) / page);
    return SS_OK;
}

static enum ss_status cut_model(const struct ss_catalog *catalog, struct ss_catalog_model *model)
{
    const struct ss_config_model *config = model->config;
    enum ss_status status =
        ss_partition_make(&model->shape, catalog->tp, catalog->pp, &model->partition);
    if (status)
        return status;
    if (config->context_max > model->shape.positions)
        return ss_fail(SS_INVALID, "context: found %u, the model was made for %u tokens at most",
                       config->context_max, model->shape.positions);
    model->context_max = config->context_max ? config->context_max : model->shape.positions;
    model->batch_max = config->batch_max ? config->batch_max : catalog->config->limits.batch_max;
    for (int stage = 0; stage < catalog->pp && !status; stage++)
        status = measure_stage(catalog, model, stage);
    return status;
}

static enum ss_status open_model(const struct ss_catalog *catalog, struct ss_catalog_model *model)
{
    struct ss_checkpoint *checkpoint = 0;
    enum ss_status status = read_shape(model, &checkpoint);
    if (!status)
        status = cut_model(catalog, model);
    /* The first rank of each stage stands for its peers: they cut the same tensors. */
    for (int stage = 0; stage < catalog->pp && checkpoint && !status; stage++)
        status = ss_image_check(&model->images[stage], checkpoint);
    if (checkpoint)
        ss_checkpoint_close(checkpoint);
    return status;
}

/* One shard after the other. */
static void lay_out(struct ss_catalog *catalog)
{
    for (int i = 0; i < catalog->model_count; i++)
        for (int stage = 0; stage < catalog->pp; stage++) {
            struct ss_catalog_model *model = &catalog->models[i];
            model->arena_offset[stage] = catalog->shards_bytes[stage];
            catalog->shards_bytes[stage] += round_up(model->images[stage].bytes, SHARD_ALIGN);
        }
}

enum ss_status ss_catalog_open(const struct ss_config *config, FILE *mistakes,
                               struct ss_catalog **out)
{
    struct ss_catalog *catalog;
    int wrong = 0;
    enum ss_status last = SS_OK;
    enum ss_status status = ss_alloc(&catalog, 1, sizeof *catalog, "catalog");
    if (status)
        return status;
    catalog->config = config;
    catalog->tp = config->group.tp;
    catalog->pp = config->group.pp;
    catalog->activation_bytes = strcmp(config->device.kind, "cpu") == 0 ? 4 : 2;
    status =
        ss_alloc(&catalog->models, (size_t)config->model_count, sizeof *catalog->models, "catalog");
    if (status)
        goto fail;
    catalog->model_count = config->model_count;
    for (int i = 0; i < config->model_count; i++) {
        int alike = config->models[i].alike;
        if (alike < i)
            catalog->models[i] = catalog->models[alike];
        catalog->models[i].config = &config->models[i];
        if (alike < i)
            continue;
        status = open_model(catalog, &catalog->models[i]);
        if (status) {
            fprintf(mistakes, "%s:%d: model %s: %s\n", config->path, config->models[i].line,
                    config->models[i].name, ss_status_message());
            last = status;
            wrong += config->models[i].count ? (int)config->models[i].count : 1;
        }
    }
    if (config->profile) {
        enum ss_status read = ss_profile_read(config->profile, mistakes, &catalog->profile);
        if (read && wrong) {
            fprintf(mistakes, "%s\n", ss_status_message());
        } else if (read) {
            status = read;
            goto fail;
        }
    }
    if (wrong) {
        status = ss_fail(last, "%s: %d of %d models cannot be served", config->path, wrong,
                         config->model_count);
        goto fail;
    }
    lay_out(catalog);
    *out = catalog;
    return SS_OK;
fail:
    ss_catalog_close(catalog);
    return status;
}

void ss_catalog_close(struct ss_catalog *catalog)
{
    if (!catalog)
        return;
    for (int i = 0; i < catalog->model_count; i++) {
        struct ss_catalog_model *model = &catalog->models[i];
        if (!model->config || model->config->alike < i)
            continue;
        for (int stage = 0; stage < SS_STAGES_MAX; stage++) {
            ss_image_release(&model->images[stage]);
            ss_free(model->chunk_pages[stage]);
            ss_free(model->chunk_bytes[stage]);
        }
    }
    ss_free(catalog->models);
    ss_free(catalog->profile);
    ss_free(catalog);
}

uint64_t ss_catalog_shard_bytes(const struct ss_catalog *catalog, int model, int stage)
{
    const struct ss_catalog_model *found = &catalog->models[model];
    uint64_t pages = 0;
    for (int i = 0; i < found->images[stage].chunk_count; i++)
        pages += found->chunk_pages[stage][i];
    return pages * catalog->config->device.page_bytes;
}

uint64_t ss_catalog_sequence_bytes(const struct ss_catalog *catalog, int model, int stage)
{
    const struct ss_catalog_model *found = &catalog->models[model];
    uint64_t tokens = catalog->config->kv_block_tokens;
    uint64_t blocks = (found->context_max + tokens - 1) / tokens;
    return blocks * found->kv_block_pages[stage] * catalog->config->device.page_bytes;
}

uint64_t ss_catalog_arena_bytes(const struct ss_catalog *catalog, int stage)
{
    return catalog->shards_bytes[stage] + round_up(catalog->config->arena.spill_bytes, SHARD_ALIGN);
}

uint64_t ss_catalog_spill_unit(const struct ss_catalog *catalog, int stage)
{
    uint64_t unit = 1;
    for (int i = 0; i < catalog->model_count; i++)
        if (catalog->models[i].kv_block_bytes[stage] > unit)
            unit = catalog->models[i].kv_block_bytes[stage];
    return unit;
}

uint32_t ss_catalog_batches_in_flight(const struct ss_catalog *catalog)
{
    uint32_t wanted = catalog->config->limits.batches_in_flight;
    return wanted ? wanted : (uint32_t)catalog->pp + 1;
}

size_t ss_catalog_message_bytes_max(const struct ss_catalog *catalog)
{
    /* A batch may open as many sequences as it holds, each with its prompt, and add KV blocks for
     * all of them on every stage; a load may place every chunk. */
    size_t prompts = 0, placements = 0;
    for (int i = 0; i < catalog->model_count; i++) {
        const struct ss_catalog_model *model = &catalog->models[i];
        size_t chunks = 0;
        for (int stage = 0; stage < catalog->pp; stage++)
            chunks += (size_t)model->images[stage].chunk_count;
        size_t blocks = model->context_max / catalog->config->kv_block_tokens + 1;
        size_t each = 512 + 4 * ((size_t)model->context_max + blocks * (size_t)catalog->pp);
        prompts = each * model->batch_max > prompts ? each * model->batch_max : prompts;
        placements = chunks * 32 > placements ? chunks * 32 : placements;
    }
    return round_up(16384 + (prompts > placements ? prompts : placements), 4096);
}

void ss_catalog_controller_model(const struct ss_catalog *catalog, int index,
                                 struct ss_controller_model *out)
{
    const struct ss_catalog_model *from = &catalog->models[index];
    *out = (struct ss_controller_model){.name = from->config->name,
                                        .context_max = from->context_max,
                                        .batch_max = from->batch_max,
                                        .pinned = from->config->pin};
    for (int stage = 0; stage < catalog->pp; stage++) {
        out->chunk_count[stage] = (uint32_t)from->images[stage].chunk_count;
        out->chunk_pages[stage] = from->chunk_pages[stage];
        out->chunk_bytes[stage] = from->chunk_bytes[stage];
        out->kv_block_pages[stage] = from->kv_block_pages[stage];
        if (catalog->profile)
            ss_costs_of_stage(catalog, index, stage, &out->cost[stage]);
    }
}

void ss_catalog_controller_options(const struct ss_catalog *catalog,
                                   struct ss_controller_model *models,
                                   struct ss_controller_options *options)
{
    const struct ss_config *config = catalog->config;
    uint32_t spill_blocks = UINT32_MAX;
    for (int i = 0; i < catalog->model_count; i++)
        ss_catalog_controller_model(catalog, i, &models[i]);
    *options = (struct ss_controller_options){
        .tp = catalog->tp,
        .pp = catalog->pp,
        .page_bytes = config->device.page_bytes,
        .block_tokens = config->kv_block_tokens,
        .model_count = (uint32_t)catalog->model_count,
        .models = models,
        .limits = {.requests_max = config->limits.requests_max,
                   .slots_max = config->limits.slots_max,
                   .step_tokens_max = config->limits.step_tokens_max,
                   .batches_in_flight = ss_catalog_batches_in_flight(catalog),
                   .loads_in_flight = config->limits.loads_in_flight,
                   .queue_max_per_model = config->limits.queue_max_per_model,
                   .step_time_max_ns = config->limits.step_time_max_ns,
                   .overdue_ns = config->limits.overdue_ns,
                   .overdue_batch_ns = config->limits.overdue_batch_ns,
                   .quantum_ns = config->limits.quantum_ns,
                   .realtime_share = config->limits.realtime_share},
        .policy = strcmp(config->policy, "lru") == 0 ? SS_POLICY_LRU : SS_POLICY_SWAP_AWARE,
        .swap_aware = {.price = config->swap_aware.price,
                       .partial = config->swap_aware.partial,
                       .stay = config->swap_aware.stay,
                       .prefetch = config->swap_aware.prefetch,
                       .patience = config->swap_aware.patience},
        .emulate = {.copy_back = config->emulate.copy_back,
                    .wait_whole_load = config->emulate.wait_whole_load,
                    .poll = config->emulate.poll,
                    .models_max = config->emulate.models_max},
        .stall_max_ns = config->limits.stall_max_ns,
        .silence_max_ns = config->limits.peer_timeout_ns,
        .link_bytes_per_s = catalog->profile ? ss_costs_link_bytes_per_s(catalog) : 0,
    };
    for (int stage = 0; stage < catalog->pp; stage++) {
        options->pool_pages[stage] =
            (uint32_t)(config->device.pool_bytes / config->device.page_bytes);
        uint64_t blocks = config->arena.spill_bytes / ss_catalog_spill_unit(catalog, stage);
        if (blocks < spill_blocks)
            spill_blocks = (uint32_t)blocks;
    }
    options->spill_blocks = spill_blocks;
}
