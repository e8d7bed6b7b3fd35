/* Comms whose device memory is the host's: what the inproc and the MPI transport share. Inside
 * pipeline/comm only.
 *
 * Every call of the table becomes a function on the stream's worker thread, which may wait for
 * peers. A transport brings three blocking functions; the edge of a lone stage to itself, and a set
 * of one, need none of them. */
#ifndef SS_PIPELINE_COMM_HOST_H
#define SS_PIPELINE_COMM_HOST_H

#include "pipeline/comm/backends.h"
#include "pipeline/comm/host/mailbox.h"

struct ss_host_comm;

/* All block for at most the comm's timeout, then fail with SS_PEER_LOST and name the ranks. */
struct ss_host_transport {
    /* out = [tp][bytes], part t from rank t of this rank's tensor-parallel set. */
    enum ss_status (*gather)(struct ss_host_comm *comm, const void *in, void *out, size_t bytes);
    enum ss_status (*send)(struct ss_host_comm *comm, const void *data, size_t bytes);
    enum ss_status (*receive)(struct ss_host_comm *comm, void *data, size_t bytes);
};

/* The first member of both comms. */
struct ss_host_comm {
    struct ss_comm comm;
    const struct ss_host_transport *transport;
    struct ss_device *device; /* borrowed */
    uint64_t timeout_ns;
    int rank, next, previous;     /* in the world */
    unsigned char *parts;         /* [tp][all_reduce_bytes_max] */
    struct ss_mailbox *self_edge; /* where pp is 1 */
};

/* Fills a zeroed HOST; on failure nothing is left to release. */
SS_MUST_CHECK enum ss_status ss_host_comm_init(struct ss_host_comm *host,
                                               const struct ss_comm_options *options,
                                               const struct ss_comm_table *table,
                                               const struct ss_host_transport *transport);
void ss_host_comm_release(struct ss_host_comm *host);

/* The world rank of rank T of this rank's tensor-parallel set. */
int ss_host_comm_peer(const struct ss_host_comm *host, int t);

/* True when STATUS is SS_OK on every rank; else all learn it, and the message names one that
 * failed. Collective. */
SS_MUST_CHECK enum ss_status ss_host_comm_agree(struct ss_link *link, enum ss_status status);

/* Entries of the tables. */
enum ss_status ss_host_all_reduce(struct ss_comm *comm, struct ss_stream *stream,
                                  ss_device_address data, size_t count, enum ss_dtype dtype);
enum ss_status ss_host_all_gather(struct ss_comm *comm, struct ss_stream *stream,
                                  ss_device_address in, ss_device_address out, size_t bytes);
enum ss_status ss_host_send_next(struct ss_comm *comm, struct ss_stream *stream,
                                 ss_device_address data, size_t bytes);
enum ss_status ss_host_receive_previous(struct ss_comm *comm, struct ss_stream *stream,
                                        ss_device_address data, size_t bytes);

#endif
