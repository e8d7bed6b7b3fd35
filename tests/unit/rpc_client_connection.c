/* The client library and its connection: none, late, lost, refused, and servers that lie. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "rpc/swapclient.h"
#include "tests/unit/rpc_fake_engine.h"

static char folder[] = "/tmp/swapserve-client-XXXXXX";
static char endpoint[64];
static const char *endpoints[1] = {endpoint};
static struct fake_engine engine;
static struct ss_server_config config;
static struct swapclient_options options;

static void set_up(void)
{
    ss_log_set_level(SS_LOG_ERROR);
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/s", folder);
    fake_config(&config, endpoints);
    swapclient_options_init(&options);
    options.endpoint = endpoint;
}

static void tear_down(void)
{
    unlink(endpoint + 6);
    rmdir(folder);
}

TestSuite(rpc_client_connection, .init = set_up, .fini = tear_down, .timeout = 60);

static struct swapclient *open_client(void)
{
    struct swapclient *client;
    cr_assert_eq(swapclient_open(&client, &options), 0, "%s", swapclient_message());
    return client;
}

static struct swapclient_request *submit(struct swapclient *client, const char *model)
{
    struct swapclient_submit submit;
    struct swapclient_request *request;
    swapclient_submit_init(&submit);
    submit.model = model;
    submit.prompt = "x";
    submit.max_tokens = 2;
    cr_assert_eq(swapclient_submit(client, &submit, &request), 0, "%s", swapclient_message());
    return request;
}

static void expect_end(struct swapclient_request *request, int error)
{
    cr_expect_eq(swapclient_wait(request, 20000, 0), error, "%s", swapclient_message());
    swapclient_request_free(request);
}

Test(rpc_client_connection, none)
{
    struct swapclient_status *status;
    options.connect_timeout_ms = 150;
    struct swapclient *client = open_client();
    uint64_t before_ns = ss_now_ns();
    cr_expect_eq(swapclient_status(client, SWAPCLIENT_FOREVER, &status), SWAPCLIENT_E_UNREACHABLE);
    uint64_t took_ms = (ss_now_ns() - before_ns) / SS_NS_PER_MS;
    cr_expect(took_ms >= 149 && took_ms < 5000, "%llu ms", (unsigned long long)took_ms);
    cr_expect_not_null(strstr(swapclient_message(), endpoint));
    cr_expect_eq(swapclient_status(client, 50, &status), SWAPCLIENT_E_TIMEOUT);
    struct swapclient_request *request = submit(client, "echo");
    cr_expect_eq(swapclient_cancel(request), 0);
    expect_end(request, SWAPCLIENT_E_CANCELLED);
    swapclient_close(client);
}

Test(rpc_client_connection, late)
{
    struct swapclient *client = open_client();
    struct swapclient_request *request = submit(client, "echo");
    usleep(100000);
    fake_engine_start(&engine, &config);
    expect_end(request, 0);
    swapclient_close(client);
    fake_engine_stop(&engine);
}

Test(rpc_client_connection, lost_and_found)
{
    struct swapclient_request *requests[10];
    fake_engine_start(&engine, &config);
    struct swapclient *client = open_client();
    for (int i = 0; i < 10; i++)
        requests[i] = submit(client, "stuck");
    while (engine.accepted < 10)
        usleep(1000);
    fake_engine_stop(&engine);
    for (int i = 0; i < 10; i++)
        expect_end(requests[i], SWAPCLIENT_E_CONNECTION_LOST);
    requests[0] = submit(client, "echo"); /* waits for a connection */
    fake_engine_start(&engine, &config);
    expect_end(requests[0], 0);
    cr_expect_eq(engine.accepted, 1, "nothing of the old connection reached the new server");
    swapclient_close(client);
    fake_engine_stop(&engine);
}

Test(rpc_client_connection, many_restarts)
{
    struct swapclient *client = open_client();
    for (int round = 0; round < 5; round++) {
        fake_engine_start(&engine, &config);
        expect_end(submit(client, "echo"), 0);
        struct swapclient_request *stuck = submit(client, "stuck");
        while (engine.accepted < 2)
            usleep(1000);
        fake_engine_stop(&engine);
        expect_end(stuck, SWAPCLIENT_E_CONNECTION_LOST);
    }
    swapclient_close(client);
}

Test(rpc_client_connection, an_answer_before_the_loss_counts)
{
    fake_engine_start(&engine, &config);
    struct swapclient *client = open_client();
    struct swapclient_request *requests[50];
    for (int i = 0; i < 50; i++)
        requests[i] = submit(client, "echo");
    while (engine.answered < 50)
        usleep(1000);
    fake_engine_stop(&engine);
    for (int i = 0; i < 50; i++)
        expect_end(requests[i], 0);
    swapclient_close(client);
}

Test(rpc_client_connection, limits)
{
    struct swapclient_submit one;
    struct swapclient_request *request, *other;
    options.in_flight_max = 1;
    struct swapclient *client = open_client();
    request = submit(client, "echo");
    swapclient_submit_init(&one);
    one.model = "echo";
    one.prompt = "x";
    cr_expect_eq(swapclient_submit(client, &one, &other), SWAPCLIENT_E_TOO_MANY);
    swapclient_request_free(request);
    swapclient_request_free(submit(client, "echo"));
    swapclient_close(client);
}

Test(rpc_client_connection, options)
{
    struct swapclient *client = 0;
    options.endpoint = "localhost:5555";
    cr_expect_eq(swapclient_open(&client, &options), SWAPCLIENT_E_INVALID);
    cr_expect_not_null(strstr(swapclient_message(), "localhost:5555"));
    options.endpoint = "tcp://127.0.0.1:notaport";
    cr_expect_eq(swapclient_open(&client, &options), SWAPCLIENT_E_INVALID);
    options.endpoint = endpoint;
    options.server_key = "x";
    cr_expect_eq(swapclient_open(&client, &options), SWAPCLIENT_E_INVALID);
    options.public_key = options.secret_key = "x";
    cr_expect_eq(swapclient_open(&client, &options), SWAPCLIENT_E_INVALID);
    options.server_key = 0;
    cr_expect_eq(swapclient_open(&client, &options), SWAPCLIENT_E_INVALID);
    cr_expect_null(client);
    cr_assert_eq(swapclient_open(&client, 0), 0);
    swapclient_close(client);
}

Test(rpc_client_connection, keys)
{
    char server_public[41], server_secret[41], good_public[41], good_secret[41];
    char bad_public[41], bad_secret[41];
    const char *listed = good_public;
    struct swapclient_status *status;
    zmq_curve_keypair(server_public, server_secret);
    zmq_curve_keypair(good_public, good_secret);
    zmq_curve_keypair(bad_public, bad_secret);
    config.curve_secret_key = server_secret;
    config.curve_client_keys = &listed;
    config.curve_client_key_count = 1;
    fake_engine_start(&engine, &config);
    options.server_key = server_public;
    options.public_key = good_public;
    options.secret_key = good_secret;
    struct swapclient *client = open_client();
    cr_expect_eq(swapclient_status(client, 10000, &status), 0, "%s", swapclient_message());
    swapclient_status_free(status);
    swapclient_close(client);
    options.public_key = bad_public;
    options.secret_key = bad_secret;
    options.connect_timeout_ms = 500;
    client = open_client();
    cr_expect_eq(swapclient_status(client, 10000, &status), SWAPCLIENT_E_UNREACHABLE);
    cr_expect_not_null(strstr(swapclient_message(), "refused this client's key"), "%s",
                       swapclient_message());
    swapclient_close(client);
    fake_engine_stop(&engine);
}

/* A server that answers every request with the same bytes. */
struct liar {
    void *context, *socket;
    pthread_t thread;
    const void *bytes;
    size_t size;
};

static void *lie(void *argument)
{
    struct liar *liar = argument;
    char identity[256], body[4096];
    for (;;) {
        int size = zmq_recv(liar->socket, identity, sizeof identity, 0);
        if (size < 0)
            break;
        if (zmq_recv(liar->socket, body, sizeof body, 0) < 0)
            break;
        zmq_send(liar->socket, identity, (size_t)size, ZMQ_SNDMORE);
        zmq_send(liar->socket, liar->bytes, liar->size, 0);
    }
    zmq_close(liar->socket);
    return 0;
}

static void expect_protocol_error(const void *bytes, size_t size)
{
    int none = 0;
    struct liar liar = {.context = zmq_ctx_new(), .bytes = bytes, .size = size};
    liar.socket = zmq_socket(liar.context, ZMQ_ROUTER);
    zmq_setsockopt(liar.socket, ZMQ_LINGER, &none, sizeof none);
    cr_assert_eq(zmq_bind(liar.socket, endpoint), 0);
    cr_assert_eq(pthread_create(&liar.thread, 0, lie, &liar), 0);
    struct swapclient *client = open_client();
    expect_end(submit(client, "echo"), SWAPCLIENT_E_PROTOCOL);
    swapclient_close(client);
    zmq_ctx_shutdown(liar.context);
    pthread_join(liar.thread, 0);
    zmq_ctx_term(liar.context);
}

Test(rpc_client_connection, servers_that_make_no_sense)
{
    static const uint8_t bomb[] = {0xdd, 0x0f, 0xff, 0xff, 0xff};
    static const uint8_t status[] = {0x84, 0xa1, 'v',  1,    0xa2, 'i', 'd', 1,
                                     0xa2, 'o',  'p',  0xa6, 's',  't', 'a', 't',
                                     'u',  's',  0xa3, 'f',  'i',  'n', 0xc3};
    static const uint8_t gap[] = {0x85, 0xa1, 'v', 1,   0xa2, 'i',  'd',  1,   0xa2, 'o', 'p',
                                  0xa5, 'e',  'r', 'r', 'o',  'r',  0xa3, 's', 'e',  'q', 5,
                                  0xa4, 'c',  'o', 'd', 'e',  0xa4, 'b',  'u', 's',  'y'};
    static const uint8_t version[] = {0x82, 0xa1, 'v', 9, 0xa2, 'i', 'd', 1};
    expect_protocol_error(bomb, sizeof bomb);
    expect_protocol_error(status, sizeof status);
    expect_protocol_error(gap, sizeof gap);
    expect_protocol_error(version, sizeof version);
    expect_protocol_error("", 0);
}
