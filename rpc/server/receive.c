#include <errno.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "rpc/server/door.h"
#include "rpc/wire/request_codec.h"

/* A message as it came. */
struct parcel {
    zmq_msg_t identity;
    zmq_msg_t body;
    int frames; /* after the identity */
};

static void refuse(struct ss_server *server, uint32_t client, const struct ss_wire_error *error)
{
    /* An answer with the id of a request that lives would be taken for the end of that one. */
    bool has_id =
        error->has_id && ss_table_find_live(&server->table, client, error->id) == SS_TABLE_NONE;
    struct ss_reply reply = {
        .kind = SS_REPLY_ERROR,
        .has_id = has_id,
        .id = error->id,
        .error = {.code = error->code, .field = error->field, .message = error->message},
    };
    if (error->code == SS_ERROR_OVERLOADED)
        server->counters.overloaded++;
    else
        server->counters.malformed++;
    ss_door_answer(server, client, &reply);
}

static void cancel(struct ss_server *server, uint32_t client, const struct ss_request *request)
{
    uint32_t slot = ss_table_find_live(&server->table, client, request->target);
    bool found = slot != SS_TABLE_NONE && server->table.live[slot].op == SS_OP_SUBMIT;
    struct ss_reply reply = {
        .kind = SS_REPLY_OK, .has_id = true, .id = request->id, .ok = {true, found}};
    ss_door_answer(server, client, &reply);
    /* The answer may have found the client gone, and its requests with it. */
    slot = ss_table_find_live(&server->table, client, request->target);
    if (found && slot != SS_TABLE_NONE)
        server->callbacks.on_cancel(server->user, ss_table_reply_to(&server->table, slot));
}

static bool within_limits(const struct ss_server *server, const struct ss_request *request,
                          struct ss_wire_error *error)
{
    bool submit = request->op == SS_OP_SUBMIT;
    uint32_t count = submit ? server->table.submit_count : server->table.control_count;
    uint32_t max = submit ? server->config.requests_max : server->config.controls_max;
    if (count < max)
        return true;
    ss_wire_fail(error, SS_ERROR_OVERLOADED, 0, "%u requests are live, at most %u; try again later",
                 count, max);
    return false;
}

static void handle_request(struct ss_server *server, uint32_t client,
                           const struct ss_request *request)
{
    struct ss_wire_error error = {.has_id = true, .id = request->id};
    if (ss_table_find_live(&server->table, client, request->id) != SS_TABLE_NONE) {
        ss_wire_fail(&error, SS_ERROR_BAD_REQUEST, "id",
                     "id %llu is in use by a request of this client that is not answered yet",
                     (unsigned long long)request->id);
        refuse(server, client, &error);
    } else if (request->op == SS_OP_CANCEL) {
        cancel(server, client, request);
    } else if (!within_limits(server, request, &error)) {
        refuse(server, client, &error);
    } else {
        struct ss_reply_to to = ss_table_add_live(&server->table, client, request->id, request->op);
        server->callbacks.on_request(server->user, request, to);
    }
}

static void handle(struct ss_server *server, struct parcel *parcel)
{
    struct ss_request request;
    struct ss_wire_error error = {0};
    uint32_t client = ss_table_add_client(&server->table, zmq_msg_data(&parcel->identity),
                                          zmq_msg_size(&parcel->identity));
    if (client == SS_TABLE_NONE) {
        server->counters.overloaded++;
        SS_WARNING("server: a request was dropped: %u clients are waiting for answers, at most %u",
                   server->table.client_count, server->config.clients_max);
        return;
    }
    if (parcel->frames != 1) {
        ss_wire_fail(&error, SS_ERROR_BAD_REQUEST, 0, "a message of %d frames, want one",
                     parcel->frames);
        refuse(server, client, &error);
    } else if (ss_request_decode(&server->frame, zmq_msg_data(&parcel->body),
                                 zmq_msg_size(&parcel->body), server->config.request_bytes_max,
                                 &request, &error)) {
        refuse(server, client, &error);
    } else {
        handle_request(server, client, &request);
    }
    ss_table_release_client(&server->table, client);
}

/* True if a message came; BODY is its first frame after the identity, empty if there is none. */
static bool take(void *router, struct parcel *parcel)
{
    if (ss_door_fault(EAGAIN) || zmq_msg_recv(&parcel->identity, router, ZMQ_DONTWAIT) < 0)
        return false;
    parcel->frames = 0;
    int more = zmq_msg_more(&parcel->identity);
    /* The parts of a message arrive together: none of these waits. */
    while (more) {
        zmq_msg_t rest;
        zmq_msg_init(&rest);
        zmq_msg_t *part = parcel->frames == 0 ? &parcel->body : &rest;
        if (zmq_msg_recv(part, router, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&rest);
            break;
        }
        more = zmq_msg_more(part);
        parcel->frames++;
        zmq_msg_close(&rest);
    }
    return true;
}

bool ss_door_receive(struct ss_server *server, int budget)
{
    struct parcel parcel;
    zmq_msg_init(&parcel.identity);
    zmq_msg_init(&parcel.body);
    while (budget > 0 && take(server->router, &parcel)) {
        budget--;
        server->counters.received++;
        handle(server, &parcel);
    }
    zmq_msg_close(&parcel.identity);
    zmq_msg_close(&parcel.body);
    return budget == 0;
}
