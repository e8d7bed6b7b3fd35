#include <limits.h>

#include "engine/base/clock.h"
#include "pipeline/link/mpi/mpi_link.h"

/* Collectives stand at start and stop, where peers may be busy for seconds. */
#define SLEEP_NS_MAX SS_NS_PER_MS

enum ss_status ss_mpi_await(MPI_Request *request, uint64_t timeout_ns, const char *what)
{
    uint64_t start_ns = ss_now_ns();
    struct ss_backoff backoff = {0};
    for (int done = 0;;) {
        if (MPI_Test(request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return ss_fail(SS_PEER_LOST, "link: MPI failed in %s", what);
        if (done)
            return SS_OK;
        if (timeout_ns != 0 && ss_now_ns() - start_ns > timeout_ns)
            return ss_fail(SS_TIMEOUT, "link: %s took over %.3f s", what,
                           (double)timeout_ns * 1e-9);
        ss_backoff_pause(&backoff, SLEEP_NS_MAX);
    }
}

enum ss_status ss_mpi_all_gather(struct ss_link *base, const void *in, size_t bytes, void *out)
{
    struct ss_mpi_link *link = (struct ss_mpi_link *)base;
    MPI_Request request;
    if (bytes > INT_MAX)
        return ss_fail(SS_INVALID, "link: all_gather of %zu bytes a rank; at most %d", bytes,
                       INT_MAX);
    if (MPI_Iallgather(in, (int)bytes, MPI_BYTE, out, (int)bytes, MPI_BYTE, link->comm, &request) !=
        MPI_SUCCESS)
        return ss_fail(SS_PEER_LOST, "link: MPI failed to start all_gather");
    return ss_mpi_await(&request, 0, "all_gather");
}

enum ss_status ss_mpi_barrier(struct ss_link *base)
{
    struct ss_mpi_link *link = (struct ss_mpi_link *)base;
    MPI_Request request;
    if (MPI_Ibarrier(link->comm, &request) != MPI_SUCCESS)
        return ss_fail(SS_PEER_LOST, "link: MPI failed to start a barrier");
    return ss_mpi_await(&request, 0, "barrier");
}
