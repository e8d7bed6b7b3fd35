/* A client made of a bare DEALER socket and the codec, for tests of the server: it does what a
 * well-behaved client would not. Every failure fails the test. */
#ifndef SS_TESTS_RPC_PEER_H
#define SS_TESTS_RPC_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "rpc/wire/reply_codec.h"
#include "rpc/wire/request_codec.h"

struct peer {
    void *context;
    void *socket;
    struct ss_frame frame;
    void *bytes; /* what the latest reply points to */
    size_t bytes_max;
};

/* HWM: receive queue in messages; 0: the default. Heartbeats are off. */
void peer_open(struct peer *peer, const char *endpoint, int hwm);
/* The same with CURVE keys (null: none). */
void peer_open_curve(struct peer *peer, const char *endpoint, const char *server_key,
                     const char *public_key, const char *secret_key);
void peer_close(struct peer *peer);

/* Blocks while the socket is full. */
void peer_send(struct peer *peer, const void *bytes, size_t size);
void peer_request(struct peer *peer, const struct ss_request *request);
void peer_submit(struct peer *peer, uint64_t id, const char *model, uint32_t max_tokens,
                 bool stream);
void peer_cancel(struct peer *peer, uint64_t id, uint64_t target);

/* The next answer that is no probe; false if none comes within TIMEOUT_MS. */
bool peer_receive(struct peer *peer, struct ss_reply *out, int timeout_ms);
/* The same, which must come, with ID and KIND. */
void peer_expect(struct peer *peer, uint64_t id, enum ss_reply_kind kind, struct ss_reply *out);

/* Asks for the status and gets it: the server is alive and well. */
void peer_expect_service(const char *endpoint);

#endif
