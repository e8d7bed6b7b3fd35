/* Which piece goes next: the loads outstanding on a rank, their lanes and their progress.
 *
 * No thread, no clock, no device: swap/transfer.c drives it, and tests do. Nothing is allocated
 * after create. A load leaves the queue when it is taken as ended. */
#ifndef SS_SWAP_TRANSFER_QUEUE_H
#define SS_SWAP_TRANSFER_QUEUE_H

#include <stdbool.h>

#include "swap/transfer.h"

struct ss_transfer_queue;

/* A part of one chunk, to be copied in one go. */
struct ss_transfer_piece {
    int slot; /* the load's place in the queue; opaque */
    uint64_t number;
    int chunk;
    const void *from;
    ss_device_address to;
    size_t bytes;
    bool last;                 /* of its chunk: signal READY behind it */
    struct ss_timeline *ready; /* the chunk's */
};

enum ss_transfer_choice {
    SS_TRANSFER_PIECE,
    SS_TRANSFER_BLOCKED, /* something is outstanding, and none of it may go now */
    SS_TRANSFER_IDLE,
};

SS_MUST_CHECK enum ss_status ss_transfer_queue_create(size_t piece_bytes, int loads_max,
                                                      int chunks_max,
                                                      struct ss_transfer_queue **out);
void ss_transfer_queue_destroy(struct ss_transfer_queue *queue);

/* SS_FULL past loads_max; SS_INVALID for a number that does not rise or too many chunks. */
SS_MUST_CHECK enum ss_status ss_transfer_queue_add(struct ss_transfer_queue *queue, uint64_t number,
                                                   enum ss_lane lane,
                                                   const struct ss_transfer_chunk *chunks,
                                                   int count);
void ss_transfer_queue_promote(struct ss_transfer_queue *queue, uint64_t number);
/* A cancelled load gets no more pieces; it has ended once its pieces under way are complete. */
void ss_transfer_queue_cancel(struct ss_transfer_queue *queue, uint64_t number);
void ss_transfer_queue_cancel_all(struct ss_transfer_queue *queue);

/* True when CHUNK's destination may be written. Asked before the first piece of each chunk. */
typedef bool ss_transfer_is_free(void *user, const struct ss_transfer_chunk *chunk);

/* The next piece to move: of the first load, in the order demand then prefetch, whose next piece
 * may go. It counts as under way until completed. *BLOCKED is set, for SS_TRANSFER_BLOCKED only, to
 * the chunk that would have gone first. */
enum ss_transfer_choice ss_transfer_queue_next(struct ss_transfer_queue *queue,
                                               ss_transfer_is_free *is_free, void *user,
                                               struct ss_transfer_piece *piece,
                                               const struct ss_transfer_chunk **blocked);

/* PIECE is on the device. Pieces complete in the order that next() gave them. Returns the number of
 * chunks of the load that are there if that number rose, else 0. */
int ss_transfer_queue_complete(struct ss_transfer_queue *queue,
                               const struct ss_transfer_piece *piece);

/* Takes a load that is over: all its chunks are there (SS_OK), or it was cancelled and nothing of
 * it is under way (SS_CANCELLED). False if there is none. */
bool ss_transfer_queue_take_ended(struct ss_transfer_queue *queue, uint64_t *number, int *count,
                                  enum ss_status *status);

#endif
