/* A rank's loop: takes messages from the link, passes entries on, works on them, and hands reports
 * to the controller's rank.
 *
 * An entry that comes from another rank goes to the next stage and to this rank itself, and what
 * comes from itself is worked on. The link lets it come once the others' have left: the work may
 * block in a call that returns when their work is done (a kernel that loads late while a collective
 * runs, say), and a message that this thread has yet to move would never reach them. */
#ifndef SS_PIPELINE_RANK_H
#define SS_PIPELINE_RANK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/entry/entry.h"
#include "pipeline/link/link.h"
#include "pipeline/stage/stage.h"

struct ss_rank;

struct ss_rank_options {
    struct ss_link *link;
    struct ss_stage *stage;
    struct ss_rank_reporter *reporter; /* the stage's */
    int tp;
    size_t message_bytes_max;
    /* How long a rank that reported a failure waits for the controller's rank to end the group
     * before it fails itself. */
    uint64_t patience_ns;
    /* The controller's rank only: takes a report; REPORT lives during the call. Link thread. */
    void (*on_report)(void *user, const struct ss_report *report);
    void (*on_drain)(void *user); /* the controller's rank only: some rank was asked to end */
    /* Called once per turn of the loop, before it sleeps; returns the time until which it may
     * sleep. Link thread. Null: none. */
    uint64_t (*on_turn)(void *user);
    void *user;
};

SS_MUST_CHECK enum ss_status ss_rank_create(const struct ss_rank_options *options,
                                            struct ss_rank **out);
void ss_rank_destroy(struct ss_rank *rank);

/* Hands an encoded entry to the first stage's ranks, whose first LINK is of. As of post(). */
SS_MUST_CHECK enum ss_status ss_rank_send_entry(struct ss_link *link, int tp, const void *message,
                                                size_t bytes);

/* Runs until a STOP entry was taken, ss_rank_leave() was called, or something failed. */
SS_MUST_CHECK enum ss_status ss_rank_run(struct ss_rank *rank);

/* Makes ss_rank_run() return at its next turn. Link thread. */
void ss_rank_leave(struct ss_rank *rank);

/* Tells the controller's rank that this one was asked to end. Link thread. */
SS_MUST_CHECK enum ss_status ss_rank_ask_drain(struct ss_rank *rank);

/* Posts reports to the controller's rank: ss_stage_options.report with a ss_rank_reporter as its
 * user. A report that cannot be posted is never forgotten: it ends the rank. Any thread. */
struct ss_rank_reporter {
    struct ss_link *link;
    atomic_bool lost;
    _Atomic uint64_t failed_ns;     /* when a failure was reported; 0: none was */
    char failure[SS_MESSAGE_BYTES]; /* why; written before FAILED_NS, once */
    pthread_mutex_t lock;           /* guards the buffer and the serial number */
    unsigned char *buffer;
    uint64_t serial; /* of the latest report */
    size_t bytes_max;
};

/* Reports may be BYTES_MAX long; link and limit are the entries'. */
SS_MUST_CHECK enum ss_status ss_rank_reporter_open(struct ss_rank_reporter *reporter,
                                                   struct ss_link *link, size_t bytes_max);
void ss_rank_reporter_close(struct ss_rank_reporter *reporter);
void ss_rank_post_report(void *reporter, const struct ss_report *report);

#endif
