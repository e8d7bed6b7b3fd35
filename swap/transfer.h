/* The transfer engine of one rank: moves chunks from the host arena into the device pool.
 *
 * A load is a list of chunks, moved in order, in pieces, by one thread that keeps a bounded number
 * of pieces on the load stream (enough that the link never idles, few enough that an urgent load
 * waits for one piece at most). Two lanes: demand goes before prefetch, and within a lane loads go
 * in the order of their entries. A piece goes to the link only when its destination is free, so a
 * blocked piece never holds the link: the next load of its lane, then the other lane, go ahead.
 * When a chunk's last piece is on the device, the chunk's timeline is signalled on the stream and
 * ARRIVED is called. */
#ifndef SS_SWAP_TRANSFER_H
#define SS_SWAP_TRANSFER_H

#include <stdint.h>

#include "engine/base/status.h"
#include "swap/device/device.h"

enum ss_lane { SS_LANE_DEMAND, SS_LANE_PREFETCH, SS_LANES };

struct ss_transfer_chunk {
    const void *from; /* in the arena, registered with the device */
    ss_device_address to;
    size_t bytes;
    struct ss_timeline *ready;      /* signalled to the load's number */
    struct ss_timeline *free_after; /* null: the destination is free now */
    uint64_t free_value;            /* the destination is free once free_after >= this */
};

struct ss_transfer_options {
    size_t piece_bytes;
    int pieces_in_flight; /* at least 2 keeps a real link busy */
    int loads_max;        /* loads outstanding at once: the controller's limit */
    int chunks_max;       /* chunks of one load */
    /* Both on the transfer thread, must not block. ARRIVED: chunks [0, count) of the load are on
     * the device. ENDED: the load is over; after a cancel, count may be less than was asked for,
     * and no piece of the others will be written any more. */
    void (*arrived)(void *user, uint64_t number, int count, uint64_t now_ns);
    void (*ended)(void *user, uint64_t number, int count, enum ss_status status);
    void *user;
};

struct ss_transfer;

SS_MUST_CHECK enum ss_status ss_transfer_create(struct ss_device *device,
                                                const struct ss_transfer_options *options,
                                                struct ss_transfer **out);
/* Cancels what is outstanding, waits for the pieces in flight, joins the thread. */
void ss_transfer_destroy(struct ss_transfer *transfer);

/* Queues load NUMBER (unique, rising). CHUNKS are copied. Never blocks; SS_FULL past loads_max. */
SS_MUST_CHECK enum ss_status ss_transfer_load(struct ss_transfer *transfer, uint64_t number,
                                              enum ss_lane lane,
                                              const struct ss_transfer_chunk *chunks, int count);

/* Moves the outstanding pieces of load NUMBER to the demand lane, behind what is there. A load that
 * is over is left alone. */
void ss_transfer_promote(struct ss_transfer *transfer, uint64_t number);

/* Stops load NUMBER between pieces; ENDED tells what it has. A load that is over is left alone. */
void ss_transfer_cancel(struct ss_transfer *transfer, uint64_t number);

#endif
