#include "engine/serve/costs.h"

#define NS 1e9

/* Elements of a chunk's matrices: each takes a multiplication and an addition for every row. */
static double matrix_elements(const struct ss_chunk *chunk)
{
    double elements = 0;
    for (int i = 0; i < chunk->tensor_count; i++)
        if (chunk->tensors[i].rows > 1)
            elements += (double)chunk->tensors[i].rows * chunk->tensors[i].columns;
    return elements;
}

static void cost_layer(const struct ss_catalog *catalog, const struct ss_catalog_model *model,
                       const struct ss_chunk *chunk, struct ss_step_cost *out)
{
    const struct ss_profile *profile = catalog->profile;
    double kv_bytes =
        (double)ss_kv_bytes_per_token_layer(&model->shape, catalog->tp, catalog->activation_bytes);
    out->fixed_ns = profile->compute.layer_overhead_ns;
    out->weights_ns = (uint64_t)((double)chunk->bytes * NS / profile->compute.memory_bytes_per_s);
    out->row_ns = 2 * matrix_elements(chunk) * NS / profile->compute.flops_per_s;
    out->context_ns = kv_bytes * NS / profile->compute.context_bytes_per_s;
    if (catalog->tp > 1) {
        double row_bytes = (double)model->shape.hidden * (double)catalog->activation_bytes;
        out->fixed_ns += 2 * profile->collective.latency_ns;
        if (profile->collective.bytes_per_s > 0)
            out->row_ns += 2 * row_bytes * NS / profile->collective.bytes_per_s;
    }
}

/* The head may read the embedding's table instead of one of its own. */
static void cost_head(const struct ss_catalog *catalog, const struct ss_catalog_model *model,
                      struct ss_step_cost *out)
{
    double bytes = (double)model->shape.vocab * model->shape.embedding *
                   (double)ss_dtype_bytes(model->shape.dtype) / catalog->tp;
    out->weights_ns = (uint64_t)(bytes * NS / catalog->profile->compute.memory_bytes_per_s);
    if (catalog->tp > 1)
        out->fixed_ns = catalog->profile->collective.latency_ns;
}

void ss_costs_of_chunk(const struct ss_catalog *catalog, int model, int stage, int chunk,
                       struct ss_step_cost *out)
{
    const struct ss_catalog_model *of = &catalog->models[model];
    const struct ss_chunk *at = &of->images[stage].chunks[chunk];
    *out = (struct ss_step_cost){0};
    if (at->kind == SS_CHUNK_LAYER)
        cost_layer(catalog, of, at, out);
    else if (at->kind == SS_CHUNK_HEAD)
        cost_head(catalog, of, out);
    if (chunk == 0)
        out->fixed_ns += catalog->profile->compute.step_overhead_ns;
}

void ss_costs_of_stage(const struct ss_catalog *catalog, int model, int stage,
                       struct ss_step_cost *out)
{
    *out = (struct ss_step_cost){0};
    for (int i = 0; i < catalog->models[model].images[stage].chunk_count; i++) {
        struct ss_step_cost chunk;
        ss_costs_of_chunk(catalog, model, stage, i, &chunk);
        out->fixed_ns += chunk.fixed_ns;
        out->weights_ns += chunk.weights_ns;
        out->row_ns += chunk.row_ns;
        out->context_ns += chunk.context_ns;
    }
}

uint64_t ss_costs_link_bytes_per_s(const struct ss_catalog *catalog)
{
    const struct ss_profile *profile = catalog->profile;
    double rate = profile->link.alone_bytes_per_s;
    double share = profile->link.total_bytes_per_s / (catalog->tp * catalog->pp);
    return (uint64_t)(share > 0 && share < rate ? share : rate);
}
