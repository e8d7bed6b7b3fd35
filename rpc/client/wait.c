/* The ways to learn what became of a request: blocking, and by callbacks. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "rpc/client/client.h"

/* So many callbacks at most in one swapclient_process(): a busy stream must not hold its caller. */
#define CALLBACKS_MAX 1000

/* Under the mutex: waits for a change of REQUEST; false once DEADLINE (null: never) has passed. */
static bool wait_change(struct swapclient_request *request, const struct timespec *deadline)
{
    pthread_mutex_t *mutex = &request->client->mutex;
    if (!deadline)
        return pthread_cond_wait(&request->changed, mutex) == 0;
    return pthread_cond_timedwait(&request->changed, mutex, deadline) != ETIMEDOUT;
}

static const struct timespec *deadline_after(int timeout_ms, struct timespec *out)
{
    if (timeout_ms < 0)
        return 0;
    uint64_t at_ns = ss_now_ns() + (uint64_t)timeout_ms * SS_NS_PER_MS;
    out->tv_sec = (time_t)(at_ns / SS_NS_PER_S);
    out->tv_nsec = (long)(at_ns % SS_NS_PER_S);
    return out;
}

static bool has_unseen(const struct swapclient_request *request)
{
    return request->text_seen < request->all.text_bytes ||
           request->tokens_seen < request->all.token_count;
}

/* Under the mutex: copies what is new, because the harvest moves when it grows. False without
 * memory; then the piece is empty and comes again. */
static bool take_view(struct swapclient_request *request, struct swapclient_piece *out)
{
    struct harvest *view = &request->view;
    view->text_bytes = 0;
    view->token_count = 0;
    bool copied = harvest_add(view, request->all.text + request->text_seen,
                              request->all.text_bytes - request->text_seen,
                              request->all.tokens + request->tokens_seen,
                              request->all.token_count - request->tokens_seen);
    if (copied) {
        request->text_seen = request->all.text_bytes;
        request->tokens_seen = request->all.token_count;
    }
    *out = (struct swapclient_piece){.text = view->text,
                                     .text_bytes = view->text_bytes,
                                     .tokens = view->tokens,
                                     .token_count = view->token_count,
                                     .last = copied && request->state == REQUEST_ENDED};
    return copied;
}

int swapclient_next(struct swapclient_request *request, int timeout_ms,
                    struct swapclient_piece *out)
{
    struct timespec limit;
    const struct timespec *deadline = deadline_after(timeout_ms, &limit);
    int error = SWAPCLIENT_OK;
    pthread_mutex_lock(&request->client->mutex);
    while (!has_unseen(request) && request->state != REQUEST_ENDED && !error)
        if (!wait_change(request, deadline) && !has_unseen(request) &&
            request->state != REQUEST_ENDED)
            error = SWAPCLIENT_E_TIMEOUT;
    if (error)
        client_fail(error, "no more of the answer within %d ms", timeout_ms);
    else if (!take_view(request, out))
        error = client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    pthread_mutex_unlock(&request->client->mutex);
    return error;
}

int swapclient_wait(struct swapclient_request *request, int timeout_ms,
                    const struct swapclient_result **out)
{
    struct timespec limit;
    const struct timespec *deadline = deadline_after(timeout_ms, &limit);
    bool in_time = true;
    pthread_mutex_lock(&request->client->mutex);
    while (request->state != REQUEST_ENDED && in_time)
        in_time = wait_change(request, deadline);
    bool ended = request->state == REQUEST_ENDED;
    pthread_mutex_unlock(&request->client->mutex);
    if (out)
        *out = ended ? &request->result : 0;
    if (!ended)
        return client_fail(SWAPCLIENT_E_TIMEOUT, "no last answer within %d ms", timeout_ms);
    if (request->result.error)
        client_fail(request->result.error, "%s%s%s", request->field, request->field[0] ? ": " : "",
                    request->message);
    return request->result.error;
}

int swapclient_fd(const struct swapclient *client)
{
    return client->ready_fd;
}

/* Under the mutex. */
static void leave_ready(struct swapclient_request *request)
{
    struct swapclient *client = request->client;
    uint64_t count;
    TAILQ_REMOVE(&client->ready, request, in_ready);
    request->ready = false;
    if (TAILQ_EMPTY(&client->ready) && read(client->ready_fd, &count, sizeof count) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
}

/* One callback, of the first request that is due for one; false if none is. A request that has
 * ended stays in the list behind its last piece: the callback may free it, so that it cannot be
 * looked at afterwards. */
static bool call_one(struct swapclient *client)
{
    struct swapclient_piece piece;
    pthread_mutex_lock(&client->mutex);
    struct swapclient_request *request = TAILQ_FIRST(&client->ready);
    if (!request) {
        pthread_mutex_unlock(&client->mutex);
        return false;
    }
    bool ended = request->state == REQUEST_ENDED;
    bool has_piece = request->on_piece && has_unseen(request) && take_view(request, &piece);
    bool done = !has_piece && ended && request->on_done && !request->done_called;
    if (done)
        request->done_called = true;
    if (!has_piece || !ended)
        leave_ready(request);
    pthread_mutex_unlock(&client->mutex);
    if (has_piece)
        request->on_piece(request->user, request, &piece);
    if (done)
        request->on_done(request->user, request, &request->result);
    return true;
}

int swapclient_process(struct swapclient *client)
{
    int called = 0;
    while (called < CALLBACKS_MAX && call_one(client))
        called++;
    return called;
}
