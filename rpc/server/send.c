#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "rpc/server/door.h"

enum outcome { SENT, WOULD_WAIT, GONE };

static void free_bytes(void *bytes, void *hint)
{
    (void)hint;
    free(bytes);
}

/* Takes the bytes over if they were SENT; the letter stays the caller's. */
static enum outcome try_send(struct ss_server *server, uint32_t at, struct ss_letter *letter)
{
    struct ss_client *client = &server->table.clients[at];
    zmq_msg_t message;
    /* ROUTER_MANDATORY tells of a client that is gone or full at the first frame; the second then
     * follows without fail. */
    if (ss_door_fault(EAGAIN) || zmq_send(server->router, client->identity, client->identity_bytes,
                                          ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN || errno == EINTR ? WOULD_WAIT : GONE;
    if (zmq_msg_init_data(&message, letter->bytes, letter->size, free_bytes, 0)) {
        zmq_send(server->router, letter->bytes, letter->size, ZMQ_DONTWAIT);
    } else {
        letter->bytes = 0;
        if (zmq_msg_send(&message, server->router, ZMQ_DONTWAIT) < 0)
            zmq_msg_close(&message);
    }
    client->sent_ns = ss_now_ns();
    server->counters.sent++;
    return SENT;
}

static void end_live(struct ss_server *server, uint32_t slot)
{
    struct ss_reply_to to = ss_table_reply_to(&server->table, slot);
    ss_table_remove_live(&server->table, slot);
    server->counters.gone++;
    server->callbacks.on_gone(server->user, to);
}

static void discard_waiting(struct ss_server *server, uint32_t at)
{
    struct ss_letter *letter;
    while ((letter = ss_table_take_waiting(&server->table, at)))
        ss_letter_free(letter);
}

static void drop_client(struct ss_server *server, uint32_t at)
{
    discard_waiting(server, at);
    while (server->table.clients[at].live_first != SS_TABLE_NONE)
        end_live(server, server->table.clients[at].live_first);
}

/* An error in the place of the answers to request ID that are thrown away. */
static struct ss_letter *create_apology(const char *why, uint64_t id, uint32_t seq)
{
    char message[160];
    struct ss_letter *letter;
    snprintf(message, sizeof message, "this client reads too slowly: %s", why);
    struct ss_reply reply = {.kind = SS_REPLY_ERROR,
                             .has_id = true,
                             .id = id,
                             .seq = seq,
                             .error = {.code = SS_ERROR_OVERLOADED, .message = message}};
    if (ss_letter_create(&letter, (struct ss_reply_to){.id = id}, &reply)) {
        SS_WARNING("server: %s", ss_status_message());
        return 0;
    }
    return letter;
}

/* What waits for the client is dropped for WHY: each of its requests ends with an error instead,
 * which it finds when it reads again. Where even these are too much, they go too. */
static void end_slow_client(struct ss_server *server, uint32_t at, const char *why)
{
    struct ss_client *client = &server->table.clients[at];
    struct ss_letter *kept = 0;
    struct ss_letter **end = &kept;
    struct ss_letter *letter;
    size_t bytes = client->waiting_bytes;
    uint32_t requests = client->live_count;
    while ((letter = ss_table_take_waiting(&server->table, at))) {
        requests += letter->last;
        if (letter->last && (*end = create_apology(why, letter->to.id, letter->seq)))
            end = &(*end)->next;
        ss_letter_free(letter);
    }
    while (client->live_first != SS_TABLE_NONE) {
        const struct ss_live *live = &server->table.live[client->live_first];
        if ((*end = create_apology(why, live->id, live->seq)))
            end = &(*end)->next;
        end_live(server, client->live_first);
    }
    while ((letter = kept)) {
        kept = letter->next;
        ss_table_wait(&server->table, at, letter);
    }
    if (client->waiting_bytes > server->config.client_buffer_bytes_max / 2)
        discard_waiting(server, at);
    SS_WARNING("server: a client reads too slowly: %s: %zu bytes are dropped, and the ends of %u "
               "answers",
               why, bytes, requests);
}

void ss_door_give_up(struct ss_server *server)
{
    for (uint32_t at = 0; at < server->config.clients_max; at++)
        if (server->table.clients[at].used && server->table.clients[at].waiting_first)
            end_slow_client(server, at, "the server ended while answers waited for it");
}

static void send_or_wait(struct ss_server *server, uint32_t at, struct ss_letter *letter)
{
    char why[80];
    struct ss_client *client = &server->table.clients[at];
    enum outcome outcome = client->waiting_first ? WOULD_WAIT : try_send(server, at, letter);
    if (outcome != WOULD_WAIT) {
        ss_letter_free(letter);
        if (outcome == GONE)
            drop_client(server, at);
        return;
    }
    ss_table_wait(&server->table, at, letter);
    if (client->waiting_bytes <= server->config.client_buffer_bytes_max)
        return;
    snprintf(why, sizeof why, "more than %llu bytes of answers waited for it",
             (unsigned long long)server->config.client_buffer_bytes_max);
    end_slow_client(server, at, why);
}

void ss_door_deliver(struct ss_server *server)
{
    struct ss_letter *letter = ss_reply_queue_take(&server->outbox);
    while (letter) {
        struct ss_letter *next = letter->next;
        struct ss_live *live = ss_table_live(&server->table, letter->to);
        if (!live) {
            ss_letter_free(letter);
        } else {
            uint32_t client = live->client;
            letter->seq = live->seq++;
            ss_reply_set_seq(letter->bytes, letter->size, letter->seq);
            if (letter->last)
                ss_table_remove_live(&server->table, letter->to.slot);
            send_or_wait(server, client, letter);
            ss_table_release_client(&server->table, client);
        }
        letter = next;
    }
}

void ss_door_flush(struct ss_server *server)
{
    for (uint32_t at = 0; at < server->config.clients_max; at++) {
        struct ss_client *client = &server->table.clients[at];
        enum outcome outcome = SENT;
        if (!client->used || !client->waiting_first)
            continue;
        while (client->waiting_first &&
               (outcome = try_send(server, at, client->waiting_first)) == SENT)
            ss_letter_free(ss_table_take_waiting(&server->table, at));
        if (outcome == GONE)
            drop_client(server, at);
        ss_table_release_client(&server->table, at);
    }
}

void ss_door_answer(struct ss_server *server, uint32_t client, const struct ss_reply *reply)
{
    struct ss_letter *letter;
    if (ss_letter_create_last(&letter, (struct ss_reply_to){.id = reply->id}, reply)) {
        SS_WARNING("server: %s", ss_status_message());
        return;
    }
    send_or_wait(server, client, letter);
}

void ss_door_probe(struct ss_server *server, uint64_t now_ns)
{
    const struct ss_reply reply = {.kind = SS_REPLY_PROBE};
    struct ss_letter *letter;
    if (server->table.submit_count + server->table.control_count == 0)
        return;
    for (uint32_t at = 0; at < server->config.clients_max; at++) {
        struct ss_client *client = &server->table.clients[at];
        if (!client->used || client->live_count == 0 || client->waiting_first ||
            now_ns - client->sent_ns < server->config.probe_ms * SS_NS_PER_MS)
            continue;
        if (ss_letter_create(&letter, (struct ss_reply_to){0}, &reply))
            return;
        if (try_send(server, at, letter) == GONE)
            drop_client(server, at);
        ss_letter_free(letter);
        ss_table_release_client(&server->table, at);
    }
}
