/* A whole group in one process: ranks as threads on the inproc transport, the real controller,
 * stage executors and transfers, without the front door. For sanitizers and planted faults. */
#ifndef SS_TESTS_GROUP_H
#define SS_TESTS_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define GROUP_TOKENS_MAX 64

struct group_request {
    uint16_t model;
    uint32_t prompt_count, max_tokens;
    int32_t prompt[32];
    float temperature;
    uint64_t seed;
    uint64_t cancel_after; /* tokens after which the client cancels; 0: never */

    /* What came of it. */
    bool ended;
    int reason; /* enum ss_end, of an end or a refusal */
    uint32_t token_count;
    int32_t tokens[GROUP_TOKENS_MAX];
};

struct group_outcome {
    enum ss_status status; /* the first failure of any rank */
    char message[1024];
    uint32_t answered; /* requests that ended or were refused */
    uint64_t loads, drops, loaded_bytes, copied_back_bytes;
};

/* Starts the group that the config at PATH describes, sends REQUESTS at most WINDOW at a time,
 * drains, and takes everything down. A failure anywhere ends the run early; it never hangs for
 * longer than limits.peer_timeout and a moment. */
void group_run(const char *path, struct group_request *requests, uint32_t count, uint32_t window,
               struct group_outcome *outcome);

#endif
