/* The server, with an engine that has no models: answers, cancels, limits, clients that vanish. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/base/clock.h"
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

TestSuite(rpc_server, .init = prepare, .timeout = 60);

static const char *start(void)
{
    return fake_engine_start(&engine, &config);
}

/* Until *COUNT is WANT, or for ten seconds. */
static void wait_for(_Atomic uint64_t *count, uint64_t want)
{
    uint64_t deadline_ns = ss_now_ns() + 10 * SS_NS_PER_S;
    while (*count < want && ss_now_ns() < deadline_ns)
        usleep(1000);
    cr_assert_eq(*count, want, "%llu, want %llu", (unsigned long long)*count,
                 (unsigned long long)want);
}

Test(rpc_server, whole_answer)
{
    struct peer peer;
    struct ss_reply reply;
    peer_open(&peer, start(), 0);
    peer_submit(&peer, 9, "echo", 4, false);
    peer_expect(&peer, 9, SS_REPLY_DONE, &reply);
    cr_expect_eq(reply.seq, 0);
    cr_expect(reply.fin);
    cr_assert_eq(reply.finish.rest.text.bytes, 12);
    cr_expect_arr_eq(reply.finish.rest.text.data, "t0 t1 t2 t3 ", 12);
    cr_expect_eq(reply.finish.rest.token_count, 4);
    cr_expect_eq(reply.finish.usage.completion_tokens, 4);
    cr_expect_eq(reply.finish.reason, SS_FINISH_LENGTH);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, streams_are_numbered_and_interleave)
{
    struct peer peer;
    struct ss_reply reply;
    uint32_t next[3] = {0};
    int done = 0;
    peer_open(&peer, start(), 0);
    for (uint64_t id = 0; id < 3; id++)
        peer_submit(&peer, id, "echo", 50, true);
    while (done < 3) {
        cr_assert(peer_receive(&peer, &reply, 10000));
        cr_assert(reply.has_id && reply.id < 3);
        cr_expect_eq(reply.seq, next[reply.id]);
        if (reply.kind == SS_REPLY_TOKENS) {
            cr_assert_eq(reply.piece.token_count, 1);
            cr_expect_eq(reply.piece.tokens[0], next[reply.id]);
        } else {
            cr_expect_eq(reply.kind, SS_REPLY_DONE);
            cr_expect_eq(reply.seq, 50);
            cr_expect_eq(reply.finish.rest.token_count, 0);
            done++;
        }
        next[reply.id]++;
    }
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, cancel)
{
    struct peer peer;
    struct ss_reply reply;
    peer_open(&peer, start(), 0);
    peer_submit(&peer, 1, "stuck", 4, false);
    peer_cancel(&peer, 2, 1);
    peer_expect(&peer, 2, SS_REPLY_OK, &reply);
    cr_expect(reply.ok.of_cancel && reply.ok.found);
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    cr_expect_eq(reply.finish.reason, SS_FINISH_CANCELLED);
    peer_cancel(&peer, 3, 1);
    peer_expect(&peer, 3, SS_REPLY_OK, &reply);
    cr_expect(reply.ok.of_cancel && !reply.ok.found);
    cr_expect_eq(engine.cancels, 1);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, another_clients_request_cannot_be_cancelled)
{
    struct peer owner, other;
    struct ss_reply reply;
    const char *endpoint = start();
    peer_open(&owner, endpoint, 0);
    peer_open(&other, endpoint, 0);
    peer_submit(&owner, 1, "stuck", 4, false);
    wait_for(&engine.accepted, 1);
    peer_cancel(&other, 2, 1);
    peer_expect(&other, 2, SS_REPLY_OK, &reply);
    cr_expect_not(reply.ok.found);
    cr_expect_eq(engine.cancels, 0);
    peer_close(&other);
    peer_close(&owner);
    fake_engine_stop(&engine);
}

Test(rpc_server, two_clients_may_use_the_same_id)
{
    struct peer peers[2];
    struct ss_reply reply;
    const char *endpoint = start();
    for (int i = 0; i < 2; i++) {
        peer_open(&peers[i], endpoint, 0);
        peer_submit(&peers[i], 5, "slow", (uint32_t)i + 2, false);
    }
    for (int i = 0; i < 2; i++) {
        peer_expect(&peers[i], 5, SS_REPLY_DONE, &reply);
        cr_expect_eq(reply.finish.usage.completion_tokens, (uint32_t)i + 2);
        peer_close(&peers[i]);
    }
    fake_engine_stop(&engine);
}

Test(rpc_server, a_live_id_used_again)
{
    struct peer peer;
    struct ss_reply reply;
    peer_open(&peer, start(), 0);
    peer_submit(&peer, 1, "slow", 5, false);
    peer_submit(&peer, 1, "echo", 1, false);
    cr_assert(peer_receive(&peer, &reply, 10000));
    cr_assert_eq(reply.kind, SS_REPLY_ERROR);
    cr_expect_eq(reply.error.code, SS_ERROR_BAD_REQUEST);
    cr_expect_str_eq(reply.error.field, "id");
    cr_expect_not(reply.has_id, "an error with the id would end the request that lives");
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    cr_expect_eq(reply.finish.usage.completion_tokens, 5);
    peer_submit(&peer, 1, "echo", 1, false); /* answered: free again */
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    cr_expect_eq(engine.accepted, 2);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, a_client_that_vanishes_while_nothing_is_sent)
{
    struct peer peer;
    const char *endpoint = start();
    peer_open(&peer, endpoint, 0);
    for (uint64_t id = 0; id < 5; id++)
        peer_submit(&peer, id, "stuck", 4, false);
    wait_for(&engine.accepted, 5);
    peer_close(&peer);
    wait_for(&engine.gone, 5);
    peer_expect_service(endpoint);
    fake_engine_stop(&engine);
}

Test(rpc_server, a_client_that_vanishes_in_mid_stream)
{
    struct peer peer;
    struct ss_reply reply;
    const char *endpoint = start();
    peer_open(&peer, endpoint, 0);
    peer_submit(&peer, 1, "slow", 100000, true);
    for (uint32_t i = 0; i < 3; i++) {
        peer_expect(&peer, 1, SS_REPLY_TOKENS, &reply);
        cr_expect_eq(reply.seq, i);
    }
    peer_close(&peer);
    wait_for(&engine.gone, 1);
    peer_expect_service(endpoint);
    fake_engine_stop(&engine);
}

static void expect_10000(const char *endpoint, uint64_t limit)
{
    struct peer peer;
    struct ss_reply reply;
    uint64_t refused = 0;
    peer_open(&peer, endpoint, 0);
    for (uint64_t id = 0; id < 10000; id++)
        peer_submit(&peer, id, "stuck", 4, false);
    while (refused < 10000 - limit) {
        cr_assert(peer_receive(&peer, &reply, 10000), "%llu were refused",
                  (unsigned long long)refused);
        cr_assert_eq(reply.kind, SS_REPLY_ERROR);
        cr_assert_eq(reply.error.code, SS_ERROR_OVERLOADED);
        cr_assert_eq(reply.id, limit + refused, "the first %llu are to be accepted",
                     (unsigned long long)limit);
        refused++;
    }
    cr_expect_not(peer_receive(&peer, &reply, 100));
    /* What was accepted is answered. */
    for (uint64_t id = 0; id < limit; id++) {
        peer_cancel(&peer, 20000, id);
        peer_expect(&peer, 20000, SS_REPLY_OK, &reply);
        peer_expect(&peer, id, SS_REPLY_DONE, &reply);
    }
    peer_close(&peer);
}

Test(rpc_server, ten_thousand_requests_against_the_engines_limit)
{
    const char *endpoint = start();
    expect_10000(endpoint, 1000);
    cr_expect_eq(engine.accepted, 1000);
    cr_expect_eq(engine.answered, 1000);
    fake_engine_stop(&engine);
}

Test(rpc_server, ten_thousand_requests_against_the_servers_limit)
{
    struct ss_server_counters counters;
    config.requests_max = 100;
    const char *endpoint = start();
    expect_10000(endpoint, 100);
    ss_server_counters(engine.server, &counters);
    cr_expect_eq(counters.overloaded, 9900);
    cr_expect_geq(counters.received, 10000);
    cr_expect_geq(counters.sent, 10000);
    fake_engine_stop(&engine);
}

Test(rpc_server, ten_thousand_requests_are_answered)
{
    struct peer peer;
    struct ss_reply reply;
    bool seen[10000] = {false};
    config.requests_max = 10000;
    config.reply_queue_max = 8; /* the engine waits for room, and gets it */
    const char *endpoint = start();
    engine.jobs_max = 10000;
    peer_open(&peer, endpoint, 0);
    for (uint64_t id = 0; id < 10000; id++)
        peer_submit(&peer, id, "echo", 1, false);
    for (int i = 0; i < 10000; i++) {
        cr_assert(peer_receive(&peer, &reply, 10000), "%d came", i);
        cr_assert_eq(reply.kind, SS_REPLY_DONE);
        cr_assert(reply.id < 10000 && !seen[reply.id]);
        seen[reply.id] = true;
    }
    cr_expect_eq(engine.answered, 10000);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, a_client_that_does_not_read)
{
    struct peer slow;
    struct ss_reply reply;
    config.client_buffer_bytes_max = 1 << 20;
    config.send_hwm = 4;
    const char *endpoint = start();
    peer_open(&slow, endpoint, 4);
    peer_submit(&slow, 1, "flood", 100000, true);
    peer_submit(&slow, 2, "stuck", 1, false);
    wait_for(&engine.gone, 2);
    peer_expect_service(endpoint);
    /* It reads again: what was in the sockets, then why the rest is missing. */
    bool ended[3] = {false};
    uint32_t pieces = 0;
    while (!ended[1] || !ended[2]) {
        cr_assert(peer_receive(&slow, &reply, 10000), "no end of the stream after %u pieces",
                  pieces);
        if (reply.kind == SS_REPLY_TOKENS) {
            cr_expect_eq(reply.seq, pieces);
            pieces++;
        } else {
            cr_assert_eq(reply.kind, SS_REPLY_ERROR);
            cr_expect_eq(reply.error.code, SS_ERROR_OVERLOADED);
            cr_assert(reply.id == 1 || reply.id == 2);
            ended[reply.id] = true;
        }
    }
    peer_submit(&slow, 3, "echo", 1, false);
    peer_expect(&slow, 3, SS_REPLY_DONE, &reply);
    peer_close(&slow);
    fake_engine_stop(&engine);
}

Test(rpc_server, a_client_that_reads_late_gets_everything)
{
    struct peer peer;
    struct ss_reply reply;
    config.client_buffer_bytes_max = 64 << 20;
    config.send_hwm = 2;
    peer_open(&peer, start(), 2);
    peer_submit(&peer, 1, "flood", 200, true);
    wait_for(&engine.answered, 1);
    usleep(100000);
    for (uint32_t i = 0; i < 200; i++) {
        peer_expect(&peer, 1, SS_REPLY_TOKENS, &reply);
        cr_assert_eq(reply.seq, i);
        cr_assert_eq(reply.piece.text.bytes, 65536);
    }
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    cr_expect_eq(engine.gone, 0);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, answers_after_the_last_one_are_dropped)
{
    struct peer peer;
    struct ss_reply reply;
    struct ss_reply_to nobody = {0};
    peer_open(&peer, start(), 0);
    cr_expect_eq(ss_server_reply_ok(engine.server, nobody), SS_OK);
    nobody.generation = 1;
    cr_expect_eq(ss_server_reply_ok(engine.server, nobody), SS_OK);
    nobody.slot = UINT32_MAX;
    cr_expect_eq(ss_server_reply_error(engine.server, nobody, SS_ERROR_INTERNAL, 0, "x"), SS_OK);
    peer_submit(&peer, 1, "echo", 1, false);
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    cr_expect_not(peer_receive(&peer, &reply, 50));
    peer_close(&peer);
    fake_engine_stop(&engine);
}

Test(rpc_server, stopping_sends_what_was_answered_and_does_not_hang)
{
    struct peer reader, sleeper;
    struct ss_reply reply;
    config.client_buffer_bytes_max = 64 << 20;
    config.send_hwm = 2;
    const char *endpoint = start();
    peer_open(&reader, endpoint, 0);
    peer_open(&sleeper, endpoint, 2);
    peer_submit(&sleeper, 1, "flood", 200, true);
    for (uint64_t id = 0; id < 100; id++)
        peer_submit(&reader, id, "echo", 1, false);
    wait_for(&engine.answered, 101);
    uint64_t before_ns = ss_now_ns();
    ss_server_stop(engine.server);
    uint64_t took_ms = (ss_now_ns() - before_ns) / SS_NS_PER_MS;
    cr_expect_lt(took_ms, config.linger_ms + 10000, "stopping took %llu ms",
                 (unsigned long long)took_ms);
    for (uint64_t id = 0; id < 100; id++)
        peer_expect(&reader, id, SS_REPLY_DONE, &reply);
    struct ss_reply_to nobody = {0};
    cr_expect_eq(ss_server_reply_ok(engine.server, nobody), SS_CANCELLED);
    peer_close(&reader);
    peer_close(&sleeper);
    fake_engine_stop(&engine);
}

static void *stop_server(void *argument)
{
    ss_server_stop(argument);
    return 0;
}

/* The server's thread stands in the first request's callback, the others lie in its socket, and it
 * is stopped: all are answered. */
Test(rpc_server, stopping_takes_in_what_has_come)
{
    enum { REQUESTS = 300 };
    struct peer peer;
    struct ss_reply reply;
    pthread_t stopper;
    config.requests_max = REQUESTS;
    const char *endpoint = start();
    engine.jobs_max = 0; /* all are refused, by the callback itself */
    peer_open(&peer, endpoint, 0);
    pthread_mutex_lock(&engine.mutex);
    for (uint64_t id = 0; id < REQUESTS; id++)
        peer_submit(&peer, id, "echo", 1, false);
    ss_sleep_until_ns(ss_now_ns() + 300 * SS_NS_PER_MS);
    cr_assert_eq(pthread_create(&stopper, 0, stop_server, engine.server), 0);
    ss_sleep_until_ns(ss_now_ns() + 50 * SS_NS_PER_MS);
    pthread_mutex_unlock(&engine.mutex);
    pthread_join(stopper, 0);
    for (uint64_t id = 0; id < REQUESTS; id++)
        peer_expect(&peer, id, SS_REPLY_ERROR, &reply);
    peer_close(&peer);
    fake_engine_stop(&engine);
}

/* What waits is more than the sockets hold, and takes the client ten times linger_ms to read. */
Test(rpc_server, stopping_waits_for_a_client_that_reads_slowly)
{
    enum { PIECES = 200 };
    struct peer peer;
    struct ss_reply reply;
    pthread_t stopper;
    config.client_buffer_bytes_max = 64 << 20;
    config.send_hwm = 2;
    config.linger_ms = 200;
    peer_open(&peer, start(), 2);
    peer_submit(&peer, 1, "flood", PIECES, true);
    wait_for(&engine.answered, 1);
    cr_assert_eq(pthread_create(&stopper, 0, stop_server, engine.server), 0);
    for (int piece = 0; piece < PIECES; piece++) {
        usleep(10000);
        peer_expect(&peer, 1, SS_REPLY_TOKENS, &reply);
    }
    peer_expect(&peer, 1, SS_REPLY_DONE, &reply);
    pthread_join(stopper, 0);
    peer_close(&peer);
    fake_engine_stop(&engine);
}
