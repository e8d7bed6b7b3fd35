/* What moves tensors between ranks: collectives of a tensor-parallel set, and edges between stages.
 *
 * Everything here is queued on a stream. Collectives run on the compute stream only; each directed
 * edge has a stream of its own at both ends, and matches its sends and receives by order alone:
 * both ends queue them in the order of the entries. Sums are deterministic: every rank gathers all
 * parts and adds them in rank order. A peer that is gone makes the device's health fail with
 * SS_PEER_LOST, after a bounded time, instead of a hang; from sums NCCL's comm may learn it only
 * when a gathering stands behind them, or end_pass(). */
#ifndef SS_PIPELINE_COMM_H
#define SS_PIPELINE_COMM_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "swap/device/device.h"
#include "swap/image.h"

struct ss_comm;

struct ss_comm_table {
    const char *name; /* "inproc", "mpi", "nccl" */
    void (*destroy)(struct ss_comm *comm);

    /* data[count] = sum over the tensor-parallel set, in rank order, in fp32. */
    enum ss_status (*all_reduce)(struct ss_comm *comm, struct ss_stream *stream,
                                 ss_device_address data, size_t count, enum ss_dtype dtype);
    /* out = [tp][bytes], IN of rank t at t * bytes. IN and OUT do not overlap. */
    enum ss_status (*all_gather)(struct ss_comm *comm, struct ss_stream *stream,
                                 ss_device_address in, ss_device_address out, size_t bytes);
    /* The collectives of a pass are queued on STREAM, by calls or by a recording with some in it:
     * from here on all of them are watched. Null: nothing to do. */
    enum ss_status (*end_pass)(struct ss_comm *comm, struct ss_stream *stream);
    /* To and from the neighbours of this rank's tp index: next stage, previous stage; the last
     * stage's next is the first (the token edge). A message may leave before it is received, as far
     * as there is room for it. A lone stage needs no edge: NCCL's comm has none then. */
    enum ss_status (*send_next)(struct ss_comm *comm, struct ss_stream *stream,
                                ss_device_address data, size_t bytes);
    enum ss_status (*receive_previous)(struct ss_comm *comm, struct ss_stream *stream,
                                       ss_device_address data, size_t bytes);
};

struct ss_comm {
    const struct ss_comm_table *table;
    int tp, tp_rank, pp, stage;  /* world rank = stage * tp + tp_rank */
    size_t all_reduce_bytes_max; /* of one call: sizes the gather buffer */
};

struct ss_link;

/* The comm that fits LINK's transport and DEVICE: inproc ranks share memory, others use MPI, and
 * CUDA devices NCCL. Collective over the group: all ranks call it, in the same order. Borrows both.
 * TIMEOUT_NS bounds how long a call waits for a peer. */
SS_MUST_CHECK enum ss_status ss_comm_create(struct ss_link *link, struct ss_device *device, int tp,
                                            int pp, size_t all_reduce_bytes_max,
                                            uint64_t timeout_ns, struct ss_comm **out);

#endif
