/* Ranks as processes under mpirun. Inside pipeline/link/mpi only.
 *
 * One thread, the driver (whoever calls receive, wait and flush), makes all MPI calls; post from
 * any other thread puts the message into the peer's queue and rings this rank's own doorbell.
 *
 * Data: every peer has `credits` receives posted here at all times, matched in order, so a message
 * that a credit lets go always finds a buffer and MPI buffers nothing. Credits: what the caller of
 * receive took is given back by a message of one number, half of the credits at a time or when
 * there is nothing to receive.
 *
 * Sleep: a sender rings the doorbell of a receiver on its node after the message is on its way,
 * and again while MPI still works on it (large messages need both sides awake). */
#ifndef SS_PIPELINE_LINK_MPI_LINK_H
#define SS_PIPELINE_LINK_MPI_LINK_H

#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>

#include "pipeline/link/backoff.h"
#include "pipeline/link/doorbell.h"
#include "pipeline/link/link.h"
#include "pipeline/link/message.h"

/* A rank's page of shared memory. */
struct ss_mpi_page {
    uint64_t cookie;        /* so that nobody takes another process's memory for this */
    _Atomic uint32_t wants; /* its owner sleeps with messages that wait for credits */
    struct ss_doorbell bell;
};

struct ss_mpi_peer {
    /* Guarded by the link's mutex. */
    struct ss_message_queue waiting; /* to itself: messages on their way to receive */
    int under_way;                   /* sent, and not given back */

    /* The rest is the driver's. Sends: a ring of `credits` places, oldest first. */
    struct ss_message **sent;
    MPI_Request *sends;
    int send_first, send_count;

    /* Receives: a ring of `credits` places. The oldest one's request is in the link's `asked`
     * while it is under way. */
    unsigned char *buffers;
    MPI_Request *receives;
    int receive_first;
    bool ready; /* the oldest receive holds a message of READY_BYTES */
    size_t ready_bytes;

    uint32_t credits_owed; /* taken here and not given back yet */
    uint32_t credits_out, credits_in;
    MPI_Request credit_send;

    struct ss_mpi_page *page; /* null: on another node */
    bool lost;                /* guarded by the link's mutex */
};

struct ss_mpi_link {
    struct ss_link link;
    struct ss_link_options options;
    MPI_Comm comm;
    bool finalize; /* this link initialised MPI */

    pthread_mutex_t mutex;
    _Atomic int waiting_count; /* over all peers, itself included */
    uint64_t posted;           /* messages so far; guarded by the mutex */

    _Atomic(const void *) driver; /* names the thread that drives; see drive() in link.c */
    struct ss_mpi_page *page;     /* its own */
    int page_fd;
    uint32_t seen; /* rings answered */
    bool remote;   /* some peer is on another node: nobody rings for its messages */
    int sending;   /* sends that MPI has not completed */
    int turn;      /* the peer that receive looks at first */
    bool stirred;  /* something moved since the last nap */
    struct ss_backoff backoff;

    struct ss_mpi_peer *peers; /* [ranks] */
    MPI_Request *asked;        /* [2 * ranks]: oldest data receives, then credit receives */
    MPI_Status *statuses;      /* [2 * ranks] */
    int *done;                 /* [2 * ranks] */
};

/* progress.c; the driver's. Sends what credits allow, notes what arrived, completes sends. */
enum ss_status ss_mpi_progress(struct ss_mpi_link *link);
/* Takes the message of a ready PEER and posts its receive anew. */
enum ss_status ss_mpi_take(struct ss_mpi_link *link, int peer, void *buffer, size_t *bytes);
/* Gives back the credits owed to PEER if they are LEAST or more. */
enum ss_status ss_mpi_give_credits(struct ss_mpi_link *link, int peer, uint32_t least);
/* Posts the first receives. */
enum ss_status ss_mpi_start(struct ss_mpi_link *link);
/* Withdraws the receives. */
void ss_mpi_stop(struct ss_mpi_link *link);
enum ss_status ss_mpi_error(struct ss_mpi_link *link, int peer, int error, const char *what);

/* node.c: makes this rank's page and maps those of its neighbours on the node. Collective. */
enum ss_status ss_mpi_node_open(struct ss_mpi_link *link);
void ss_mpi_node_close(struct ss_mpi_link *link);

/* collective.c: waits for a request without blocking in MPI; TIMEOUT_NS 0 waits for ever. */
enum ss_status ss_mpi_await(MPI_Request *request, uint64_t timeout_ns, const char *what);
enum ss_status ss_mpi_all_gather(struct ss_link *link, const void *in, size_t bytes, void *out);
enum ss_status ss_mpi_barrier(struct ss_link *link);

/* link.c: as struct ss_link_table has them. */
enum ss_status ss_mpi_post(struct ss_link *link, int peer, const void *data, size_t bytes);
enum ss_status ss_mpi_receive(struct ss_link *link, int *peer, void *buffer, size_t *bytes);
void ss_mpi_wait(struct ss_link *link, uint64_t deadline_ns);
void ss_mpi_wake(struct ss_link *link);
enum ss_status ss_mpi_flush(struct ss_link *link, uint64_t timeout_ns);
int ss_mpi_same_node(struct ss_link *link, int peer);

#endif
