/* Every directed edge has a communicator of its own, and the collectives another, all with the
 * ranks of the world: several streams of a process are in MPI at once, and no order between them is
 * promised. A stream's worker asks for its requests and sleeps between, longer each time; nothing
 * blocks inside MPI. */
#include "pipeline/comm/mpi/mpi.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/host/host.h"
#include "pipeline/link/backoff.h"

#define SLEEP_NS_MAX (200 * SS_NS_PER_US)

struct mpi_comm {
    struct ss_host_comm host;
    MPI_Comm collectives;
    MPI_Comm *edges; /* [pp], by the sender's stage */
    /* Of a collective under way, there is one at a time: receives from, then sends to rank t. */
    MPI_Request *requests; /* [2 * tp] */
    MPI_Status *statuses;  /* [2 * tp] */
};

static struct mpi_comm *mpi_of(struct ss_host_comm *host)
{
    return (struct mpi_comm *)host;
}

/* Gives up on what is not complete. What a peer has begun to write may still change the receiver's
 * memory: after this the device is failed, and nobody reads it. */
static void abandon(MPI_Request *request)
{
    if (*request == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(request);
    MPI_Request_free(request);
}

static enum ss_status fail_mpi(struct ss_host_comm *host, int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    int class = MPI_ERR_UNKNOWN;
    MPI_Error_string(error, text, &length);
    MPI_Error_class(error, &class);
    if (class == MPI_ERR_TRUNCATE)
        return ss_fail(SS_INTERNAL, "comm: rank %d: %s: a longer message than is due", host->rank,
                       what);
    return ss_fail(SS_PEER_LOST, "comm: rank %d: %s: MPI failed: %s", host->rank, what, text);
}

/* The first failure among COUNT statuses of a call that returned ERROR. */
static int first_error(int error, const MPI_Status *statuses, int count)
{
    for (int i = 0; error == MPI_ERR_IN_STATUS && i < count; i++)
        if (statuses[i].MPI_ERROR != MPI_SUCCESS && statuses[i].MPI_ERROR != MPI_ERR_PENDING)
            return statuses[i].MPI_ERROR;
    return error;
}

/* Waits for all COUNT requests: SS_TIMEOUT after the comm's time. WHAT is for the message. */
static enum ss_status await(struct ss_host_comm *host, MPI_Request *requests, MPI_Status *statuses,
                            int count, const char *what)
{
    struct ss_backoff backoff = {0};
    uint64_t start_ns = ss_now_ns();
    for (int done = 0;;) {
        int error = MPI_Testall(count, requests, &done, statuses);
        if (error != MPI_SUCCESS)
            return fail_mpi(host, first_error(error, statuses, count), what);
        if (done)
            return SS_OK;
        if (ss_now_ns() - start_ns > host->timeout_ns)
            return SS_TIMEOUT;
        ss_backoff_pause(&backoff, SLEEP_NS_MAX);
    }
}

/* Names the ranks of the set whose requests are not complete. */
static enum ss_status fail_missing(struct ss_host_comm *host, const MPI_Request *requests)
{
    char names[128] = "";
    size_t used = 0;
    int tp = host->comm.tp;
    for (int t = 0; t < tp && used + 16 < sizeof names; t++)
        if (requests[t] != MPI_REQUEST_NULL || requests[tp + t] != MPI_REQUEST_NULL)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%d", used ? ", " : "",
                                     ss_host_comm_peer(host, t));
    return ss_fail(SS_PEER_LOST, "comm: rank %d waited for rank %s, over %.3f s", host->rank, names,
                   (double)host->timeout_ns * 1e-9);
}

/* MPI_Testall leaves requests alone until all are complete: ask one by one which are not. */
static void drop_complete(MPI_Request *requests, int count)
{
    for (int i = 0; i < count; i++) {
        int done;
        MPI_Test(&requests[i], &done, MPI_STATUS_IGNORE);
    }
}

static enum ss_status check_parts(struct ss_host_comm *host, const MPI_Status *statuses,
                                  size_t bytes)
{
    for (int t = 0; t < host->comm.tp; t++) {
        int got = 0;
        if (t == host->comm.tp_rank)
            continue;
        MPI_Get_count(&statuses[t], MPI_BYTE, &got);
        if ((size_t)got != bytes)
            return ss_fail(SS_INTERNAL, "comm: rank %d: %d bytes from rank %d where %zu are due",
                           host->rank, got, ss_host_comm_peer(host, t), bytes);
    }
    return SS_OK;
}

static enum ss_status gather(struct ss_host_comm *host, const void *in, void *out, size_t bytes)
{
    struct mpi_comm *comm = mpi_of(host);
    int tp = host->comm.tp;
    int error = MPI_SUCCESS;
    enum ss_status status = SS_OK;
    for (int i = 0; i < 2 * tp; i++)
        comm->requests[i] = MPI_REQUEST_NULL;
    for (int t = 0; t < tp && error == MPI_SUCCESS; t++)
        if (t != host->comm.tp_rank)
            error = MPI_Irecv((char *)out + (size_t)t * bytes, (int)bytes, MPI_BYTE,
                              ss_host_comm_peer(host, t), 0, comm->collectives, &comm->requests[t]);
    for (int t = 0; t < tp && error == MPI_SUCCESS; t++)
        if (t != host->comm.tp_rank)
            error = MPI_Isend(in, (int)bytes, MPI_BYTE, ss_host_comm_peer(host, t), 0,
                              comm->collectives, &comm->requests[tp + t]);
    if (error != MPI_SUCCESS) {
        status = fail_mpi(host, error, "a collective");
        goto abandon_all;
    }
    memcpy((char *)out + (size_t)host->comm.tp_rank * bytes, in, bytes);
    status = await(host, comm->requests, comm->statuses, 2 * tp, "a collective");
    if (status == SS_OK)
        return check_parts(host, comm->statuses, bytes);
    if (status == SS_TIMEOUT) {
        drop_complete(comm->requests, 2 * tp);
        status = fail_missing(host, comm->requests);
    }

abandon_all:
    for (int i = 0; i < 2 * tp; i++)
        abandon(&comm->requests[i]);
    return status;
}

static enum ss_status await_edge(struct ss_host_comm *host, MPI_Request *request, int from, int to,
                                 size_t bytes)
{
    char what[64];
    MPI_Status mpi_status;
    int got = (int)bytes;
    snprintf(what, sizeof what, "edge from rank %d to rank %d", from, to);
    enum ss_status status = await(host, request, &mpi_status, 1, what);
    if (status == SS_TIMEOUT)
        status = ss_fail(SS_PEER_LOST, "comm: %s: rank %d waited over %.3f s", what, host->rank,
                         (double)host->timeout_ns * 1e-9);
    if (status != SS_OK) {
        abandon(request);
        return status;
    }
    if (to == host->rank)
        MPI_Get_count(&mpi_status, MPI_BYTE, &got);
    if ((size_t)got != bytes)
        return ss_fail(SS_INTERNAL, "comm: %s: a message of %d bytes where %zu are due", what, got,
                       bytes);
    return SS_OK;
}

static enum ss_status send_edge(struct ss_host_comm *host, const void *data, size_t bytes)
{
    MPI_Request request;
    int error = MPI_Isend(data, (int)bytes, MPI_BYTE, host->next, 0,
                          mpi_of(host)->edges[host->comm.stage], &request);
    if (error != MPI_SUCCESS)
        return fail_mpi(host, error, "a send to the next stage");
    return await_edge(host, &request, host->rank, host->next, bytes);
}

static enum ss_status receive_edge(struct ss_host_comm *host, void *data, size_t bytes)
{
    MPI_Request request;
    int stage = (host->comm.stage + host->comm.pp - 1) % host->comm.pp;
    int error = MPI_Irecv(data, (int)bytes, MPI_BYTE, host->previous, 0, mpi_of(host)->edges[stage],
                          &request);
    if (error != MPI_SUCCESS)
        return fail_mpi(host, error, "a receive from the previous stage");
    return await_edge(host, &request, host->previous, host->rank, bytes);
}

static void mpi_release(struct mpi_comm *comm)
{
    if (comm->collectives != MPI_COMM_NULL)
        MPI_Comm_free(&comm->collectives);
    for (int stage = 0; comm->edges && stage < comm->host.comm.pp; stage++)
        if (comm->edges[stage] != MPI_COMM_NULL)
            MPI_Comm_free(&comm->edges[stage]);
    ss_free(comm->edges);
    ss_free(comm->requests);
    ss_free(comm->statuses);
    ss_host_comm_release(&comm->host);
    ss_free(comm);
}

static void mpi_destroy(struct ss_comm *comm)
{
    mpi_release((struct mpi_comm *)comm);
}

static const struct ss_comm_table table = {
    .name = "mpi",
    .destroy = mpi_destroy,
    .all_reduce = ss_host_all_reduce,
    .all_gather = ss_host_all_gather,
    .send_next = ss_host_send_next,
    .receive_previous = ss_host_receive_previous,
};

static const struct ss_host_transport transport = {
    .gather = gather,
    .send = send_edge,
    .receive = receive_edge,
};

static enum ss_status allocate(const struct ss_comm_options *options, struct mpi_comm **out)
{
    struct mpi_comm *comm;
    size_t requests = 2 * (size_t)options->tp;
    enum ss_status status = ss_alloc(&comm, 1, sizeof *comm, "a comm");
    if (status != SS_OK)
        return status;
    comm->collectives = MPI_COMM_NULL;
    status = ss_host_comm_init(&comm->host, options, &table, &transport);
    if (status != SS_OK) {
        ss_free(comm);
        return status;
    }
    status = ss_alloc(&comm->edges, (size_t)options->pp, sizeof *comm->edges, "a comm's edges");
    for (int stage = 0; stage < options->pp && status == SS_OK; stage++)
        comm->edges[stage] = MPI_COMM_NULL;
    if (status == SS_OK)
        status = ss_alloc(&comm->requests, requests, sizeof *comm->requests, "a comm's requests");
    if (status == SS_OK)
        status = ss_alloc(&comm->statuses, requests, sizeof *comm->statuses, "a comm's requests");
    if (status != SS_OK)
        mpi_release(comm);
    else
        *out = comm;
    return status;
}

static enum ss_status duplicate_world(struct mpi_comm *comm, MPI_Comm *out)
{
    MPI_Request request;
    MPI_Status mpi_status;
    int error = MPI_Comm_idup(MPI_COMM_WORLD, out, &request);
    if (error != MPI_SUCCESS)
        return fail_mpi(&comm->host, error, "making a communicator");
    enum ss_status status = await(&comm->host, &request, &mpi_status, 1, "making a communicator");
    if (status == SS_TIMEOUT)
        return ss_fail(SS_PEER_LOST, "comm: rank %d: making a communicator took over %.3f s",
                       comm->host.rank, (double)comm->host.timeout_ns * 1e-9);
    if (status == SS_OK)
        MPI_Comm_set_errhandler(*out, MPI_ERRORS_RETURN);
    return status;
}

enum ss_status ss_comm_create_mpi(const struct ss_comm_options *options, struct ss_comm **out)
{
    struct mpi_comm *comm = 0;
    enum ss_status own = allocate(options, &comm);
    enum ss_status status = ss_host_comm_agree(options->link, own);
    if (own != SS_OK)
        return own;
    if (status != SS_OK) {
        mpi_release(comm);
        return status;
    }
    if (options->tp > 1)
        status = duplicate_world(comm, &comm->collectives);
    for (int stage = 0; stage < options->pp && options->pp > 1 && status == SS_OK; stage++)
        status = duplicate_world(comm, &comm->edges[stage]);
    if (status != SS_OK)
        return status; /* and keep COMM: MPI may still write the communicator into it */
    *out = &comm->host.comm;
    return SS_OK;
}
