/* The server's inside: what its files share. Everything runs on the server's thread unless it says
 * otherwise. */
#ifndef SS_RPC_SERVER_DOOR_H
#define SS_RPC_SERVER_DOOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <zmq.h>

#include "rpc/server.h"
#include "rpc/server/reply_queue.h"
#include "rpc/server/table.h"
#include "rpc/server/zap.h"
#include "rpc/wire/reader.h"
#include "rpc/wire/reply_codec.h"
#include "rpc/wire/wire_error.h"

struct ss_server {
    struct ss_server_config config; /* its pointers are of no use after create */
    struct ss_server_callbacks callbacks;
    void *user;
    char **endpoints; /* as bound */
    size_t endpoint_count;
    void *context;
    void *router;
    struct ss_zap zap; /* without CURVE: zeroed */
    struct ss_table table;
    struct ss_reply_queue outbox;
    struct ss_frame frame;
    uint64_t probe_at_ns;
    pthread_t thread;
    bool started; /* the thread exists; by the thread that starts and stops */
    bool stopped;
    _Atomic bool stopping;
    struct {
        _Atomic uint64_t received, malformed, overloaded, gone, sent;
    } counters;
};

/* bind.c: true where a test wants this call on a socket to fail; errno is ERROR then. */
bool ss_door_fault(int error);

/* config.c: SS_INVALID names what is wrong. From create. */
SS_MUST_CHECK enum ss_status ss_server_config_check(const struct ss_server_config *config);

/* bind.c: makes the context and the sockets, binds them; on failure leaves what ss_door_close()
 * closes. From create. */
SS_MUST_CHECK enum ss_status ss_door_open(struct ss_server *server,
                                          const struct ss_server_config *config);
/* Closes the sockets and ends the context; unsent answers get LINGER_MS. Once: then does nothing.
 */
void ss_door_close(struct ss_server *server, int linger_ms);

/* loop.c: the thread. */
void *ss_door_run(void *server);

/* receive.c: takes in at most BUDGET requests; true if there may be more. */
bool ss_door_receive(struct ss_server *server, int budget);

/* send.c: takes what is in the outbox and gives it to the socket, or lets it wait. */
void ss_door_deliver(struct ss_server *server);
/* Tries again what waits. */
void ss_door_flush(struct ss_server *server);
/* Ends with an error, where that fits, the requests of all clients for which answers wait. */
void ss_door_give_up(struct ss_server *server);
/* Sends a probe to each client that has live requests and heard nothing for probe_ms. */
void ss_door_probe(struct ss_server *server, uint64_t now_ns);
/* Sends REPLY, which belongs to no live request, to CLIENT. */
void ss_door_answer(struct ss_server *server, uint32_t client, const struct ss_reply *reply);

/* reply.c: a letter with REPLY encoded; any thread. */
SS_MUST_CHECK enum ss_status ss_letter_create(struct ss_letter **out, struct ss_reply_to to,
                                              const struct ss_reply *reply);
/* Likewise for an answer after which none follows: whoever waits must hear something, so where
 * there is no memory for it, it is a short error that says so. */
SS_MUST_CHECK enum ss_status ss_letter_create_last(struct ss_letter **out, struct ss_reply_to to,
                                                   const struct ss_reply *reply);

#endif
