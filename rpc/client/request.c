/* The life of a request: created, posted, ended, destroyed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "rpc/client/client.h"

int request_create(struct swapclient *client, struct ss_request *frame,
                   struct swapclient_request **out)
{
    struct swapclient_request *request;
    struct ss_writer writer;
    pthread_condattr_t attributes;
    if (ss_alloc(&request, 1, sizeof *request, "request")) {
        client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
        return SWAPCLIENT_E_NO_MEMORY;
    }
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&request->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_lock(&client->mutex);
    frame->id = request->id = client->next_id++;
    pthread_mutex_unlock(&client->mutex);
    request->client = client;
    request->op = frame->op;
    request->submitted_ns = ss_now_ns();
    request->connect_by_ns =
        request->submitted_ns + client->connect_timeout_ms * (uint64_t)SS_NS_PER_MS;
    request->answer_by_ns = UINT64_MAX;
    request->result.message = request->message;
    request->result.field = request->field;
    request->result.finish_reason = "";
    ss_writer_open(&writer);
    ss_request_encode(&writer, frame);
    /* A harvest that exists makes the result's pointers good from the start. */
    if (ss_writer_check(&writer) || !harvest_add(&request->all, "", 0, 0, 0) ||
        !harvest_add(&request->view, "", 0, 0, 0)) {
        ss_writer_close(&writer);
        request_destroy(request);
        client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
        return SWAPCLIENT_E_NO_MEMORY;
    }
    ss_writer_release(&writer, &request->bytes, &request->size);
    *out = request;
    return SWAPCLIENT_OK;
}

void request_destroy(struct swapclient_request *request)
{
    pthread_cond_destroy(&request->changed);
    harvest_free(&request->all);
    harvest_free(&request->view);
    free(request->bytes);
    ss_free(request->reply);
    ss_free(request);
}

static struct request_bucket *bucket_of(struct swapclient *client, uint64_t id)
{
    return &client->buckets[id & (SS_CLIENT_BUCKETS - 1)];
}

struct swapclient_request *request_find(struct swapclient *client, uint64_t id)
{
    struct swapclient_request *request;
    LIST_FOREACH(request, bucket_of(client, id), in_bucket)
    if (request->id == id)
        return request;
    return 0;
}

void client_wake(struct swapclient *client)
{
    uint64_t one = 1;
    if (write(client->wake_fd, &one, sizeof one) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
}

int request_post(struct swapclient_request *request)
{
    struct swapclient *client = request->client;
    uint64_t limit_ns = request->answer_by_ns < request->connect_by_ns ? request->answer_by_ns
                                                                       : request->connect_by_ns;
    pthread_mutex_lock(&client->mutex);
    if (client->in_flight >= client->in_flight_max && !request->internal) {
        pthread_mutex_unlock(&client->mutex);
        return client_fail(SWAPCLIENT_E_TOO_MANY, "%u requests are in flight, at most %u",
                           client->in_flight, client->in_flight_max);
    }
    request->state = REQUEST_WAITING;
    client->in_flight++;
    TAILQ_INSERT_TAIL(&client->all, request, in_all);
    TAILQ_INSERT_TAIL(&client->sending, request, in_sending);
    LIST_INSERT_HEAD(bucket_of(client, request->id), request, in_bucket);
    if (limit_ns < client->expire_at_ns)
        client->expire_at_ns = limit_ns;
    pthread_mutex_unlock(&client->mutex);
    client_wake(client);
    return SWAPCLIENT_OK;
}

int request_post_cancel(struct swapclient *client, uint64_t target)
{
    struct ss_request frame = {.op = SS_OP_CANCEL, .target = target};
    struct swapclient_request *request;
    int error = request_create(client, &frame, &request);
    if (error)
        return error;
    request->internal = true;
    return request_post(request);
}

void request_notify(struct swapclient_request *request)
{
    struct swapclient *client = request->client;
    uint64_t one = 1;
    pthread_cond_broadcast(&request->changed);
    if (request->ready || (!request->on_piece && !request->on_done))
        return;
    if (TAILQ_EMPTY(&client->ready) && write(client->ready_fd, &one, sizeof one) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
    request->ready = true;
    TAILQ_INSERT_TAIL(&client->ready, request, in_ready);
}

void request_end(struct swapclient_request *request, int error, const char *field,
                 const char *format, ...)
{
    struct swapclient *client = request->client;
    struct swapclient_result *result = &request->result;
    va_list args;
    va_start(args, format);
    vsnprintf(request->message, sizeof request->message, format, args);
    va_end(args);
    SS_ASSERT(request->state != REQUEST_ENDED);
    if (request->state == REQUEST_WAITING)
        TAILQ_REMOVE(&client->sending, request, in_sending);
    request->state = REQUEST_ENDED;
    LIST_REMOVE(request, in_bucket);
    client->in_flight--;
    if (request->internal) {
        TAILQ_REMOVE(&client->all, request, in_all);
        request_destroy(request);
        return;
    }
    snprintf(request->field, sizeof request->field, "%s", field ? field : "");
    result->error = error;
    result->text = request->all.text;
    result->text_bytes = request->all.text_bytes;
    result->tokens = request->all.tokens;
    result->token_count = request->all.token_count;
    result->client_total_ns = ss_now_ns() - request->submitted_ns;
    request_notify(request);
}

void swapclient_request_free(struct swapclient_request *request)
{
    if (!request)
        return;
    struct swapclient *client = request->client;
    pthread_mutex_lock(&client->mutex);
    bool was_sent = request->state == REQUEST_SENT;
    if (request->state != REQUEST_ENDED) {
        request->on_piece = 0;
        request->on_done = 0;
        request_end(request, SWAPCLIENT_E_CANCELLED, 0, "its handle was freed");
    }
    if (request->ready)
        TAILQ_REMOVE(&client->ready, request, in_ready);
    TAILQ_REMOVE(&client->all, request, in_all);
    pthread_mutex_unlock(&client->mutex);
    /* Best effort: without memory for it the server generates to the end, for nobody. */
    if (was_sent && request->op == SS_OP_SUBMIT)
        (void)request_post_cancel(client, request->id);
    request_destroy(request);
}

uint64_t swapclient_request_id(const struct swapclient_request *request)
{
    return request->id;
}
