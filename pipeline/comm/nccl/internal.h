/* What the files of NCCL's comm share. */
#ifndef SS_PIPELINE_COMM_NCCL_INTERNAL_H
#define SS_PIPELINE_COMM_NCCL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pipeline/comm/nccl/library.h"
#include "pipeline/comm/nccl/nccl_comm.h"
#include "pipeline/comm/nccl/peer_edges.h"

#define TRIED_BYTES ((size_t)256) /* of each first call */

enum channel_kind { SET, OUT, IN, CHANNELS };

/* What is called on in one order: the calls queued, and those done. */
struct channel {
    const char *name;
    const struct ss_nccl *nccl;
    ncclComm_t comm; /* null: none, or aborted */
    struct ss_timeline *done;
    atomic_uint_fast64_t queued;
    uint64_t unsignalled;
    /* The watcher's: when what was done last changed, or the channel was idle. */
    uint64_t seen, seen_ns;
};

struct nccl_comm {
    struct ss_comm base;
    struct ss_device *device;
    const struct ss_nccl *nccl;
    uint64_t timeout_ns;
    ss_device_address parts;     /* of sums: [tp][all_reduce_bytes_max] */
    struct ss_peer_edges *edges; /* null: edges are NCCL's too */
    pthread_mutex_t lock;        /* held while calling */
    atomic_bool lost;            /* a peer: nothing more is queued */
    /* A thread stands in the library: nothing may be taken from under it. The watcher's, until it
     * was stopped. */
    bool stuck;
    pthread_t watcher;
    bool watching, closing;
    pthread_mutex_t watching_lock; /* of CLOSING */
    pthread_cond_t changed;
    struct channel channels[CHANNELS];
};

/* failure.c: a failure of CHANNEL, recorded as the device's health. */
enum ss_status ss_nccl_fail(struct nccl_comm *comm, enum ss_status status,
                            const struct channel *channel, const char *what);
SS_MUST_CHECK enum ss_status ss_nccl_check(struct nccl_comm *comm, const struct channel *channel,
                                           ncclResult_t result);

/* connect.c: forms the communicators that are needed, and tries them. Collective. */
SS_MUST_CHECK enum ss_status ss_nccl_connect(struct nccl_comm *comm, struct ss_link *link);

/* watch.c: a thread that looks for calls which do not end, and ends them. */
SS_MUST_CHECK enum ss_status ss_nccl_watch_start(struct nccl_comm *comm);
void ss_nccl_watch_stop(struct nccl_comm *comm);

#endif
