/* What a server answers to a submit: pieces of a stream, and the end. */
#ifndef SS_RPC_REPLY_H
#define SS_RPC_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/request.h"

/* Some generated tokens. TEXT and TOKENS need not correspond: text lags behind while a character
 * or a possible stop string is incomplete. Text is whole UTF-8 characters. */
struct ss_piece {
    struct ss_text text;
    const uint32_t *tokens;
    size_t token_count;
};

struct ss_usage {
    uint32_t prompt_tokens;
    uint32_t completion_tokens;
};

/* Durations from the request's arrival at the server. */
struct ss_timing {
    uint64_t queue_ns;       /* until its first batch was issued */
    uint64_t first_token_ns; /* until its first token was reported; 0 if there was none */
    uint64_t total_ns;
    bool cold; /* its model was not wholly resident when its first batch was issued */
};

/* The last answer to a submit that ended in order. REST is what no piece carried yet: everything
 * if the request was not streamed, maybe nothing if it was. */
struct ss_finish {
    struct ss_piece rest;
    enum ss_finish_reason reason;
    struct ss_usage usage;
    struct ss_timing timing;
};

#endif
