/* Starts threads. A program's signals are for the threads that it knows, so ours block them all. */
#ifndef SS_BASE_THREAD_H
#define SS_BASE_THREAD_H

#include <pthread.h>

#include "engine/base/status.h"

/* Runs RUN(ARGUMENT) on a thread of its own, all signals blocked there; who starts it joins it.
 * NAME (at most 15 bytes) is what the system shows of it. SS_NO_MEMORY where there is no thread to
 * be had, and where one is planted (engine/base/fault.h, SS_FAULT_THREAD). */
SS_MUST_CHECK enum ss_status ss_thread_start(pthread_t *thread, const char *name,
                                             void *(*run)(void *argument), void *argument);

#endif
