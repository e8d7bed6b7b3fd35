/* A call in a thread of its own, beside what the caller does meanwhile. */
#ifndef SS_ENGINE_BESIDE_H
#define SS_ENGINE_BESIDE_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/base/status.h"

struct ss_beside {
    enum ss_status (*work)(void *user);
    void *user;
    pthread_t thread;
    bool running; /* in the thread; else it was done at once */
    enum ss_status status;
    char message[SS_MESSAGE_BYTES]; /* the thread's, if it failed */
};

/* Starts WORK(USER). Where no thread can be had, it is done before this returns. */
void ss_beside_begin(struct ss_beside *beside, enum ss_status (*work)(void *user), void *user);

/* Waits for its end. MEANWHILE is how the caller fared: a failure of its own is returned as it is,
 * else the call's status and message. */
SS_MUST_CHECK enum ss_status ss_beside_end(struct ss_beside *beside, enum ss_status meanwhile);

#endif
