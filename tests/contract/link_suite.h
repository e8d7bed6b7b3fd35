/* The contract of pipeline/link/link.h as one suite of plain functions, run by every rank of a link
 * at once: over threads, and under mpirun (where a Criterion program would hang). */
#ifndef SS_TESTS_LINK_SUITE_H
#define SS_TESTS_LINK_SUITE_H

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/status.h"
#include "pipeline/link/link.h"

/* A failure ends the process, and mpirun then ends the others. */
#define CHECK(condition, ...)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fprintf(stderr, " [%s]\n", ss_status_message());                        \
            fflush(stderr);                                                         \
            _Exit(1);                                                               \
        }                                                                           \
    } while (0)

/* Runs everything on LINK, which was opened with OPTIONS. */
void link_suite(struct ss_link *link, const struct ss_link_options *options);

/* link_threads.c: what needs other threads of the rank, and time. */
void link_suite_threads(struct ss_link *link, const struct ss_link_options *options);

/* Waits for the next message of this rank, at most 20 s. */
void link_take(struct ss_link *link, int *peer, void *buffer, size_t *bytes);

/* Posts, however long the queue is full, at most 20 s: credits of messages that were taken earlier
 * may still be on their way back. */
void link_post(struct ss_link *link, int peer, const void *data, size_t bytes);

/* Runs BODY on every rank of an inproc link of RANKS threads; destroys the ends. */
void link_run_threads(const struct ss_link_options *options, int ranks,
                      void (*body)(struct ss_link *link, const struct ss_link_options *options));

#endif
