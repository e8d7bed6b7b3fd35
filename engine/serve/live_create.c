#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/serve/keys.h"
#include "engine/serve/live_internal.h"

/* Tickets beyond limits.requests, for status, load, drop and the like. */
#define CONTROL_TICKETS 64

static enum ss_status create_controller(struct ss_live *live)
{
    const struct ss_catalog *catalog = live->options.catalog;
    struct ss_controller_model *models;
    struct ss_controller_options options;
    enum ss_status status =
        ss_alloc(&models, (size_t)catalog->model_count, sizeof *models, "controller models");
    if (status)
        return status;
    ss_catalog_controller_options(catalog, models, &options);
    status = ss_controller_create(&options, &live->controller);
    ss_free(models);
    return status;
}

static enum ss_status create_server(struct ss_live *live)
{
    const struct ss_config *config = live->config;
    static const struct ss_server_callbacks callbacks = {.on_request = ss_live_on_request,
                                                         .on_cancel = ss_live_on_cancel,
                                                         .on_gone = ss_live_on_gone};
    struct ss_server_config server;
    struct ss_keys keys = {0};
    ss_server_config_default(&server);
    server.endpoints = (const char *const *)config->server.endpoints.items;
    server.endpoint_count = (size_t)config->server.endpoints.count;
    server.requests_max = config->limits.requests_max;
    server.clients_max = (uint32_t)config->server.clients_max;
    server.request_bytes_max = config->server.frame_bytes_max;
    server.client_buffer_bytes_max = config->server.client_buffer_bytes_max;
    enum ss_status status = ss_keys_read(config, &keys);
    if (status)
        return status;
    server.curve_secret_key = keys.secret;
    server.curve_client_keys = (const char *const *)keys.clients;
    server.curve_client_key_count = keys.client_count;
    status = ss_server_create(&live->server, &server, &callbacks, live);
    ss_keys_release(&keys);
    return status;
}

static enum ss_status create_tables(struct ss_live *live)
{
    const struct ss_catalog *catalog = live->options.catalog;
    size_t ranks = (size_t)catalog->tp * (size_t)catalog->pp;
    uint32_t tickets = live->config->limits.requests_max + CONTROL_TICKETS;
    struct ss_server_config server;
    ss_server_config_default(&server);
    uint32_t slots = live->config->limits.requests_max + server.controls_max;
    live->inbox_room = 256;
    live->pending_max = tickets + EVENTS_PER_FEED;
    live->message_bytes_max = ss_catalog_message_bytes_max(catalog);
    enum ss_status status =
        ss_alloc(&live->counters, ranks, sizeof *live->counters, "rank counters");
    if (!status)
        status = ss_alloc(&live->actions, ACTIONS_MAX, sizeof *live->actions, "actions");
    if (!status)
        status = ss_alloc(&live->pending, live->pending_max, sizeof *live->pending, "events");
    if (!status)
        status = ss_alloc(&live->message, 1, live->message_bytes_max, "message");
    if (!status)
        status = ss_alloc(&live->inbox, live->inbox_room, sizeof *live->inbox, "inbox");
    if (!status)
        status = ss_tickets_create(tickets, slots, &live->tickets);
    if (!status)
        status = ss_hiding_create((int)ranks, &live->hiding);
    return status;
}

enum ss_status ss_live_create(const struct ss_live_options *options, struct ss_live **out)
{
    struct ss_live *live;
    enum ss_status status = ss_alloc(&live, 1, sizeof *live, "live loop");
    if (status)
        return status;
    live->options = *options;
    live->config = options->catalog->config;
    live->started_ns = ss_now_ns();
    pthread_mutex_init(&live->inbox_lock, 0);
    status = create_tables(live);
    if (!status)
        status = create_controller(live);
    if (!status)
        status = create_server(live);
    if (!status)
        status = ss_server_start(live->server);
    if (status) {
        ss_live_destroy(live);
        return status;
    }
    *out = live;
    return SS_OK;
}

void ss_live_destroy(struct ss_live *live)
{
    if (!live)
        return;
    ss_server_destroy(live->server);
    if (live->controller)
        ss_controller_destroy(live->controller);
    ss_tickets_destroy(live->tickets);
    ss_hiding_destroy(live->hiding);
    pthread_mutex_destroy(&live->inbox_lock);
    ss_free(live->counters);
    ss_free(live->actions);
    ss_free(live->pending);
    ss_free(live->message);
    ss_free(live->inbox);
    ss_free(live);
}
