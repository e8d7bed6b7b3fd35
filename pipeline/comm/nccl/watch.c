/* Ends what a lost peer would leave hanging. */
#include <stdio.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/thread.h"
#include "pipeline/comm/nccl/internal.h"

#define WATCH_NS (50 * SS_NS_PER_MS)
/* How long a call under way may take to let the watcher at the communicators, and how long their
 * end may take. */
#define PATIENCE_NS (1 * SS_NS_PER_S)

static struct timespec in(clockid_t clock, uint64_t ns)
{
    struct timespec until;
    clock_gettime(clock, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / SS_NS_PER_S);
    until.tv_nsec = (long)(ns % SS_NS_PER_S);
    return until;
}

static void *abort_one(void *argument)
{
    struct channel *channel = argument;
    channel->nccl->abort(channel->comm);
    return 0;
}

/* Ends all kernels of all communicators, at once: to abort one frees device memory, which waits for
 * the kernels of the others. NCCL then waits for the graphs that its calls were recorded in; nobody
 * waits for that. */
static void abort_all(struct nccl_comm *comm)
{
    struct timespec until = in(CLOCK_REALTIME, PATIENCE_NS);
    pthread_t threads[CHANNELS];
    bool running[CHANNELS] = {false};
    /* A call may stand in the library until what is aborted here has ended. */
    bool locked = pthread_mutex_timedlock(&comm->lock, &until) == 0;
    for (int i = 0; i < CHANNELS; i++)
        if (comm->channels[i].comm)
            running[i] = pthread_create(&threads[i], 0, abort_one, &comm->channels[i]) == 0;
    if (locked)
        pthread_mutex_unlock(&comm->lock);
    until = in(CLOCK_REALTIME, PATIENCE_NS);
    for (int i = 0; i < CHANNELS; i++) {
        if (running[i] && pthread_timedjoin_np(threads[i], 0, &until) == 0)
            comm->channels[i].comm = 0;
        else if (running[i])
            pthread_detach(threads[i]);
        comm->stuck |= comm->channels[i].comm != 0;
    }
}

/* Looks for a channel whose oldest call does not end. */
static enum ss_status look(struct nccl_comm *comm, struct channel *channel)
{
    uint64_t queued = atomic_load(&channel->queued), now_ns = ss_now_ns();
    uint64_t value = comm->device->ops->timeline_value(channel->done);
    ncclResult_t error = ncclSuccess;
    if (channel->comm)
        comm->nccl->async_error(channel->comm, &error);
    if (error != ncclSuccess && error != ncclInProgress)
        return ss_nccl_fail(comm, SS_PEER_LOST, channel, comm->nccl->error_string(error));
    if (value != channel->seen || value == queued) {
        channel->seen = value;
        channel->seen_ns = now_ns;
    }
    if (now_ns - channel->seen_ns <= comm->timeout_ns)
        return SS_OK;
    /* A peer whose counts are lower has not come so far. */
    char what[96];
    snprintf(what, sizeof what, "a call did not end in time: %llu of %llu are done",
             (unsigned long long)value, (unsigned long long)queued);
    return ss_nccl_fail(comm, SS_PEER_LOST, channel, what);
}

static void *watch(void *argument)
{
    struct nccl_comm *comm = argument;
    pthread_mutex_lock(&comm->watching_lock);
    while (!comm->closing) {
        struct timespec until = in(CLOCK_MONOTONIC, WATCH_NS);
        bool lost = atomic_load(&comm->lost);
        pthread_cond_timedwait(&comm->changed, &comm->watching_lock, &until);
        for (int i = 0; i < CHANNELS && !atomic_load(&comm->lost); i++)
            atomic_store(&comm->lost, look(comm, &comm->channels[i]) != SS_OK);
        /* Again and again: a neighbour that lives may write an edge's words once more. */
        if (comm->edges && atomic_load(&comm->lost))
            ss_peer_edges_let_go(comm->edges);
        if (!lost && atomic_load(&comm->lost)) {
            /* The rank may stand in a call, and never come to say it. */
            SS_ERROR("%s", ss_status_message());
            abort_all(comm);
        }
    }
    pthread_mutex_unlock(&comm->watching_lock);
    return 0;
}

enum ss_status ss_nccl_watch_start(struct nccl_comm *comm)
{
    enum ss_status status = ss_thread_start(&comm->watcher, "ss-watch", watch, comm);
    comm->watching = status == SS_OK;
    return status;
}

void ss_nccl_watch_stop(struct nccl_comm *comm)
{
    if (!comm->watching)
        return;
    pthread_mutex_lock(&comm->watching_lock);
    comm->closing = true;
    pthread_cond_signal(&comm->changed);
    pthread_mutex_unlock(&comm->watching_lock);
    pthread_join(comm->watcher, 0);
}
