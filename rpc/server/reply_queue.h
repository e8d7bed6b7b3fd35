/* Answers from any thread, on their way to the one that owns the socket: a bounded queue with an
 * eventfd to poll. */
#ifndef SS_RPC_SERVER_REPLY_QUEUE_H
#define SS_RPC_SERVER_REPLY_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rpc/server/table.h"

struct ss_reply_queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_full;
    struct ss_letter *first;
    struct ss_letter **end;
    uint32_t count;
    uint32_t count_max;
    bool closed;
    pthread_t reader; /* never waits for room: it makes the room */
    bool has_reader;
    int fd; /* readable while there is something to take, or after ss_reply_queue_wake() */
};

SS_MUST_CHECK enum ss_status ss_reply_queue_create(struct ss_reply_queue *outbox,
                                                   uint32_t count_max);
void ss_reply_queue_destroy(struct ss_reply_queue *outbox);

/* The thread that takes; to be called from it before anything else. */
void ss_reply_queue_set_reader(struct ss_reply_queue *outbox);

/* Takes LETTER over; waits while the queue is full, except on the reader's thread. SS_CANCELLED
 * after ss_reply_queue_close(): the letter is then freed. */
SS_MUST_CHECK enum ss_status ss_reply_queue_put(struct ss_reply_queue *outbox,
                                                struct ss_letter *letter);

/* The whole queue, oldest first; null if it is empty. Clears the eventfd. */
struct ss_letter *ss_reply_queue_take(struct ss_reply_queue *outbox);

void ss_reply_queue_wake(struct ss_reply_queue *outbox);

/* What comes later is refused; what waits for room gives up. */
void ss_reply_queue_close(struct ss_reply_queue *outbox);

#endif
