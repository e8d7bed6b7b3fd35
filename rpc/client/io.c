/* The I/O thread: sends what waits, takes in answers, ends what is out of time. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "rpc/client/client.h"

#define CLOSE_LINGER_MS 100

/* How long to wait at most; *WANT_SEND: something can be sent as soon as there is room. */
static long prepare_wait(struct swapclient *client, bool *want_send)
{
    pthread_mutex_lock(&client->mutex);
    uint64_t now_ns = ss_now_ns();
    uint64_t at_ns = client->expire_at_ns;
    *want_send = client->connected && !TAILQ_EMPTY(&client->sending);
    pthread_mutex_unlock(&client->mutex);
    if (!client->dealer)
        return 100; /* out of descriptors or memory: try again */
    if (at_ns == UINT64_MAX)
        return -1;
    if (at_ns <= now_ns)
        return 0;
    uint64_t ms = (at_ns - now_ns) / SS_NS_PER_MS + 1;
    return ms < 3600000 ? (long)ms : 3600000;
}

static void wait_for_work(struct swapclient *client)
{
    bool want_send;
    uint64_t count;
    long timeout_ms = prepare_wait(client, &want_send);
    zmq_pollitem_t items[] = {
        {.fd = client->wake_fd, .events = ZMQ_POLLIN},
        {.socket = client->monitor, .events = ZMQ_POLLIN},
        {.socket = client->dealer,
         .events = (short)(want_send ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN)},
    };
    zmq_poll(items, client->dealer ? 3 : 1, timeout_ms);
    if (read(client->wake_fd, &count, sizeof count) < 0)
        SS_ASSERT(errno == EAGAIN || errno == EINTR);
}

static void receive(struct swapclient *client)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (client->dealer && zmq_msg_recv(&message, client->dealer, ZMQ_DONTWAIT) >= 0)
        client_take_answer(client, zmq_msg_data(&message), zmq_msg_size(&message));
    zmq_msg_close(&message);
}

static void end_lost(struct swapclient *client)
{
    struct swapclient_request *request = TAILQ_FIRST(&client->all);
    while (request) {
        struct swapclient_request *next = TAILQ_NEXT(request, in_all);
        if (request->state == REQUEST_SENT)
            request_end(request, SWAPCLIENT_E_CONNECTION_LOST, 0,
                        "%s: the connection was lost before the answer (a request far over the "
                        "server's size limit ends so, too)",
                        client->endpoint);
        request = next;
    }
}

/* Ends REQUEST if it is out of time; else returns when it will be. */
static uint64_t expire_one(struct swapclient *client, struct swapclient_request *request,
                           uint64_t now_ns, bool *cancel)
{
    uint64_t waited_ms = (now_ns - request->submitted_ns) / SS_NS_PER_MS;
    *cancel = false;
    if (request->state == REQUEST_ENDED)
        return UINT64_MAX;
    if (now_ns >= request->answer_by_ns) {
        *cancel = request->state == REQUEST_SENT && request->op == SS_OP_SUBMIT;
        request_end(request, SWAPCLIENT_E_TIMEOUT, 0, "%s: no last answer within %llu ms",
                    client->endpoint, (unsigned long long)waited_ms);
        return UINT64_MAX;
    }
    if (request->state == REQUEST_SENT || client->connected)
        return request->answer_by_ns;
    if (now_ns >= request->connect_by_ns) {
        request_end(request, SWAPCLIENT_E_UNREACHABLE, 0, "%s: no connection within %llu ms%s%s",
                    client->endpoint, (unsigned long long)waited_ms, client->trouble[0] ? ": " : "",
                    client->trouble);
        return UINT64_MAX;
    }
    return request->connect_by_ns < request->answer_by_ns ? request->connect_by_ns
                                                          : request->answer_by_ns;
}

static void expire(struct swapclient *client)
{
    uint64_t now_ns = ss_now_ns();
    pthread_mutex_lock(&client->mutex);
    bool due = now_ns >= client->expire_at_ns;
    struct swapclient_request *request = due ? TAILQ_FIRST(&client->all) : 0;
    if (due)
        client->expire_at_ns = UINT64_MAX;
    while (request) {
        bool cancel;
        struct swapclient_request *next = TAILQ_NEXT(request, in_all);
        uint64_t id = request->id;
        uint64_t at_ns = expire_one(client, request, now_ns, &cancel);
        if (at_ns < client->expire_at_ns)
            client->expire_at_ns = at_ns;
        if (cancel) {
            /* While the mutex is free the list may change: begin again, those expired are gone. */
            pthread_mutex_unlock(&client->mutex);
            (void)request_post_cancel(client, id);
            pthread_mutex_lock(&client->mutex);
            next = TAILQ_FIRST(&client->all);
        }
        request = next;
    }
    pthread_mutex_unlock(&client->mutex);
}

static void send_waiting(struct swapclient *client)
{
    struct swapclient_request *request;
    pthread_mutex_lock(&client->mutex);
    while (client->connected && (request = TAILQ_FIRST(&client->sending))) {
        if (zmq_send(client->dealer, request->bytes, request->size, ZMQ_DONTWAIT) < 0)
            break;
        TAILQ_REMOVE(&client->sending, request, in_sending);
        request->state = REQUEST_SENT;
        free(request->bytes);
        request->bytes = 0;
    }
    pthread_mutex_unlock(&client->mutex);
}

/* A new socket: nothing of the old one must reach a server that has come back. */
static void reconnect(struct swapclient *client)
{
    client->lost = false;
    pthread_mutex_lock(&client->mutex);
    end_lost(client);
    /* What was not sent waits for the new connection; its time limit counts again. */
    client->expire_at_ns = 0;
    pthread_mutex_unlock(&client->mutex);
    client_disconnect(client, 0);
}

static bool is_closing(struct swapclient *client)
{
    pthread_mutex_lock(&client->mutex);
    bool closing = client->closing;
    pthread_mutex_unlock(&client->mutex);
    return closing;
}

void *client_run(void *argument)
{
    struct swapclient *client = argument;
    while (!is_closing(client)) {
        wait_for_work(client);
        client_watch(client);
        receive(client);
        if (client->lost)
            reconnect(client);
        if (!client->dealer)
            (void)client_connect(client);
        expire(client);
        send_waiting(client);
    }
    client_disconnect(client, CLOSE_LINGER_MS);
    return 0;
}
