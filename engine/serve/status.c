/* What the server tells of itself. Link thread. */
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/serve/live_internal.h"

#ifndef SS_VERSION
#define SS_VERSION "unknown"
#endif

static enum ss_model_state state_of(enum ss_residency residency)
{
    switch (residency) {
    case SS_ABSENT:
        return SS_MODEL_ABSENT;
    case SS_LOADING:
        return SS_MODEL_LOADING;
    case SS_PARTIAL:
        return SS_MODEL_PARTIAL;
    case SS_RESIDENT:
        return SS_MODEL_RESIDENT;
    }
    return SS_MODEL_ABSENT;
}

static uint64_t total_bytes(const struct ss_catalog *catalog, int model)
{
    uint64_t total = 0;
    for (int stage = 0; stage < catalog->pp; stage++)
        total += catalog->models[model].images[stage].bytes * (uint64_t)catalog->tp;
    return total;
}

static void fill_models(struct ss_live *live, struct ss_model_report *models)
{
    const struct ss_catalog *catalog = live->options.catalog;
    for (int i = 0; i < catalog->model_count; i++) {
        struct ss_model_view view;
        ss_controller_view_model(live->controller, (uint16_t)i, &view);
        models[i] = (struct ss_model_report){
            .name = catalog->models[i].config->name,
            .family = catalog->models[i].shape.family->name,
            .state = state_of(view.residency),
            .total_bytes = total_bytes(catalog, i),
            .resident_bytes = view.resident_bytes,
            .chunks = view.chunks,
            .resident_chunks = view.resident_chunks,
            .queued = view.queued,
            .running = view.running,
            .answered = view.answered,
            .loads = view.loads,
            .tokens = view.tokens,
        };
    }
}

static void fill_ranks(struct ss_live *live, const struct ss_controller_view *view,
                       struct ss_rank_report *ranks, struct ss_server_status *status)
{
    const struct ss_catalog *catalog = live->options.catalog;
    uint64_t now = ss_now_ns();
    for (int i = 0; i < catalog->tp * catalog->pp; i++) {
        int stage = i / catalog->tp;
        ranks[i] = (struct ss_rank_report){
            .rank = (uint32_t)i,
            .stage = (uint32_t)stage,
            .tp = (uint32_t)(i % catalog->tp),
            .device = live->device,
            .host = live->options.hosts + (size_t)i * SS_HOST_BYTES,
            .pool_bytes = live->config->device.pool_bytes,
            .pool_used_bytes =
                (uint64_t)view->pool_pages_used[stage] * live->config->device.page_bytes,
            .bytes_loaded = live->counters[i].bytes_to_device,
            .busy = ss_hiding_busy_share(live->hiding, i, now),
        };
        status->bytes_loaded += live->counters[i].bytes_to_device;
        status->bytes_copied_back += live->counters[i].bytes_to_host;
    }
}

static void say_failed(struct ss_live *live, struct ss_reply_to to)
{
    enum ss_status status =
        ss_server_reply_error(live->server, to, SS_ERROR_INTERNAL, 0, "%s", ss_status_message());
    if (status && status != SS_CANCELLED)
        SS_WARNING("a report could not be answered: %s", ss_status_message());
}

void ss_live_answer_status(struct ss_live *live, struct ss_reply_to to)
{
    const struct ss_catalog *catalog = live->options.catalog;
    struct ss_controller_view view;
    struct ss_server_counters door;
    struct ss_model_report *models = 0;
    struct ss_rank_report *ranks = 0;
    size_t rank_count = (size_t)catalog->tp * (size_t)catalog->pp;
    enum ss_status status =
        ss_alloc(&models, (size_t)catalog->model_count, sizeof *models, "status");
    if (!status)
        status = ss_alloc(&ranks, rank_count, sizeof *ranks, "status");
    if (!status) {
        ss_controller_view(live->controller, &view);
        ss_server_counters(live->server, &door);
        struct ss_server_status report = {
            .version = SS_VERSION,
            .uptime_ns = ss_now_ns() - live->started_ns,
            .accepted = view.accepted,
            .answered = view.answered,
            .refused =
                view.refused + door.malformed + door.overloaded + atomic_load(&live->refused),
            .queued = view.queued,
            .running = view.running,
            .loads = view.loads,
            .guesses = view.guesses,
            .drops = view.drops,
            .draining = view.draining,
            .models = models,
            .model_count = (size_t)catalog->model_count,
            .ranks = ranks,
            .rank_count = rank_count,
        };
        ss_hiding_totals(live->hiding, &report.load_ns, &report.hidden_ns);
        fill_models(live, models);
        fill_ranks(live, &view, ranks, &report);
        status = ss_server_reply_status(live->server, to, &report);
    }
    if (status)
        say_failed(live, to);
    ss_free(models);
    ss_free(ranks);
}

void ss_live_answer_models(struct ss_live *live, struct ss_reply_to to)
{
    const struct ss_catalog *catalog = live->options.catalog;
    struct ss_model_info *infos;
    enum ss_status status = ss_alloc(&infos, (size_t)catalog->model_count, sizeof *infos, "models");
    if (!status) {
        for (int i = 0; i < catalog->model_count; i++) {
            struct ss_model_view view;
            ss_controller_view_model(live->controller, (uint16_t)i, &view);
            infos[i] = (struct ss_model_info){
                .name = catalog->models[i].config->name,
                .family = catalog->models[i].shape.family->name,
                .state = state_of(view.residency),
                .total_bytes = total_bytes(catalog, i),
                .context_tokens = catalog->models[i].context_max,
                .vocab_tokens = catalog->models[i].shape.vocab,
                .text = live->options.tokenizers[i] != 0,
            };
        }
        status = ss_server_reply_models(live->server, to, infos, (size_t)catalog->model_count);
        ss_free(infos);
    }
    if (status)
        say_failed(live, to);
}
