/* swapbench: what the links of a machine can do, and what swapping gets of it. */
#ifndef SS_SWAPBENCH_BENCH_H
#define SS_SWAPBENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/link/link.h"
#include "swap/device/device.h"

struct bench {
    struct ss_link *link;
    struct ss_device *device;
    json_t *rows; /* rank 0's results; null elsewhere */
    const char *model;
    double scale;
    int tp, pp, repeats;
    uint64_t piece_bytes;
    uint64_t total_bytes; /* link: to copy for one figure; copies under 1 MiB: less */
    int pieces_in_flight;
    int steps;            /* busy: tokens of each text */
    bool graphs;          /* busy: steps are recorded and launched as one */
    char description[64]; /* of rank 0's device */
};

/* Copies of 16 KiB to 64 MiB in each direction and both, one rank alone and all at once. */
SS_MUST_CHECK enum ss_status bench_link(struct bench *bench);

/* Loads of one shape through the transfer engine, each beside a bare copy of the same bytes. */
SS_MUST_CHECK enum ss_status bench_swap(struct bench *bench);

/* Copies from each rank's device memory to the next one's; says so where the device has none. */
SS_MUST_CHECK enum ss_status bench_peers(struct bench *bench);

/* One model decodes on the stage executor while another, on the same ranks, is loaded again and
 * again at full rate: time between tokens and time of a load, each with and without the other.
 * Opens a device of its own, of kind DEVICE (cpu: paced operations, and a link of BANDWIDTH). */
SS_MUST_CHECK enum ss_status bench_busy(struct bench *bench, const char *device, double bandwidth);

/* A stream and a timeline for timing what is queued on it. */
struct lane {
    struct ss_device *device;
    struct ss_stream *stream;
    struct ss_timeline *timeline;
    uint64_t value;
};

SS_MUST_CHECK enum ss_status lane_open(struct ss_device *device, enum ss_stream_kind kind,
                                       struct lane *lane);
void lane_close(struct lane *lane);

/* Waits until all that was queued on the lane is done. */
SS_MUST_CHECK enum ss_status lane_finish(struct lane *lane);

#endif
