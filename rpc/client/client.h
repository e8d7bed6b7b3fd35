/* The client's inside: what its files share.
 *
 * One mutex guards everything in struct swapclient but what is marked as the I/O thread's. That
 * thread never holds it while it waits. */
#ifndef SS_RPC_CLIENT_CLIENT_H
#define SS_RPC_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <zmq.h>

#include "rpc/swapclient.h"
#include "rpc/wire/reply_codec.h"
#include "rpc/wire/request_codec.h"

#define SS_CLIENT_BUCKETS 4096 /* a power of two */

enum request_state { REQUEST_WAITING, REQUEST_SENT, REQUEST_ENDED };

/* Text and tokens that grow; both keep room for a terminator. */
struct harvest {
    char *text;
    size_t text_bytes, text_bytes_max;
    uint32_t *tokens;
    size_t token_count, token_count_max;
};

struct swapclient_request {
    struct swapclient *client;
    uint64_t id;
    enum ss_op op;
    enum request_state state;
    bool internal; /* nobody holds the handle: freed when it ends */
    bool ready;    /* is in the client's list of those whose callbacks are due */
    bool done_called;
    TAILQ_ENTRY(swapclient_request) in_all;
    TAILQ_ENTRY(swapclient_request) in_sending; /* while REQUEST_WAITING */
    TAILQ_ENTRY(swapclient_request) in_ready;
    LIST_ENTRY(swapclient_request) in_bucket; /* until REQUEST_ENDED */
    pthread_cond_t changed;
    void *bytes; /* the encoded request, until it is sent */
    size_t size;
    uint64_t submitted_ns;
    uint64_t connect_by_ns;
    uint64_t answer_by_ns; /* UINT64_MAX: never */
    uint32_t seq;          /* of the next answer */
    void (*on_piece)(void *, struct swapclient_request *, const struct swapclient_piece *);
    void (*on_done)(void *, struct swapclient_request *, const struct swapclient_result *);
    void *user;
    struct harvest all;
    size_t text_seen, tokens_seen; /* of ALL, by swapclient_next() or on_piece */
    struct harvest view;           /* what the latest piece points to; the holder's */
    struct swapclient_result result;
    char message[512];
    char field[64];
    void *reply; /* the frame that answered a control request */
    size_t reply_bytes;
};

TAILQ_HEAD(request_list, swapclient_request);
LIST_HEAD(request_bucket, swapclient_request);

struct swapclient {
    pthread_mutex_t mutex;
    struct request_list all;
    struct request_list sending;
    struct request_list ready;
    struct request_bucket buckets[SS_CLIENT_BUCKETS];
    uint32_t in_flight;
    uint64_t next_id;
    uint64_t expire_at_ns; /* no time limit ends before this */
    bool closing;
    char trouble[256]; /* why there is no connection, as far as is known */
    /* constant */
    char *endpoint;
    uint32_t connect_timeout_ms;
    uint32_t in_flight_max;
    uint64_t reply_bytes_max;
    char *keys[3]; /* server, public, secret; or null */
    int ready_fd;
    int wake_fd;
    pthread_t thread;
    void *context;
    /* the I/O thread's */
    void *dealer;
    void *monitor;
    uint32_t monitor_count;
    bool connected;
    bool lost;
    struct ss_frame frame;
};

/* error.c: sets this thread's message and returns ERROR. */
int client_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
int client_error_of(enum ss_error_code code);

/* request.c: a request with FRAME encoded, not yet known to the client. MODEL as in ss_request. */
int request_create(struct swapclient *client, struct ss_request *frame,
                   struct swapclient_request **out);
/* Not in any list any more. */
void request_destroy(struct swapclient_request *request);
/* Puts it on its way; from then on the client knows it. Locks. */
int request_post(struct swapclient_request *request);
/* Asks the server to cancel the request with TARGET. Locks. */
int request_post_cancel(struct swapclient *client, uint64_t target);
struct swapclient_request *request_find(struct swapclient *client, uint64_t id);
/* Under the mutex: the request has ended with ERROR; wakes whoever waits. Frees internal ones. */
void request_end(struct swapclient_request *request, int error, const char *field,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Under the mutex: somebody should look at REQUEST. */
void request_notify(struct swapclient_request *request);
void client_wake(struct swapclient *client);

/* harvest.c: false if memory ran out. */
bool harvest_add(struct harvest *harvest, const char *text, size_t text_bytes,
                 const uint32_t *tokens, size_t token_count);
void harvest_free(struct harvest *harvest);

/* answer.c: takes in one frame from the server. Locks. */
void client_take_answer(struct swapclient *client, const void *bytes, size_t size);

/* socket.c: of the I/O thread. */
int client_connect(struct swapclient *client);
void client_disconnect(struct swapclient *client, int linger_ms);
void client_watch(struct swapclient *client); /* reads the monitor: connected, lost, trouble */

/* io.c: the thread. */
void *client_run(void *client);

#endif
