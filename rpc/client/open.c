#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "rpc/client/client.h"

#define KEY_CHARS 40

void swapclient_options_init(struct swapclient_options *options)
{
    *options = (struct swapclient_options){.endpoint = SWAPCLIENT_DEFAULT_ENDPOINT,
                                           .connect_timeout_ms = 5000,
                                           .in_flight_max = 65536,
                                           .reply_bytes_max = (uint64_t)64 << 20};
}

static int check_options(const struct swapclient_options *options)
{
    const char *const keys[3] = {options->server_key, options->public_key, options->secret_key};
    uint8_t decoded[32];
    if (!options->endpoint || (strncmp(options->endpoint, "tcp://", 6) != 0 &&
                               strncmp(options->endpoint, "ipc://", 6) != 0))
        return client_fail(SWAPCLIENT_E_INVALID,
                           "endpoint: found \"%s\", want tcp://HOST:PORT or ipc://PATH",
                           options->endpoint ? options->endpoint : "(null)");
    if (options->in_flight_max == 0 || options->reply_bytes_max == 0 ||
        options->reply_bytes_max > INT64_MAX)
        return client_fail(SWAPCLIENT_E_INVALID, "in_flight_max and reply_bytes_max must be > 0");
    for (int i = 0; i < 3; i++) {
        if (!keys[i] != !keys[0])
            return client_fail(SWAPCLIENT_E_INVALID,
                               "CURVE needs server_key, public_key and secret_key");
        if (keys[i] && (strlen(keys[i]) != KEY_CHARS || !zmq_z85_decode(decoded, keys[i])))
            return client_fail(SWAPCLIENT_E_INVALID, "key %d is not %d characters of Z85", i + 1,
                               KEY_CHARS);
    }
    return SWAPCLIENT_OK;
}

static enum ss_status copy_options(struct swapclient *client,
                                   const struct swapclient_options *options)
{
    const char *const keys[3] = {options->server_key, options->public_key, options->secret_key};
    client->connect_timeout_ms = options->connect_timeout_ms;
    client->in_flight_max = options->in_flight_max;
    client->reply_bytes_max = options->reply_bytes_max;
    enum ss_status status = ss_strdup(&client->endpoint, options->endpoint);
    for (int i = 0; !status && i < 3 && keys[i]; i++)
        status = ss_strdup(&client->keys[i], keys[i]);
    return status;
}

static void destroy(struct swapclient *client)
{
    client_disconnect(client, 0);
    while (client->context && zmq_ctx_term(client->context) && errno == EINTR)
        continue;
    if (client->ready_fd >= 0)
        close(client->ready_fd);
    if (client->wake_fd >= 0)
        close(client->wake_fd);
    ss_frame_close(&client->frame);
    pthread_mutex_destroy(&client->mutex);
    ss_free(client->endpoint);
    for (int i = 0; i < 3; i++)
        ss_free(client->keys[i]);
    ss_free(client);
}

int swapclient_open(struct swapclient **out, const struct swapclient_options *options)
{
    struct swapclient_options defaults;
    struct swapclient *client;
    swapclient_options_init(&defaults);
    if (!options)
        options = &defaults;
    int error = check_options(options);
    if (error)
        return error;
    if (ss_alloc(&client, 1, sizeof *client, "client"))
        return client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    pthread_mutex_init(&client->mutex, 0);
    TAILQ_INIT(&client->all);
    TAILQ_INIT(&client->sending);
    TAILQ_INIT(&client->ready);
    client->next_id = 1;
    client->expire_at_ns = UINT64_MAX;
    client->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->context = zmq_ctx_new();
    if (client->ready_fd < 0 || client->wake_fd < 0 || !client->context)
        error = client_fail(SWAPCLIENT_E_NO_MEMORY, "opening a client: %s", strerror(errno));
    else if (copy_options(client, options))
        error = client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    if (!error)
        error = client_connect(client);
    if (!error && ss_thread_start(&client->thread, "ss-client", client_run, client))
        error = client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    if (error)
        destroy(client);
    else
        *out = client;
    return error;
}

void swapclient_close(struct swapclient *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    pthread_mutex_unlock(&client->mutex);
    client_wake(client);
    pthread_join(client->thread, 0);
    /* From here on this is the only thread; the mutex is for the functions that expect it. */
    pthread_mutex_lock(&client->mutex);
    struct swapclient_request *request = TAILQ_FIRST(&client->all);
    while (request) {
        struct swapclient_request *next = TAILQ_NEXT(request, in_all);
        if (request->state != REQUEST_ENDED)
            request_end(request, SWAPCLIENT_E_CLOSED, 0, "the client was closed");
        request = next;
    }
    pthread_mutex_unlock(&client->mutex);
    while (swapclient_process(client) > 0)
        continue;
    while ((request = TAILQ_FIRST(&client->all))) {
        TAILQ_REMOVE(&client->all, request, in_all);
        request_destroy(request);
    }
    destroy(client);
}
