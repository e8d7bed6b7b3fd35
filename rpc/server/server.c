#include "rpc/server.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "rpc/server/door.h"

enum ss_status ss_server_create(struct ss_server **out, const struct ss_server_config *config,
                                const struct ss_server_callbacks *callbacks, void *user)
{
    struct ss_server *server;
    SS_ASSERT(callbacks->on_request && callbacks->on_cancel && callbacks->on_gone);
    enum ss_status status = ss_server_config_check(config);
    if (!status)
        status = ss_alloc(&server, 1, sizeof *server, "server");
    if (status)
        return status;
    server->config = *config;
    server->callbacks = *callbacks;
    server->user = user;
    status = ss_reply_queue_create(&server->outbox, config->reply_queue_max);
    if (status)
        goto fail_outbox;
    status = ss_table_create(&server->table, config->clients_max,
                             config->requests_max + config->controls_max);
    if (status)
        goto fail_table;
    status = ss_door_open(server, config);
    if (status)
        goto fail_door;
    *out = server;
    return SS_OK;
fail_door:
    ss_server_destroy(server);
    return status;
fail_table:
    ss_reply_queue_destroy(&server->outbox);
fail_outbox:
    ss_free(server);
    return status;
}

enum ss_status ss_server_start(struct ss_server *server)
{
    SS_ASSERT(!server->started && !server->stopped);
    enum ss_status status = ss_thread_start(&server->thread, "ss-server", ss_door_run, server);
    server->started = status == SS_OK;
    return status;
}

void ss_server_stop(struct ss_server *server)
{
    if (server->stopped)
        return;
    server->stopped = true;
    if (server->started) {
        server->stopping = true;
        ss_reply_queue_wake(&server->outbox);
        pthread_join(server->thread, 0);
    } else {
        ss_reply_queue_close(&server->outbox);
        ss_door_close(server, 0);
    }
}

void ss_server_destroy(struct ss_server *server)
{
    if (!server)
        return;
    ss_server_stop(server);
    ss_reply_queue_destroy(&server->outbox);
    ss_table_destroy(&server->table);
    ss_frame_close(&server->frame);
    for (size_t i = 0; i < server->endpoint_count; i++)
        ss_free(server->endpoints[i]);
    ss_free(server->endpoints);
    ss_free(server);
}

const char *ss_server_endpoint(const struct ss_server *server, size_t index)
{
    return index < server->endpoint_count ? server->endpoints[index] : "";
}

void ss_server_counters(const struct ss_server *server, struct ss_server_counters *out)
{
    out->received = server->counters.received;
    out->malformed = server->counters.malformed;
    out->overloaded = server->counters.overloaded;
    out->gone = server->counters.gone;
    out->sent = server->counters.sent;
}
