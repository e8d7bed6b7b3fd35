#include "tests/unit/rpc_peer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <zmq.h>

#include "engine/base/clock.h"

#define WAIT_MS 10000

void peer_open_curve(struct peer *peer, const char *endpoint, const char *server_key,
                     const char *public_key, const char *secret_key)
{
    int none = 0;
    *peer = (struct peer){0};
    peer->context = zmq_ctx_new();
    peer->socket = zmq_socket(peer->context, ZMQ_DEALER);
    zmq_setsockopt(peer->socket, ZMQ_LINGER, &none, sizeof none);
    if (server_key) {
        zmq_setsockopt(peer->socket, ZMQ_CURVE_SERVERKEY, server_key, 40);
        zmq_setsockopt(peer->socket, ZMQ_CURVE_PUBLICKEY, public_key, 40);
        zmq_setsockopt(peer->socket, ZMQ_CURVE_SECRETKEY, secret_key, 40);
    }
    cr_assert_eq(zmq_connect(peer->socket, endpoint), 0, "%s", endpoint);
}

void peer_open(struct peer *peer, const char *endpoint, int hwm)
{
    int none = 0, wide = 100000;
    *peer = (struct peer){0};
    peer->context = zmq_ctx_new();
    peer->socket = zmq_socket(peer->context, ZMQ_DEALER);
    zmq_setsockopt(peer->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(peer->socket, ZMQ_SNDHWM, &wide, sizeof wide);
    if (hwm)
        zmq_setsockopt(peer->socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    cr_assert_eq(zmq_connect(peer->socket, endpoint), 0, "%s", endpoint);
}

void peer_close(struct peer *peer)
{
    zmq_close(peer->socket);
    zmq_ctx_term(peer->context);
    ss_frame_close(&peer->frame);
    free(peer->bytes);
}

void peer_send(struct peer *peer, const void *bytes, size_t size)
{
    cr_assert_eq(zmq_send(peer->socket, bytes, size, 0), (int)size);
}

void peer_request(struct peer *peer, const struct ss_request *request)
{
    struct ss_writer writer;
    ss_writer_open(&writer);
    ss_request_encode(&writer, request);
    cr_assert_eq(ss_writer_check(&writer), SS_OK);
    peer_send(peer, writer.buffer.data, writer.buffer.size);
    ss_writer_close(&writer);
}

void peer_submit(struct peer *peer, uint64_t id, const char *model, uint32_t max_tokens,
                 bool stream)
{
    struct ss_request request = {.op = SS_OP_SUBMIT, .id = id, .model = model};
    ss_submit_default(&request.submit);
    request.submit.prompt = (struct ss_text){"x", 1};
    request.submit.max_tokens = max_tokens;
    request.submit.stream = stream;
    peer_request(peer, &request);
}

void peer_cancel(struct peer *peer, uint64_t id, uint64_t target)
{
    struct ss_request request = {.op = SS_OP_CANCEL, .id = id, .target = target};
    peer_request(peer, &request);
}

bool peer_receive(struct peer *peer, struct ss_reply *out, int timeout_ms)
{
    struct ss_wire_error error;
    zmq_msg_t message;
    uint64_t deadline_ns = ss_now_ns() + (uint64_t)timeout_ms * SS_NS_PER_MS;
    do {
        uint64_t now_ns = ss_now_ns();
        int left_ms = now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / SS_NS_PER_MS) : 0;
        zmq_setsockopt(peer->socket, ZMQ_RCVTIMEO, &left_ms, sizeof left_ms);
        zmq_msg_init(&message);
        if (zmq_msg_recv(&message, peer->socket, 0) < 0) {
            zmq_msg_close(&message);
            return false;
        }
        size_t size = zmq_msg_size(&message);
        peer->bytes = realloc(peer->bytes, size + 1);
        memcpy(peer->bytes, zmq_msg_data(&message), size);
        zmq_msg_close(&message);
        enum ss_status status =
            ss_reply_decode(&peer->frame, peer->bytes, size, SIZE_MAX, out, &error);
        cr_assert_eq(status, SS_OK, "%s: %s", error.field, error.message);
    } while (out->kind == SS_REPLY_PROBE);
    return true;
}

void peer_expect(struct peer *peer, uint64_t id, enum ss_reply_kind kind, struct ss_reply *out)
{
    cr_assert(peer_receive(peer, out, WAIT_MS), "no \"%s\" came", ss_reply_kind_name(kind));
    cr_assert_eq(out->kind, kind, "\"%s\" came, want \"%s\"%s%s", ss_reply_kind_name(out->kind),
                 ss_reply_kind_name(kind), out->kind == SS_REPLY_ERROR ? ": " : "",
                 out->kind == SS_REPLY_ERROR ? out->error.message : "");
    cr_assert(out->has_id);
    cr_assert_eq(out->id, id);
}

void peer_expect_service(const char *endpoint)
{
    struct peer peer;
    struct ss_reply reply;
    struct ss_request request = {.op = SS_OP_STATUS, .id = 1};
    peer_open(&peer, endpoint, 0);
    peer_request(&peer, &request);
    peer_expect(&peer, 1, SS_REPLY_STATUS, &reply);
    cr_expect_eq(reply.status.rank_count, 2);
    peer_close(&peer);
}
