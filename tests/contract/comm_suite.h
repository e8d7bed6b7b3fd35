/* The contract of pipeline/comm/comm.h as one suite, run by every rank of a link at once. */
#ifndef SS_TESTS_COMM_SUITE_H
#define SS_TESTS_COMM_SUITE_H

#include "pipeline/comm/comm.h"
#include "tests/contract/link_suite.h"

#define COMM_REDUCE_BYTES_MAX ((size_t)1 << 20)

/* One rank of a running test: a CPU device, a comm over it, and the streams that a stage has. */
struct comm_rank {
    struct ss_link *link;
    struct ss_device *device;
    struct ss_comm *comm;
    struct ss_stream *compute, *out, *in;
    struct ss_timeline *timeline; /* what finish() signals */
    uint64_t value;
};

void comm_rank_open(struct comm_rank *rank, struct ss_link *link, int tp, int pp,
                    uint64_t timeout_ns);
void comm_rank_close(struct comm_rank *rank);

/* Waits until everything queued on STREAM so far is done, and done well. */
void comm_finish(struct comm_rank *rank, struct ss_stream *stream);

/* BYTES of device memory, and what the host sees of it: these tests run on the CPU device. */
void *comm_memory(struct comm_rank *rank, size_t bytes);
void comm_memory_free(struct comm_rank *rank, void *memory);
ss_device_address comm_address(const void *memory);

/* Everything, in one layout; the link is used for barriers, and for traffic beside the tensors. */
void comm_suite(struct ss_link *link, int tp, int pp);

/* comm_lost.c: peers that do not come. */
void comm_suite_lost(struct ss_link *link, int tp, int pp);

/* In every layout of link->ranks among (1,1) (2,1) (4,1) (1,2) (1,4) (2,2). */
void comm_suite_layouts(struct ss_link *link, const struct ss_link_options *options);

#endif
