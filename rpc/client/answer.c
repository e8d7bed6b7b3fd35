/* What the server says, put where it belongs. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "rpc/client/client.h"

static void take_piece(struct swapclient_request *request, const struct ss_piece *piece)
{
    if (request->result.client_first_ns == 0)
        request->result.client_first_ns = ss_now_ns() - request->submitted_ns;
    if (!harvest_add(&request->all, piece->text.data, piece->text.bytes, piece->tokens,
                     piece->token_count))
        request_end(request, SWAPCLIENT_E_NO_MEMORY, 0, "%s", ss_status_message());
}

static void take_finish(struct swapclient_request *request, const struct ss_finish *finish)
{
    struct swapclient_result *result = &request->result;
    result->prompt_tokens = finish->usage.prompt_tokens;
    result->completion_tokens = finish->usage.completion_tokens;
    result->queue_ns = finish->timing.queue_ns;
    result->first_token_ns = finish->timing.first_token_ns;
    result->total_ns = finish->timing.total_ns;
    result->cold = finish->timing.cold;
    result->finish_reason = ss_finish_reason_name(finish->reason);
    take_piece(request, &finish->rest);
    if (request->state != REQUEST_ENDED)
        request_end(request, SWAPCLIENT_OK, 0, "%s", "");
}

/* The frame is kept as it came: the thread that waits for it makes of it what it asked for. */
static void take_report(struct swapclient_request *request, const void *bytes, size_t size)
{
    if (ss_alloc(&request->reply, size, 1, "answer")) {
        request_end(request, SWAPCLIENT_E_NO_MEMORY, 0, "%s", ss_status_message());
        return;
    }
    memcpy(request->reply, bytes, size);
    request->reply_bytes = size;
    request_end(request, SWAPCLIENT_OK, 0, "%s", "");
}

static bool fits(enum ss_op op, enum ss_reply_kind kind)
{
    switch (kind) {
    case SS_REPLY_TOKENS:
    case SS_REPLY_DONE:
        return op == SS_OP_SUBMIT;
    case SS_REPLY_STATUS:
        return op == SS_OP_STATUS;
    case SS_REPLY_MODELS:
        return op == SS_OP_MODELS;
    case SS_REPLY_OK:
        return op != SS_OP_SUBMIT && op != SS_OP_STATUS && op != SS_OP_MODELS;
    default:
        return kind == SS_REPLY_ERROR;
    }
}

static void take_reply(struct swapclient_request *request, const struct ss_reply *reply,
                       const void *bytes, size_t size)
{
    if (reply->seq != request->seq++) {
        request_end(request, SWAPCLIENT_E_PROTOCOL, 0, "answer %u came where %u was due",
                    reply->seq, request->seq - 1);
        return;
    }
    if (!fits(request->op, reply->kind)) {
        request_end(request, SWAPCLIENT_E_PROTOCOL, 0, "an answer \"%s\" to a request \"%s\"",
                    ss_reply_kind_name(reply->kind), ss_op_name(request->op));
        return;
    }
    switch (reply->kind) {
    case SS_REPLY_TOKENS:
        take_piece(request, &reply->piece);
        if (request->state != REQUEST_ENDED)
            request_notify(request);
        break;
    case SS_REPLY_DONE:
        take_finish(request, &reply->finish);
        break;
    case SS_REPLY_ERROR:
        request_end(request, client_error_of(reply->error.code), reply->error.field, "%s",
                    reply->error.message);
        break;
    case SS_REPLY_OK:
        request_end(request, SWAPCLIENT_OK, 0, "%s", "");
        break;
    default:
        take_report(request, bytes, size);
        break;
    }
}

/* An answer that cannot be read may have been to any of them. */
static void end_all_sent(struct swapclient *client, const struct ss_wire_error *error)
{
    struct swapclient_request *request = TAILQ_FIRST(&client->all);
    while (request) {
        struct swapclient_request *next = TAILQ_NEXT(request, in_all);
        if (request->state == REQUEST_SENT && (!error->has_id || request->id == error->id))
            request_end(request, SWAPCLIENT_E_PROTOCOL, 0, "an answer that cannot be read: %s%s%s",
                        error->field, error->field[0] ? " " : "", error->message);
        request = next;
    }
}

void client_take_answer(struct swapclient *client, const void *bytes, size_t size)
{
    struct ss_reply reply = {0};
    struct ss_wire_error error;
    enum ss_status status =
        ss_reply_decode(&client->frame, bytes, size, client->reply_bytes_max, &reply, &error);
    pthread_mutex_lock(&client->mutex);
    struct swapclient_request *request = reply.has_id ? request_find(client, reply.id) : 0;
    if (status == SS_OK) {
        /* Answers to what has timed out or was freed find no request; so do probes. */
        if (request && request->state == REQUEST_SENT)
            take_reply(request, &reply, bytes, size);
    } else if (status == SS_UNSUPPORTED) {
        if (request && reply.fin)
            request_end(request, SWAPCLIENT_E_PROTOCOL, 0, "%s", ss_status_message());
    } else {
        end_all_sent(client, &error);
    }
    pthread_mutex_unlock(&client->mutex);
}
