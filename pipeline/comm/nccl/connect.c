/* Forming communicators, once, at start. */
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/nccl/internal.h"
#include "pipeline/link/agree.h"
#include "swap/device/cuda/cuda.h"

/* What each rank tells all others: the set's identity, from its first rank, and that of the edge
 * that leaves the rank. */
struct identities {
    ncclUniqueId set, edge;
};

/* NCCL's own. */
static bool has_edges(const struct nccl_comm *comm)
{
    return comm->base.pp > 1 && !comm->edges;
}

/* Forming communicators blocks until all peers do so too: a thread of its own, so that there is an
 * end to waiting for it. */
struct forming {
    struct nccl_comm *comm;
    struct identities mine, *all;
    struct ss_stream *streams[CHANNELS];
    ncclResult_t result;
};

static ncclResult_t join(struct forming *forming)
{
    struct nccl_comm *comm = forming->comm;
    const struct ss_comm *base = &comm->base;
    int previous = (base->stage + base->pp - 1) % base->pp, ends = has_edges(comm) ? 2 : 1;
    struct {
        int ranks, rank, from;
    } seats[CHANNELS] = {{base->tp, base->tp_rank, base->stage * base->tp},
                         {ends, 0, base->stage * base->tp + base->tp_rank},
                         {ends, 1, previous * base->tp + base->tp_rank}};
    ncclResult_t result = comm->nccl->group_start();
    for (int i = 0; i < CHANNELS && result == ncclSuccess; i++) {
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        const struct identities *identities = &forming->all[seats[i].from];
        if (seats[i].ranks > 1)
            result = comm->nccl->init_rank(&comm->channels[i].comm, seats[i].ranks,
                                           i == SET ? identities->set : identities->edge,
                                           seats[i].rank, &config);
    }
    return result == ncclSuccess ? comm->nccl->group_end() : result;
}

/* One small call of each kind, as a group: the first one connects, and waits for the peer's. */
static ncclResult_t try_all(struct forming *forming)
{
    struct nccl_comm *comm = forming->comm;
    unsigned char *memory = (unsigned char *)(uintptr_t)comm->parts;
    struct channel *channels = comm->channels;
    cudaStream_t streams[CHANNELS];
    for (int i = 0; i < CHANNELS; i++)
        streams[i] = ss_cuda_stream_native(forming->streams[i]);
    ncclResult_t result = comm->nccl->group_start();
    if (result == ncclSuccess && channels[OUT].comm)
        result =
            comm->nccl->send(memory, TRIED_BYTES, ncclInt8, 1, channels[OUT].comm, streams[OUT]);
    if (result == ncclSuccess && channels[IN].comm)
        result = comm->nccl->receive(memory + TRIED_BYTES, TRIED_BYTES, ncclInt8, 0,
                                     channels[IN].comm, streams[IN]);
    if (result == ncclSuccess && channels[SET].comm)
        result = comm->nccl->all_gather(memory, memory + 2 * TRIED_BYTES, TRIED_BYTES, ncclInt8,
                                        channels[SET].comm, streams[SET]);
    return result == ncclSuccess ? comm->nccl->group_end() : result;
}

static void *form(void *argument)
{
    struct forming *forming = argument;
    if (ss_cuda_begin(forming->comm->device, "ncclCommInitRank")) {
        forming->result = ncclUnhandledCudaError;
        return 0;
    }
    forming->result = join(forming);
    if (forming->result == ncclSuccess)
        forming->result = try_all(forming);
    return 0;
}

static enum ss_status run_forming(struct nccl_comm *comm, struct forming *forming)
{
    pthread_t thread;
    struct timespec until;
    int error = pthread_create(&thread, 0, form, forming);
    if (error)
        return ss_fail_errno(SS_NO_MEMORY, error, "the thread that forms NCCL communicators");
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(comm->timeout_ns / SS_NS_PER_S) + 1;
    if (pthread_timedjoin_np(thread, 0, &until)) {
        enum ss_status status = ss_nccl_fail(comm, SS_PEER_LOST, &comm->channels[SET],
                                             "communicators were not formed in time");
        /* It stands in the library, and keeps what it was given; the process is about to end. */
        pthread_detach(thread);
        return status;
    }
    return ss_nccl_check(comm, &comm->channels[SET], forming->result);
}

/* What this rank brings, alone. */
static enum ss_status prepare(struct forming *forming, int ranks)
{
    struct nccl_comm *comm = forming->comm;
    ncclResult_t result = ncclSuccess;
    enum ss_status status =
        ss_alloc(&forming->all, (size_t)ranks, sizeof *forming->all, "NCCL identities");
    for (int i = 0; i < CHANNELS && !status; i++)
        status = comm->device->ops->stream_create(
            comm->device, i == SET ? SS_STREAM_COMPUTE : SS_STREAM_EDGE, &forming->streams[i]);
    if (!status && comm->base.tp > 1 && comm->base.tp_rank == 0)
        result = comm->nccl->get_unique_id(&forming->mine.set);
    if (!status && result == ncclSuccess && has_edges(comm))
        result = comm->nccl->get_unique_id(&forming->mine.edge);
    return status ? status : ss_nccl_check(comm, &comm->channels[SET], result);
}

/* Waits for what was tried: a peer may be gone by now. */
static enum ss_status settle(struct nccl_comm *comm, struct forming *forming)
{
    const struct ss_device_ops *ops = comm->device->ops;
    enum ss_status status = SS_OK;
    for (int i = 0; i < CHANNELS && !status; i++) {
        struct channel *channel = &comm->channels[i];
        status = ops->signal(forming->streams[i], channel->done, 1);
        atomic_store(&channel->queued, 1);
        if (!status)
            status = ops->timeline_wait(channel->done, 1, comm->timeout_ns);
        if (status == SS_TIMEOUT)
            status =
                ss_nccl_fail(comm, SS_PEER_LOST, channel, "the first call did not end in time");
    }
    return status;
}

static void release(struct nccl_comm *comm, struct forming *forming)
{
    for (int i = 0; i < CHANNELS; i++)
        if (forming->streams[i])
            comm->device->ops->stream_destroy(forming->streams[i]);
    ss_free(forming->all);
    ss_free(forming);
}

enum ss_status ss_nccl_connect(struct nccl_comm *comm, struct ss_link *link)
{
    struct forming *forming = 0;
    if (comm->base.tp == 1 && !has_edges(comm))
        return SS_OK;
    enum ss_status status = ss_alloc(&forming, 1, sizeof *forming, "NCCL communicators");
    if (!status) {
        forming->comm = comm;
        status = prepare(forming, link->ranks);
    }
    status = ss_agree(link, status);
    if (!status) {
        SS_ASSERT(forming);
        status = link->table->all_gather(link, &forming->mine, sizeof forming->mine, forming->all);
    }
    if (!status) {
        status = run_forming(comm, forming);
        if (!status)
            status = settle(comm, forming);
        /* What was begun may hang on a peer, and needs its memory. */
        comm->stuck = status != SS_OK;
    }
    if (forming && !comm->stuck)
        release(comm, forming);
    return status ? status : comm->device->ops->health(comm->device);
}
