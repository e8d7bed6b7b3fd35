/* A whole server in one process: ranks as threads on the inproc transport, each running what the
 * program runs, the front door included, and one client that asks for everything a client can. For
 * planted faults. */
#ifndef SS_TESTS_SERVER_H
#define SS_TESTS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

struct server_outcome {
    enum ss_status status; /* the first failure of any rank */
    char message[1024];
    uint32_t asked, answered; /* requests of the client; those without an error */
    uint32_t controls_failed; /* of its other operations */
    uint32_t unanswered;      /* requests that nothing was heard of for ANSWER_MS */
};

/* Starts the server that the config at PATH describes, serves the client, drains, and takes all
 * down. A failure anywhere ends the run early, within limits.peer_timeout and some seconds. */
void server_run(const char *path, struct server_outcome *outcome);

#endif
