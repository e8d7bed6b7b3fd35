#include "engine/swapsim/costs.h"

#include "engine/serve/costs.h"

void ss_swapsim_costs(const struct ss_catalog *catalog, struct ss_sim_costs *out)
{
    const struct ss_profile *profile = catalog->profile;
    double page_bytes = (double)catalog->config->device.page_bytes;
    struct ss_step_cost layer;
    ss_costs_of_chunk(catalog, 0, 0, 1, &layer);
    *out = (struct ss_sim_costs){
        .link_bytes_per_s = profile->link.alone_bytes_per_s,
        .link_total_bytes_per_s = profile->link.total_bytes_per_s,
        .to_host_bytes_per_s = profile->link.to_host_bytes_per_s,
        .to_host_total_bytes_per_s = profile->link.to_host_total_bytes_per_s,
        .piece_bytes = catalog->config->device.piece_bytes,
        .piece_latency_ns = profile->link.piece_gap_ns,
        .chunk_ns = layer.fixed_ns + layer.weights_ns,
        .row_ns = (uint64_t)layer.row_ns,
        .move_page_ns = (uint64_t)(2 * page_bytes * 1e9 /
                                   profile->compute.memory_bytes_per_s), /* read, write */
        .entry_ns = profile->edge.entry_ns,
        .edge_ns = profile->edge.activation_ns,
        .report_ns = profile->edge.report_ns,
        .report_jitter_ns = profile->edge.report_jitter_ns,
    };
}
