/* The entry link: small messages between ranks, in order per pair, never blocking.
 *
 * It carries entries down the pipeline and reports back to the controller. A sender has a limited
 * number of messages under way to each peer (credits, given back as the peer takes them) and a
 * bounded queue behind that. One thread per rank, the link thread, calls poll, wait and receive;
 * any thread may post and wake. Idle ranks sleep: a sender rings its peer's doorbell (shared memory
 * on the node, a timed probe across nodes).
 *
 * Transports: `mpi` (ranks are processes) and `inproc` (ranks are threads of one process, for
 * sanitizers and fault tests); the same contract suite runs over both. */
#ifndef SS_PIPELINE_LINK_H
#define SS_PIPELINE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_link;

struct ss_link_options {
    size_t message_bytes_max;
    int credits;   /* messages under way to one peer */
    int queue_max; /* messages waiting behind the credits, per peer */
};

struct ss_link_table {
    const char *name; /* "mpi", "inproc" */

    /* Copies the message and returns; to itself is fine. SS_FULL: PEER has not taken credits +
     * queue_max messages of this rank. SS_INVALID: over message_bytes_max. SS_PEER_LOST: PEER is
     * gone. Any thread; the link thread's own posts leave at once. */
    enum ss_status (*post)(struct ss_link *link, int peer, const void *message, size_t bytes);

    /* Takes the next message into BUFFER (message_bytes_max) with its sender, peers in turn. One to
     * itself comes when all that was posted before it has left, so that its work may wait for what
     * the others do with theirs, in a call that drives nothing. SS_EMPTY when there is none,
     * SS_PEER_LOST when a transport failed. Drives progress. Link thread. */
    enum ss_status (*receive)(struct ss_link *link, int *peer, void *buffer, size_t *bytes);

    /* Sleeps until a message may be there, wake() was called, or the time is past. May return
     * early. Link thread. */
    void (*wait)(struct ss_link *link, uint64_t deadline_ns);
    void (*wake)(struct ss_link *link); /* any thread, and signal handlers */

    /* Blocks until what was posted to other ranks has left (the last `credits` to a peer leave
     * without its help, the others as it takes them), or the time is past: SS_TIMEOUT. Link thread,
     * before destroy. */
    enum ss_status (*flush)(struct ss_link *link, uint64_t timeout_ns);

    /* Collective, blocking; at start and stop only, before or after the link thread's loop. */
    enum ss_status (*all_gather)(struct ss_link *link, const void *in, size_t bytes, void *out);
    enum ss_status (*barrier)(struct ss_link *link);

    /* True when this rank and PEER share a node and can share memory there. */
    int (*same_node)(struct ss_link *link, int peer);

    /* Drops what waits for credits. With `mpi` collective: waits for all ranks, so a rank that
     * fails alone exits without it, and mpirun ends the job. `inproc` waits for nobody; peers then
     * get SS_PEER_LOST. */
    void (*destroy)(struct ss_link *link);
};

struct ss_link {
    const struct ss_link_table *table;
    int rank, ranks;
};

/* A link over MPI_COMM_WORLD. Initialises MPI (MPI_THREAD_MULTIPLE) if nobody did; destroy
 * finalises it then. Collective; SS_INVALID where the ranks' options differ. SWAPSERVE_NODE in the
 * environment names this rank's node in place of the machine: ranks of different names share no
 * memory. */
SS_MUST_CHECK enum ss_status ss_link_open_mpi(const struct ss_link_options *options,
                                              struct ss_link **out);

/* RANKS linked ends for threads of this process; each is destroyed by its own rank. */
SS_MUST_CHECK enum ss_status ss_link_open_inproc(const struct ss_link_options *options, int ranks,
                                                 struct ss_link **out);

#endif
