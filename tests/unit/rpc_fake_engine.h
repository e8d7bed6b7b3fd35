/* An engine without models, behind a real server: for tests of the server and of its clients.
 *
 * Its models:
 *   echo    max_tokens tokens 0, 1, 2, ... with the text "t0 t1 t2 ..."
 *   slow    the same, 20 ms a token
 *   ids     the same without text
 *   mirror  answers with the fields of the request as text, and the prompt's tokens
 *   stuck   says nothing until it is cancelled or its deadline has passed
 *   flood   pieces of 64 KiB as fast as the server takes them, max_tokens of them
 *   fail    one piece, then the error "internal"
 * One thread steps through all requests in turn, as a batch would. */
#ifndef SS_TESTS_RPC_FAKE_ENGINE_H
#define SS_TESTS_RPC_FAKE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "rpc/server.h"

struct fake_job;

struct fake_engine {
    struct ss_server *server;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct fake_job *jobs;
    bool stopping;
    uint32_t jobs_max; /* more submits are refused: overloaded */
    uint32_t job_count;
    _Atomic uint64_t accepted, answered, refused, gone, cancels;
    _Atomic bool draining, shutdown;
};

/* Starts a server with CONFIG and this engine behind it, and says where it listens first; aborts on
 * failure. */
const char *fake_engine_start(struct fake_engine *engine, const struct ss_server_config *config);
void fake_engine_stop(struct fake_engine *engine);

/* The defaults, with one endpoint; null: a port of this machine that is free. */
void fake_config(struct ss_server_config *config, const char *const *endpoint);

#endif
