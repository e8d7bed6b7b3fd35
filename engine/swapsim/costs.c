#include "engine/swapsim/costs.h"

#include "engine/base/memory.h"
#include "engine/serve/costs.h"

static struct ss_sim_costs machine_costs(const struct ss_catalog *catalog)
{
    const struct ss_profile *profile = catalog->profile;
    double page_bytes = (double)catalog->config->device.page_bytes;
    return (struct ss_sim_costs){
        .link_bytes_per_s = profile->link.alone_bytes_per_s,
        .link_total_bytes_per_s = profile->link.total_bytes_per_s,
        .to_host_bytes_per_s = profile->link.to_host_bytes_per_s,
        .to_host_total_bytes_per_s = profile->link.to_host_total_bytes_per_s,
        .both_bytes_per_s = profile->link.both_bytes_per_s,
        .to_host_share = profile->link.to_host_share,
        .piece_bytes = catalog->config->device.piece_bytes,
        .piece_latency_ns = profile->link.piece_gap_ns,
        /* A page that moves is read and written. */
        .move_page_ns = (uint64_t)(2 * page_bytes * 1e9 / profile->compute.memory_bytes_per_s),
        .entry_ns = profile->edge.entry_ns,
        .edge_ns = profile->edge.activation_ns,
        .report_ns = profile->edge.report_ns,
        .report_jitter_ns = profile->edge.report_jitter_ns,
    };
}

static enum ss_status cost_model(const struct ss_catalog *catalog, int index,
                                 struct ss_step_cost **costs, struct ss_sim_model *out)
{
    const struct ss_catalog_model *model = &catalog->models[index];
    double edge = catalog->profile->edge.activation_bytes_per_s;
    double row_bytes = (double)model->shape.hidden * (double)catalog->activation_bytes;
    size_t count = 0;
    for (int stage = 0; stage < catalog->pp; stage++)
        count += (size_t)model->images[stage].chunk_count;
    enum ss_status status = ss_alloc(costs, count, sizeof **costs, "costs of chunks");
    if (status)
        return status;
    struct ss_step_cost *at = *costs;
    for (int stage = 0; stage < catalog->pp; stage++) {
        out->chunks[stage] = at;
        for (int chunk = 0; chunk < model->images[stage].chunk_count; chunk++)
            ss_costs_of_chunk(catalog, index, stage, chunk, at++);
    }
    out->edge_row_ns = edge > 0 ? row_bytes * 1e9 / edge : 0;
    return SS_OK;
}

enum ss_status ss_swapsim_costs_make(const struct ss_catalog *catalog, struct ss_swapsim_costs *out)
{
    struct ss_swapsim_costs made = {.sim = machine_costs(catalog),
                                    .model_count = catalog->model_count};
    size_t count = (size_t)catalog->model_count;
    enum ss_status status = ss_alloc(&made.models, count, sizeof *made.models, "costs of models");
    if (!status)
        status = ss_alloc(&made.of_entry, count, sizeof *made.of_entry, "costs of models");
    for (int i = 0; i < catalog->model_count && !status; i++) {
        int alike = catalog->models[i].config->alike;
        if (alike < i)
            made.models[i] = made.models[alike];
        else
            status = cost_model(catalog, i, &made.of_entry[i], &made.models[i]);
    }
    if (status)
        ss_swapsim_costs_release(&made);
    else
        *out = made;
    return status;
}

void ss_swapsim_costs_release(struct ss_swapsim_costs *costs)
{
    for (int i = 0; costs->of_entry && i < costs->model_count; i++)
        ss_free(costs->of_entry[i]);
    ss_free(costs->of_entry);
    ss_free(costs->models);
    *costs = (struct ss_swapsim_costs){0};
}
