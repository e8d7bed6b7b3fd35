/* The contract of pipeline/comm/comm.h as one suite, run by every rank of a link at once. */
#ifndef SS_TESTS_COMM_SUITE_H
#define SS_TESTS_COMM_SUITE_H

#include "pipeline/comm/comm.h"
#include "tests/contract/link_suite.h"

#define COMM_REDUCE_BYTES_MAX ((size_t)1 << 20)

#define COMM_MEMORIES 4

/* Device memory of a test, and what the host has of it. */
struct comm_memory {
    unsigned char *host;
    ss_device_address address;
    size_t bytes;
};

/* One rank of a running test: a device, a comm over it, and the streams that a stage has. */
struct comm_rank {
    struct ss_link *link;
    struct ss_device *device;
    struct ss_comm *comm;
    struct ss_stream *compute, *out, *in;
    struct ss_timeline *timeline; /* what finish() signals */
    uint64_t value;
    struct comm_memory memories[COMM_MEMORIES];
};

/* On DEVICE: "cpu", or "cuda" with a GPU for each rank. */
void comm_rank_open(struct comm_rank *rank, struct ss_link *link, const char *device, int tp,
                    int pp, uint64_t timeout_ns);
void comm_rank_close(struct comm_rank *rank);

/* Waits until everything queued on STREAM so far is done, and done well. */
void comm_finish(struct comm_rank *rank, struct ss_stream *stream);

/* BYTES of device memory, and the host's copy of it, which is returned. put() takes all copies to
 * the device, get() all memory back; both wait. */
void *comm_memory(struct comm_rank *rank, size_t bytes);
void comm_memory_free(struct comm_rank *rank, void *memory);
ss_device_address comm_address(const struct comm_rank *rank, const void *memory);
void comm_put(struct comm_rank *rank);
void comm_get(struct comm_rank *rank);

/* Everything, in one layout; the link is used for barriers, and for traffic beside the tensors. */
void comm_suite(struct ss_link *link, const char *device, int tp, int pp);

/* comm_lost.c: peers that do not come. */
void comm_suite_lost(struct ss_link *link, const char *device, int tp, int pp);

/* In every layout of link->ranks among (1,1) (2,1) (4,1) (1,2) (1,4) (2,2). */
void comm_suite_layouts(struct ss_link *link, const char *device);

#endif
