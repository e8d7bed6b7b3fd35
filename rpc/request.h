/* What a client may ask: the decoded form of one request, and the words of the protocol.
 *
 * The wire form of all this is in rpc/README.md. A request that reaches a callback is right in
 * form: every field has its type, stands within the limits below, and every string is UTF-8. What
 * only the engine can know (is there such a model, is the prompt too long for it) is not judged
 * here. */
#ifndef SS_RPC_REQUEST_H
#define SS_RPC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/class.h"

#define SS_PROTOCOL_VERSION 1

/* Limits that do not depend on a configuration; a request over one is refused with its name. */
#define SS_MODEL_NAME_BYTES_MAX 128
#define SS_PROMPT_TOKENS_MAX    262144
#define SS_MAX_TOKENS_MAX       262144
#define SS_TOKEN_ID_MAX         0x7fffffffu
#define SS_TEMPERATURE_MAX      100.0
#define SS_TOP_K_MAX            1000000
#define SS_STOP_STRINGS_MAX     16
#define SS_STOP_BYTES_MAX       256
#define SS_STOP_TOKENS_MAX      64
#define SS_DEADLINE_MS_MAX      86400000

#define SS_MAX_TOKENS_DEFAULT 64

enum ss_op {
    SS_OP_SUBMIT,
    SS_OP_CANCEL,
    SS_OP_STATUS,
    SS_OP_MODELS,
    SS_OP_LOAD,
    SS_OP_DROP,
    SS_OP_DRAIN,
    SS_OP_SHUTDOWN,
    SS_OPS
};

/* Why a request was not answered with what it asked for. */
enum ss_error_code {
    SS_ERROR_BAD_REQUEST, /* malformed, or a field is missing, of wrong type, out of range */
    SS_ERROR_UNSUPPORTED_VERSION, /* another major version of the protocol */
    SS_ERROR_UNSUPPORTED,         /* right in form, but this model or server cannot do it */
    SS_ERROR_UNKNOWN_MODEL,
    SS_ERROR_TOO_LONG, /* a frame, prompt or list over its limit, or prompt + max_tokens over the
                          model's context */
    SS_ERROR_OVERLOADED,
    SS_ERROR_DEADLINE_EXCEEDED,
    SS_ERROR_DRAINING,
    SS_ERROR_CANCELLED,
    SS_ERROR_BUSY, /* the model is in use, and this cannot be done meanwhile */
    SS_ERROR_INTERNAL,
    SS_ERROR_CODES
};

/* Why a sequence ended. */
enum ss_finish_reason {
    SS_FINISH_LENGTH, /* max_tokens were generated */
    SS_FINISH_STOP,   /* a stop string or a stop token id came */
    SS_FINISH_EOS,    /* the model's own end of sequence */
    SS_FINISH_CANCELLED,
    SS_FINISH_REASONS
};

/* The words on the wire: "submit", "realtime", "bad_request", "length", ... Static storage. */
const char *ss_op_name(enum ss_op op);
const char *ss_class_name(enum ss_class class);
const char *ss_error_code_name(enum ss_error_code code);
const char *ss_finish_reason_name(enum ss_finish_reason reason);

/* DATA[BYTES], UTF-8, not terminated, may hold NUL characters. */
struct ss_text {
    const char *data;
    size_t bytes;
};

struct ss_submit {
    bool has_tokens;       /* the prompt came as token ids; else as text */
    struct ss_text prompt; /* if !has_tokens; may be empty */
    const uint32_t *tokens;
    size_t token_count; /* if has_tokens; 1 .. SS_PROMPT_TOKENS_MAX */
    uint32_t max_tokens;
    double temperature; /* 0: greedy (the default) */
    uint32_t top_k;     /* 0: all (the default) */
    double top_p;       /* in (0, 1]; 1: all (the default) */
    bool has_seed;      /* without one the server chooses */
    uint64_t seed;
    struct ss_text stop[SS_STOP_STRINGS_MAX]; /* none is empty */
    size_t stop_count;
    uint32_t stop_token_ids[SS_STOP_TOKENS_MAX];
    size_t stop_token_count;
    bool ignore_eos;
    bool stream;
    enum ss_class class;
    uint32_t deadline_ms; /* from arrival; 0: none */
};

/* One request. Pointers are borrowed: valid until the callback that got it returns. */
struct ss_request {
    enum ss_op op;
    uint64_t id;             /* the client's own; unique among its live requests */
    const char *model;       /* submit, load, drop; terminated; else null */
    struct ss_submit submit; /* if op is SS_OP_SUBMIT */
    uint64_t target;         /* if op is SS_OP_CANCEL: the id of the request to cancel */
};

#endif
