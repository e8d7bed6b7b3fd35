/* The server's doors: endpoints, keys, configuration, and bytes that are no requests. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/base/log.h"
#include "tests/unit/rpc_fake_engine.h"
#include "tests/unit/rpc_peer.h"

static struct fake_engine engine;
static struct ss_server_config config;

static void prepare(void)
{
    ss_log_set_level(SS_LOG_ERROR);
    fake_config(&config, 0);
}

TestSuite(rpc_server_door, .init = prepare, .timeout = 60);

static const char *start(void)
{
    return fake_engine_start(&engine, &config);
}

/* A plain TCP connection to a ZeroMQ endpoint. */
static int dial(const char *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Greets as a DEALER of ZMTP 3.0 without security does (https://rfc.zeromq.org/spec/23/). */
static int dial_and_greet(const char *endpoint)
{
    uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const uint8_t ready[] = {4,   27,  5,   'R', 'E', 'A', 'D', 'Y', 11,  'S',
                                    'o', 'c', 'k', 'e', 't', '-', 'T', 'y', 'p', 'e',
                                    0,   0,   0,   6,   'D', 'E', 'A', 'L', 'E', 'R'};
    uint8_t answer[512];
    int fd = dial(endpoint);
    cr_assert_eq(write(fd, greeting, sizeof greeting), sizeof greeting);
    for (size_t got = 0; got < 64;) {
        ssize_t more = read(fd, answer, 64 - got);
        cr_assert_gt(more, 0);
        got += (size_t)more;
    }
    uint8_t frame[2 + 28] = {4, 28};
    memcpy(frame + 2, ready + 2, sizeof ready - 2);
    cr_assert_eq(write(fd, frame, sizeof frame), sizeof frame);
    cr_assert_gt(read(fd, answer, sizeof answer), 0, "the handshake was refused");
    return fd;
}

Test(rpc_server_door, half_sent_frames)
{
    static const uint8_t half[] = {0, 200, 0x8a, 0xa1, 'v', 1};
    static const uint8_t huge[] = {2, 0, 0, 0, 0x7f, 0, 0, 0, 0, 'x'}; /* 545 GB announced */
    static const uint8_t bomb[] = {0, 5, 0xdd, 0x0f, 0xff, 0xff, 0xff};
    const char *endpoint = start();
    int fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = dial_and_greet(endpoint);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(write(fds[i], half, sizeof half), sizeof half);
    cr_assert_eq(write(fds[4], huge, sizeof huge), sizeof huge);
    cr_assert_eq(write(fds[5], bomb, sizeof bomb), sizeof bomb);
    peer_expect_service(endpoint); /* while they hang there */
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    peer_expect_service(endpoint);
    fake_engine_stop(&engine);
}

Test(rpc_server_door, bytes_that_are_no_zeromq)
{
    const char *endpoint = start();
    char noise[4096];
    for (int i = 0; i < 20; i++) {
        int fd = dial(endpoint);
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (char)(k * 2654435761u >> (i + 3));
        if (i == 0)
            memcpy(noise, "GET / HTTP/1.1\r\n\r\n", 18);
        /* The server may hang up before it has it all. */
        cr_expect(send(fd, noise, sizeof noise, MSG_NOSIGNAL) != 0);
        close(fd);
    }
    peer_expect_service(endpoint);
    fake_engine_stop(&engine);
}

static void expect_refusal(struct peer *peer, enum ss_error_code code)
{
    struct ss_reply reply;
    cr_assert(peer_receive(peer, &reply, 10000));
    cr_assert_eq(reply.kind, SS_REPLY_ERROR);
    cr_expect_eq(reply.error.code, code, "%s", reply.error.message);
    cr_expect_gt(strlen(reply.error.message), 0);
}

Test(rpc_server_door, malformed_requests_are_answered)
{
    static const uint8_t bomb[] = {0xdd, 0x0f, 0xff, 0xff, 0xff};
    static const uint8_t version[] = {0x82, 0xa1, 'v', 2, 0xa2, 'i', 'd', 9};
    struct peer peer;
    struct ss_server_counters counters;
    char deep[1000];
    const char *endpoint = start();
    memset(deep, 0x91, sizeof deep);
    peer_open(&peer, endpoint, 0);
    peer_send(&peer, bomb, sizeof bomb);
    expect_refusal(&peer, SS_ERROR_BAD_REQUEST);
    peer_send(&peer, deep, sizeof deep);
    expect_refusal(&peer, SS_ERROR_BAD_REQUEST);
    peer_send(&peer, "", 0);
    expect_refusal(&peer, SS_ERROR_BAD_REQUEST);
    peer_send(&peer, "hello", 5);
    expect_refusal(&peer, SS_ERROR_BAD_REQUEST);
    peer_send(&peer, version, sizeof version);
    expect_refusal(&peer, SS_ERROR_UNSUPPORTED_VERSION);
    /* Two frames. */
    cr_assert_eq(zmq_send(peer.socket, "a", 1, ZMQ_SNDMORE), 1);
    peer_send(&peer, "b", 1);
    expect_refusal(&peer, SS_ERROR_BAD_REQUEST);
    ss_server_counters(engine.server, &counters);
    cr_expect_eq(counters.malformed, 6);
    peer_expect_service(endpoint);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server_door, a_broken_request_does_not_end_the_live_one_it_names)
{
    static const uint8_t broken[] = {0x82, 0xa2, 'i', 'd', 7, 0xa1, 'v', 0xc1};
    struct peer peer;
    struct ss_reply reply;
    peer_open(&peer, start(), 0);
    peer_submit(&peer, 7, "slow", 3, false);
    peer_send(&peer, broken, sizeof broken);
    cr_assert(peer_receive(&peer, &reply, 10000));
    cr_assert_eq(reply.kind, SS_REPLY_ERROR);
    cr_expect_not(reply.has_id);
    peer_expect(&peer, 7, SS_REPLY_DONE, &reply);
    peer_send(&peer, broken, sizeof broken);
    cr_assert(peer_receive(&peer, &reply, 10000));
    cr_expect(reply.has_id && reply.id == 7);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

static void send_long(struct peer *peer, size_t size)
{
    struct ss_request request = {.op = SS_OP_SUBMIT, .id = 5, .model = "echo"};
    char *text = malloc(size);
    memset(text, 'x', size);
    ss_submit_default(&request.submit);
    request.submit.prompt = (struct ss_text){text, size};
    request.submit.max_tokens = 1;
    peer_request(peer, &request);
    free(text);
}

Test(rpc_server_door, long_requests)
{
    struct peer peer, far;
    struct ss_reply reply;
    config.request_bytes_max = 100000;
    const char *endpoint = start();
    peer_open(&peer, endpoint, 0);
    send_long(&peer, 90000);
    peer_expect(&peer, 5, SS_REPLY_DONE, &reply);
    send_long(&peer, 100000);
    peer_expect(&peer, 5, SS_REPLY_ERROR, &reply);
    cr_expect_eq(reply.error.code, SS_ERROR_TOO_LONG);
    peer_open(&far, endpoint, 0);
    send_long(&far, 10000000);
    cr_expect_not(peer_receive(&far, &reply, 200)); /* it lost its connection */
    peer_expect_service(endpoint);
    peer_close(&far);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

static void expect_no_server(enum ss_status want, const char *says)
{
    static const struct ss_server_callbacks callbacks;
    struct ss_server_callbacks given = callbacks;
    struct ss_server *server = 0;
    /* They are never called: the server is not started. */
    given.on_request = (void (*)(void *, const struct ss_request *, struct ss_reply_to))abort;
    given.on_cancel = given.on_gone = (void (*)(void *, struct ss_reply_to))abort;
    cr_expect_eq(ss_server_create(&server, &config, &given, 0), want, "%s", says);
    cr_expect_null(server);
    cr_expect_not_null(strstr(ss_status_message(), says), "\"%s\" does not say \"%s\"",
                       ss_status_message(), says);
}

Test(rpc_server_door, endpoints)
{
    const char *wrong = "tcp://nowhere";
    const char *odd = "carrier-pigeon://x";
    char path[] = "/tmp/swapserve-door-XXXXXX";
    char ipc[64];
    const char *both[2];
    const char *taken = start();
    config.endpoints = &taken;
    expect_no_server(SS_IO, taken);
    config.endpoints = &wrong;
    expect_no_server(SS_INVALID, wrong);
    config.endpoints = &odd;
    expect_no_server(SS_INVALID, odd);
    config.endpoint_count = 0;
    expect_no_server(SS_INVALID, "endpoints");
    fake_engine_stop(&engine);
    cr_assert_not_null(mkdtemp(path));
    snprintf(ipc, sizeof ipc, "ipc://%s/s", path);
    both[0] = "tcp://127.0.0.1:*";
    both[1] = ipc;
    config.endpoints = both;
    config.endpoint_count = 2;
    fake_engine_start(&engine, &config);
    cr_expect_str_eq(ss_server_endpoint(engine.server, 1), ipc);
    cr_expect_str_eq(ss_server_endpoint(engine.server, 2), "");
    peer_expect_service(ipc);
    peer_expect_service(ss_server_endpoint(engine.server, 0));
    config.endpoints = &both[1];
    config.endpoint_count = 1;
    expect_no_server(SS_IO, "in use");
    peer_expect_service(ipc); /* its clients were not taken away */
    fake_engine_stop(&engine);
    fake_engine_start(&engine, &config); /* and it can be bound again */
    peer_expect_service(ipc);
    fake_engine_stop(&engine);
    unlink(ipc + 6);
    rmdir(path);
}

Test(rpc_server_door, limits_are_checked)
{
    config.requests_max = 0;
    expect_no_server(SS_INVALID, "requests_max");
    config.requests_max = 1;
    config.send_hwm = 0;
    expect_no_server(SS_INVALID, "send_hwm");
    config.send_hwm = 1;
    config.curve_secret_key = "short";
    expect_no_server(SS_INVALID, "nobody");
    const char *key = "neither";
    config.curve_client_keys = &key;
    config.curve_client_key_count = 1;
    expect_no_server(SS_INVALID, "secret key");
    config.curve_secret_key = 0;
    expect_no_server(SS_INVALID, "plain text");
}

Test(rpc_server_door, a_server_that_was_not_started_is_destroyed)
{
    struct ss_server *server;
    static const struct ss_server_callbacks none;
    struct ss_server_callbacks given = none;
    given.on_request = (void (*)(void *, const struct ss_request *, struct ss_reply_to))abort;
    given.on_cancel = given.on_gone = (void (*)(void *, struct ss_reply_to))abort;
    cr_assert_eq(ss_server_create(&server, &config, &given, 0), SS_OK);
    ss_server_destroy(server);
    ss_server_destroy(0);
}

Test(rpc_server_door, only_listed_keys_get_in)
{
    char server_public[41], server_secret[41];
    char good_public[41], good_secret[41];
    char bad_public[41], bad_secret[41];
    cr_assert_eq(zmq_curve_keypair(server_public, server_secret), 0);
    cr_assert_eq(zmq_curve_keypair(good_public, good_secret), 0);
    cr_assert_eq(zmq_curve_keypair(bad_public, bad_secret), 0);
    const char *listed = good_public;
    struct peer good, bad, plain;
    struct ss_reply reply;
    config.curve_secret_key = server_secret;
    config.curve_client_keys = &listed;
    config.curve_client_key_count = 1;
    const char *endpoint = start();
    peer_open_curve(&bad, endpoint, server_public, bad_public, bad_secret);
    peer_open_curve(&plain, endpoint, 0, 0, 0);
    peer_open_curve(&good, endpoint, server_public, good_public, good_secret);
    peer_submit(&bad, 1, "echo", 1, false);
    peer_submit(&plain, 1, "echo", 1, false);
    peer_submit(&good, 1, "echo", 1, false);
    peer_expect(&good, 1, SS_REPLY_DONE, &reply);
    cr_expect_not(peer_receive(&bad, &reply, 300));
    cr_expect_not(peer_receive(&plain, &reply, 300));
    cr_expect_eq(engine.accepted, 1);
    peer_close(&good);
    peer_close(&plain);
    peer_close(&bad);
    fake_engine_stop(&engine);
}
