#include "engine/swapsim/yardstick.h"

#include <stdlib.h>

#include "engine/base/memory.h"

enum ss_status ss_yardstick_add(struct ss_yardstick *yardstick, uint32_t group,
                                const struct ss_outcome *outcome)
{
    if (yardstick->count == yardstick->count_max) {
        size_t room = yardstick->count_max ? 2 * yardstick->count_max : 1024;
        enum ss_status status = ss_realloc(&yardstick->requests, room, sizeof *yardstick->requests,
                                           "requests of the bound");
        if (status)
            return status;
        yardstick->count_max = room;
    }
    yardstick->requests[yardstick->count++] = (struct ss_yardstick_request){
        .bound = {.arrival_s = (double)outcome->arrival_ns / 1e9,
                  .model = outcome->model,
                  .prompt_tokens = outcome->prompt_tokens,
                  .output_tokens = outcome->tokens},
        .group = group,
    };
    return SS_OK;
}

void ss_yardstick_release(struct ss_yardstick *yardstick)
{
    ss_free(yardstick->requests);
    *yardstick = (struct ss_yardstick){0};
}

static int by_group_and_time(const void *left, const void *right)
{
    const struct ss_yardstick_request *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->bound.arrival_s != b->bound.arrival_s)
        return a->bound.arrival_s < b->bound.arrival_s ? -1 : 1;
    return 0;
}

static enum ss_status measure(const struct ss_yardstick *yardstick,
                              const struct ss_bound_machine *machine, uint32_t group_count,
                              double effort, struct ss_bound_request *requests,
                              struct ss_bound *out)
{
    size_t at = 0;
    *out = (struct ss_bound){0};
    for (uint32_t group = 0; group < group_count; group++) {
        struct ss_bound part;
        size_t count = 0;
        while (at < yardstick->count && yardstick->requests[at].group == group)
            requests[count++] = yardstick->requests[at++].bound;
        enum ss_status status = ss_bound_of(machine, requests, count, effort / group_count, &part);
        if (status)
            return status;
        double share = yardstick->count ? (double)count / (double)yardstick->count : 0;
        out->mean_s += share * part.mean_s;
        out->first_mean_s += share * part.first_mean_s;
        out->warm_mean_s += share * part.warm_mean_s;
        out->loads_mean_s += share * part.loads_mean_s;
        out->compute_mean_s += share * part.compute_mean_s;
        out->load_mean_s += share * part.load_mean_s;
    }
    return SS_OK;
}

enum ss_status ss_yardstick_measure(struct ss_yardstick *yardstick,
                                    const struct ss_catalog *catalog, uint32_t group_count,
                                    double effort, struct ss_bound *out)
{
    const struct ss_profile *profile = catalog->profile;
    struct ss_controller_options controller;
    struct ss_controller_model *models = 0;
    struct ss_bound_request *requests = 0;
    enum ss_status status =
        ss_alloc(&models, (size_t)catalog->model_count, sizeof *models, "models of the bound");
    if (!status)
        status = ss_alloc(&requests, yardstick->count, sizeof *requests, "requests of the bound");
    if (status)
        goto end;
    ss_catalog_controller_options(catalog, models, &controller);
    for (int i = 0; i < catalog->model_count; i++)
        ss_catalog_controller_model(catalog, i, &models[i]);
    controller.models = models;
    controller.model_count = (uint32_t)catalog->model_count;
    struct ss_bound_machine machine = {
        .controller = &controller,
        .link_bytes_per_s = profile->link.alone_bytes_per_s,
        .total_bytes_per_s = profile->link.total_bytes_per_s,
        .piece_bytes = catalog->config->device.piece_bytes,
        .piece_s = (double)profile->link.piece_gap_ns / 1e9,
        .hop_s = (double)profile->edge.activation_ns / 1e9,
        .report_s = (double)profile->edge.report_ns / 1e9,
    };
    if (yardstick->count > 0)
        qsort(yardstick->requests, yardstick->count, sizeof *yardstick->requests,
              by_group_and_time);
    status = measure(yardstick, &machine, group_count, effort, requests, out);
end:
    ss_free(models);
    ss_free(requests);
    return status;
}
