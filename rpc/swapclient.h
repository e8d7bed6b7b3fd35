/* libswapclient: the C client of swapserve.
 *
 * A client holds one connection, kept by a thread of its own. Every function may be called from any
 * thread, but a request's handle is for one thread at a time.
 *
 * Two ways to get answers, which may be mixed among requests, not within one:
 *   - blocking: swapclient_submit(), then swapclient_next() for each piece of a stream and
 *     swapclient_wait() for the result; or swapclient_generate() for all of it;
 *   - by callbacks: swapclient_submit() with on_piece or on_done set; wait for swapclient_fd() to
 * be readable in your own event loop, then call swapclient_process(), which calls them.
 *
 * Functions return 0 or an error of enum swapclient_error. swapclient_message() has the details of
 * this thread's latest error.
 *
 * Connections. swapclient_open() does not wait for one. A request waits for a connection for
 * connect_timeout_ms, then fails: SWAPCLIENT_E_UNREACHABLE. When a connection is lost, what was
 * sent over it and is not answered fails at once with SWAPCLIENT_E_CONNECTION_LOST (it may have
 * been executed: whether to submit it again is the caller's choice), what was not sent stays, and
 * the client goes on trying to connect. */
#ifndef SWAPCLIENT_H
#define SWAPCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SWAPCLIENT_API __attribute__((visibility("default")))

#define SWAPCLIENT_DEFAULT_ENDPOINT "tcp://127.0.0.1:5555"
#define SWAPCLIENT_FOREVER          (-1)

struct swapclient;
struct swapclient_request;

enum swapclient_error {
    SWAPCLIENT_OK = 0,
    /* found on this side */
    SWAPCLIENT_E_INVALID = 1,     /* an argument is wrong */
    SWAPCLIENT_E_NO_MEMORY,       /* or no thread, no descriptor */
    SWAPCLIENT_E_TIMEOUT,         /* the time given has passed */
    SWAPCLIENT_E_UNREACHABLE,     /* no connection within connect_timeout_ms */
    SWAPCLIENT_E_CONNECTION_LOST, /* after the request was sent, before its last answer */
    SWAPCLIENT_E_CLOSED,          /* swapclient_close() came first */
    SWAPCLIENT_E_PROTOCOL,        /* an answer that this client does not understand */
    SWAPCLIENT_E_TOO_MANY,        /* in_flight_max requests are in flight */
    /* said by the server */
    SWAPCLIENT_E_BAD_REQUEST = 100,
    SWAPCLIENT_E_UNSUPPORTED_VERSION,
    SWAPCLIENT_E_UNSUPPORTED,
    SWAPCLIENT_E_UNKNOWN_MODEL,
    SWAPCLIENT_E_TOO_LONG,
    SWAPCLIENT_E_OVERLOADED,
    SWAPCLIENT_E_DEADLINE_EXCEEDED,
    SWAPCLIENT_E_DRAINING,
    SWAPCLIENT_E_CANCELLED,
    SWAPCLIENT_E_BUSY,
    SWAPCLIENT_E_INTERNAL,
};

/* A sentence, or the word the protocol has for it ("overloaded", "timeout"). Static storage; any
 * number is allowed. */
SWAPCLIENT_API const char *swapclient_strerror(int error);
SWAPCLIENT_API const char *swapclient_error_name(int error);

/* What this thread's latest failed call found; valid until its next failed call. */
SWAPCLIENT_API const char *swapclient_message(void);

struct swapclient_options {
    const char *endpoint; /* tcp://HOST:PORT or ipc://PATH */
    uint32_t connect_timeout_ms;
    uint32_t in_flight_max;
    uint64_t reply_bytes_max; /* a larger answer ends the connection */
    /* CURVE; null: plain text. Z85, 40 characters each; all three or none. */
    const char *server_key;
    const char *public_key;
    const char *secret_key;
};

/* The defaults: SWAPCLIENT_DEFAULT_ENDPOINT, 5000 ms, 65536 requests, 64 MiB. */
SWAPCLIENT_API void swapclient_options_init(struct swapclient_options *options);

/* OPTIONS may be null: the defaults. SWAPCLIENT_E_INVALID: the endpoint or a key does not parse. */
SWAPCLIENT_API int swapclient_open(struct swapclient **out,
                                   const struct swapclient_options *options);

/* Ends what is in flight (on_done is called from here, with SWAPCLIENT_E_CLOSED; the server cancels
 * what it finds without a client) and frees everything, handles of requests included. No other call
 * may be under way. Null is allowed. */
SWAPCLIENT_API void swapclient_close(struct swapclient *client);

/* Some generated text and tokens, which need not correspond: text comes in whole characters. */
struct swapclient_piece {
    const char *text; /* UTF-8, terminated; may hold NULs */
    size_t text_bytes;
    const uint32_t *tokens;
    size_t token_count;
    bool last; /* the request has ended: nothing more will come */
};

/* How a request ended. Text and tokens are all that was generated, streamed or not. */
struct swapclient_result {
    int error;           /* 0, or enum swapclient_error; text and tokens came before the error */
    const char *message; /* of the error; "" if none */
    const char *field;   /* the field of the request that was at fault; "" if none */
    const char *text;    /* UTF-8, terminated; may hold NULs */
    size_t text_bytes;
    const uint32_t *tokens;
    size_t token_count;
    const char *finish_reason; /* "length", "stop", "eos", "cancelled"; "" if error */
    uint32_t prompt_tokens;
    uint32_t completion_tokens;
    uint64_t queue_ns; /* durations as the server saw them, from the request's arrival */
    uint64_t first_token_ns;
    uint64_t total_ns;
    bool cold;                /* the model was not wholly resident */
    uint64_t client_first_ns; /* as this client saw them, from swapclient_submit(): */
    uint64_t client_total_ns; /* first answer (of a stream: first piece), last answer */
};

struct swapclient_submit {
    const char *model;
    /* The prompt: text, or token ids where tokens is not null. */
    const char *prompt;
    size_t prompt_bytes; /* SIZE_MAX: prompt is terminated */
    const uint32_t *tokens;
    size_t token_count;
    uint32_t max_tokens;
    double temperature; /* 0: greedy */
    uint32_t top_k;     /* 0: all */
    double top_p;       /* 1: all */
    bool has_seed;
    uint64_t seed;
    const char *const *stop; /* terminated strings, at most 16 */
    size_t stop_count;
    const uint32_t *stop_token_ids; /* at most 64 */
    size_t stop_token_count;
    bool ignore_eos;
    bool stream;
    const char *class_name; /* "realtime", "normal", "batch" */
    uint32_t deadline_ms;   /* the server gives up after this; 0: never */
    uint32_t timeout_ms;    /* this client gives up (and cancels) after this; 0: never */
    /* Called from swapclient_process() or swapclient_close() only. PIECE and RESULT are valid until
     * the callback returns; the callback may free the request. */
    void (*on_piece)(void *user, struct swapclient_request *request,
                     const struct swapclient_piece *piece);
    void (*on_done)(void *user, struct swapclient_request *request,
                    const struct swapclient_result *result);
    void *user;
};

/* The defaults: no prompt, 64 tokens, greedy, class "normal", not streamed, no time limit. */
SWAPCLIENT_API void swapclient_submit_init(struct swapclient_submit *submit);

/* Sends a request; does not block. SUBMIT and all it points to are copied. *OUT is to be freed
 * with swapclient_request_free(). */
SWAPCLIENT_API int swapclient_submit(struct swapclient *client,
                                     const struct swapclient_submit *submit,
                                     struct swapclient_request **out);

/* Blocks until there is more of the stream or its end, for TIMEOUT_MS at most (0: looks only). What
 * *OUT points to is valid until the next call for this request. SWAPCLIENT_E_TIMEOUT: nothing came;
 * the request goes on. A request that failed ends with an empty last piece: swapclient_wait() then
 * tells why. */
SWAPCLIENT_API int swapclient_next(struct swapclient_request *request, int timeout_ms,
                                   struct swapclient_piece *out);

/* Blocks until the request has ended, for TIMEOUT_MS at most. Returns the result's error;
 * SWAPCLIENT_E_TIMEOUT with *OUT null if it goes on. *OUT (may be null) is valid until the request
 * is freed. */
SWAPCLIENT_API int swapclient_wait(struct swapclient_request *request, int timeout_ms,
                                   const struct swapclient_result **out);

/* Asks the server to end the request; it still ends in the usual way, as a rule with finish reason
 * "cancelled" and what there is. Does not block. */
SWAPCLIENT_API int swapclient_cancel(struct swapclient_request *request);

/* Frees the handle; a request still in flight is cancelled, and its callbacks will not come. Null
 * is allowed. */
SWAPCLIENT_API void swapclient_request_free(struct swapclient_request *request);

/* The id that the request has on the wire. */
SWAPCLIENT_API uint64_t swapclient_request_id(const struct swapclient_request *request);

/* Submit, wait, and the result: *OUT (set on error as well, if there was a request; else null) is
 * to be freed with swapclient_request_free(), *RESULT is valid until then. */
SWAPCLIENT_API int swapclient_generate(struct swapclient *client,
                                       const struct swapclient_submit *submit,
                                       struct swapclient_request **out,
                                       const struct swapclient_result **result);

/* Readable while swapclient_process() has callbacks to call. Owned by the client; only to poll. */
SWAPCLIENT_API int swapclient_fd(const struct swapclient *client);

/* Calls the callbacks that are due; returns their number, 0 if none was. Does not block. One thread
 * at a time. */
SWAPCLIENT_API int swapclient_process(struct swapclient *client);

/* The rest blocks for TIMEOUT_MS at most (SWAPCLIENT_FOREVER). */

enum swapclient_model_state {
    SWAPCLIENT_MODEL_ABSENT,
    SWAPCLIENT_MODEL_LOADING,
    SWAPCLIENT_MODEL_PARTIAL,
    SWAPCLIENT_MODEL_RESIDENT,
};

/* "absent", "loading", "partial", "resident". */
SWAPCLIENT_API const char *swapclient_model_state_name(enum swapclient_model_state state);

struct swapclient_model_status {
    const char *name;
    const char *family;
    enum swapclient_model_state state;
    uint64_t total_bytes; /* bytes and chunks: over all ranks of its group */
    uint64_t resident_bytes;
    uint64_t chunks;
    uint64_t resident_chunks;
    uint64_t queued; /* requests, now */
    uint64_t running;
    uint64_t answered; /* since the start */
    uint64_t loads;
    uint64_t tokens;
};

struct swapclient_rank_status {
    uint32_t rank;
    uint32_t stage;
    uint32_t tp;
    const char *device;
    const char *host;
    uint64_t pool_bytes;
    uint64_t pool_used_bytes;
    uint64_t bytes_loaded;
    double busy; /* share of time that it computed, 0 .. 1 */
};

struct swapclient_status {
    const char *version;
    uint64_t uptime_ns;
    uint64_t accepted; /* requests, since the start */
    uint64_t answered;
    uint64_t refused;
    uint64_t queued; /* now */
    uint64_t running;
    uint64_t loads;   /* since the start, for requests and operators */
    uint64_t guesses; /* further loads, of what was likely next; the sums below are over both */
    uint64_t drops;
    uint64_t bytes_loaded;
    uint64_t bytes_copied_back;
    uint64_t load_ns;
    uint64_t hidden_ns; /* the part of load_ns that no computation waited for */
    bool draining;
    const struct swapclient_model_status *models;
    size_t model_count;
    const struct swapclient_rank_status *ranks;
    size_t rank_count;
};

SWAPCLIENT_API int swapclient_status(struct swapclient *client, int timeout_ms,
                                     struct swapclient_status **out);
SWAPCLIENT_API void swapclient_status_free(struct swapclient_status *status);

struct swapclient_model {
    const char *name;
    const char *family;
    enum swapclient_model_state state;
    uint64_t total_bytes;
    uint32_t context_tokens;
    uint32_t vocab_tokens;
    bool text; /* takes text prompts; else token ids only */
};

struct swapclient_models {
    const struct swapclient_model *list;
    size_t count;
};

SWAPCLIENT_API int swapclient_models(struct swapclient *client, int timeout_ms,
                                     struct swapclient_models **out);
SWAPCLIENT_API void swapclient_models_free(struct swapclient_models *models);

/* Makes the model resident: answered when it is. */
SWAPCLIENT_API int swapclient_load(struct swapclient *client, const char *model, int timeout_ms);
/* Frees its device memory. */
SWAPCLIENT_API int swapclient_drop(struct swapclient *client, const char *model, int timeout_ms);
/* The server takes no new requests, answers the accepted ones and ends. Answered when this began.
 */
SWAPCLIENT_API int swapclient_drain(struct swapclient *client, int timeout_ms);
/* The server ends without finishing what it has accepted. */
SWAPCLIENT_API int swapclient_shutdown(struct swapclient *client, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
