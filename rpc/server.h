/* The front door: requests come in over ZeroMQ, answers go out.
 *
 * One thread owns the ROUTER socket. It decodes each request, answers itself what is wrong in
 * form, and hands the rest to a callback. Answers may come from any thread. The server knows
 * nothing of models or of a controller; it promises that
 *   - each live request has one struct ss_reply_to, and what is answered after the last answer, or
 *     after on_gone(), is dropped silently;
 *   - a request id that its client has in use is refused (bad_request);
 *   - the answers to one request leave in the order in which they were given, numbered from 0;
 *   - a client that reads too slowly costs at most client_buffer_bytes_max, one that has vanished
 *     costs nothing: on_gone() is called for each of its live requests. A client with live requests
 *     is probed every probe_ms, so that this happens without a stream as well.
 *
 * Life: create (binds, so that a bad endpoint fails here), start, stop, destroy. */
#ifndef SS_RPC_SERVER_H
#define SS_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "rpc/reply.h"
#include "rpc/report.h"
#include "rpc/request.h"

struct ss_server;

/* Names one live request; plain data, may be kept and compared. All zero never names one. */
struct ss_reply_to {
    uint64_t id; /* the client's request id, for logs: not unique among clients */
    uint32_t slot;
    uint32_t generation;
};

/* Called on the server's thread only; must not block. Any ss_server_reply_*() may be called from
 * inside. */
struct ss_server_callbacks {
    /* Every op but cancel comes here and must be answered: in the end by one call that is not
     * ss_server_reply_tokens(), unless on_gone(TO) comes first. */
    void (*on_request)(void *user, const struct ss_request *request, struct ss_reply_to to);
    /* The client asks to cancel TO, a live submit. It must still be answered, best with what there
     * is and SS_FINISH_CANCELLED. The cancel request itself was answered. May come more than once,
     * and after the last answer was given but not yet sent. */
    void (*on_cancel)(void *user, struct ss_reply_to to);
    /* TO's client has vanished or reads too slowly: TO, of whatever op, is dead; no answer is
     * needed. */
    void (*on_gone)(void *user, struct ss_reply_to to);
};

struct ss_server_config {
    const char *const *endpoints; /* tcp://127.0.0.1:5555, tcp://127.0.0.1:*, ipc:///path */
    size_t endpoint_count;
    uint32_t requests_max; /* live submits; more are refused: overloaded */
    uint32_t controls_max; /* live requests of the other ops */
    uint32_t clients_max;  /* clients with live requests or unsent answers */
    /* A larger request is refused: too_long. One over twice this and 64 KiB costs its client the
     * connection: the bytes are not even received. */
    uint64_t request_bytes_max;
    uint64_t client_buffer_bytes_max; /* unsent answers behind the socket's own queue */
    uint32_t reply_queue_max; /* answers between the threads that give them and the socket */
    int send_hwm;             /* messages per client in the socket's own queues */
    int receive_hwm;
    uint32_t heartbeat_ms;         /* ZMTP pings; 0: none */
    uint32_t heartbeat_timeout_ms; /* silence after which a connection counts as lost */
    uint32_t probe_ms;
    uint32_t linger_ms; /* how long ss_server_stop() waits for clients that take nothing */
    /* CURVE: null means plain text. Keys are Z85, 40 characters. With a secret key only clients
     * whose public keys are listed get in. */
    const char *curve_secret_key;
    const char *const *curve_client_keys;
    size_t curve_client_key_count;
};

/* The defaults, without an endpoint. */
void ss_server_config_default(struct ss_server_config *config);

/* Binds every endpoint. CONFIG and its strings are copied; CALLBACKS too. SS_INVALID names the
 * endpoint, the key or the limit; SS_IO where binding fails (in use, no permission). */
SS_MUST_CHECK enum ss_status ss_server_create(struct ss_server **out,
                                              const struct ss_server_config *config,
                                              const struct ss_server_callbacks *callbacks,
                                              void *user);

/* Starts the thread: callbacks may come from now on, until ss_server_stop() has returned. */
SS_MUST_CHECK enum ss_status ss_server_start(struct ss_server *server);

/* Takes in the requests that have come, which only callbacks can answer any more; sends the answers
 * given so far, for as long as clients take them (a minute or so at most, by default; what is left
 * then ends with an error, where that fits); closes the sockets and ends the thread. Not from a
 * callback. Answers given later are dropped. Safe to call twice or without start. */
void ss_server_stop(struct ss_server *server);

/* Stops if need be and frees everything. No other thread may be inside a call. Null is allowed. */
void ss_server_destroy(struct ss_server *server);

/* The INDEXth endpoint as bound, with the port that "*" became; "" past the end. Borrowed. */
const char *ss_server_endpoint(const struct ss_server *server, size_t index);

/* Answers. From any thread; everything passed is copied. They wait while the reply queue is full
 * (the server's thread empties it without ever waiting for a client), except on the server's own
 * thread, which never waits: so give no answer from another thread under a lock that a callback
 * takes. SS_NO_MEMORY: nothing was sent, and the request still lives;
 * SS_CANCELLED: the server has stopped. All but tokens are last answers. */
SS_MUST_CHECK enum ss_status ss_server_reply_tokens(struct ss_server *server, struct ss_reply_to to,
                                                    const struct ss_piece *piece);
SS_MUST_CHECK enum ss_status ss_server_reply_finish(struct ss_server *server, struct ss_reply_to to,
                                                    const struct ss_finish *finish);
SS_MUST_CHECK enum ss_status ss_server_reply_ok(struct ss_server *server, struct ss_reply_to to);
SS_MUST_CHECK enum ss_status ss_server_reply_status(struct ss_server *server, struct ss_reply_to to,
                                                    const struct ss_server_status *status);
SS_MUST_CHECK enum ss_status ss_server_reply_models(struct ss_server *server, struct ss_reply_to to,
                                                    const struct ss_model_info *models,
                                                    size_t count);

/* FIELD is the request's field that is at fault, or null. The message should say what was found
 * and what would be right; it is cut at SS_MESSAGE_BYTES. */
SS_MUST_CHECK enum ss_status ss_server_reply_error(struct ss_server *server, struct ss_reply_to to,
                                                   enum ss_error_code code, const char *field,
                                                   const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Counts since the start, for status and tests. From any thread. */
struct ss_server_counters {
    uint64_t received;   /* frames */
    uint64_t malformed;  /* answered here: wrong in form */
    uint64_t overloaded; /* answered here: a limit of this server */
    uint64_t gone;       /* requests that ended in on_gone() */
    uint64_t sent;       /* answers given to the socket */
};

void ss_server_counters(const struct ss_server *server, struct ss_server_counters *out);

#endif
