#include "pipeline/comm/nccl/nccl_comm.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/nccl/library.h"
#include "pipeline/comm/nccl/sum.h"
#include "swap/device/cuda/cuda.h"

#define WATCH_NS (50 * SS_NS_PER_MS)
/* Every so many sums say that they are done: a word to the host costs a microsecond. */
#define SUMS_PER_SIGNAL 8
#define TRIED_BYTES     ((size_t)256) /* of each first call */

enum channel_kind { SET, OUT, IN, CHANNELS };

/* One communicator, the calls queued on it and those done. */
struct channel {
    const char *name;
    ncclComm_t comm; /* null: none, or aborted */
    struct ss_timeline *done;
    uint64_t queued, unsignalled;
    /* The watcher's: when what was done last changed, or the channel was idle. */
    uint64_t seen, seen_ns;
};

struct nccl_comm {
    struct ss_comm base;
    struct ss_device *device;
    const struct ss_nccl *nccl;
    uint64_t timeout_ns;
    ss_device_address parts; /* of sums: [tp][all_reduce_bytes_max] */
    pthread_mutex_t lock;    /* of the channels */
    pthread_cond_t changed;
    pthread_t watcher;
    bool watching, closing;
    bool stuck; /* a thread stands in the library: nothing may be taken from under it */
    struct channel channels[CHANNELS];
};

static struct nccl_comm *comm_of(struct ss_comm *base)
{
    return (struct nccl_comm *)base;
}

static enum ss_status fail(struct nccl_comm *comm, enum ss_status status,
                           const struct channel *channel, const char *what)
{
    static const int steps[CHANNELS] = {[OUT] = 1, [IN] = -1};
    const struct ss_comm *base = &comm->base;
    char call[96];
    int kind = (int)(channel - comm->channels);
    int peer = (base->stage + base->pp + steps[kind]) % base->pp * base->tp + base->tp_rank;
    if (kind == SET)
        snprintf(call, sizeof call, "NCCL, tensor-parallel set of stage %d, tp rank %d",
                 base->stage, base->tp_rank);
    else
        snprintf(call, sizeof call, "NCCL, %s rank %d", channel->name, peer);
    return ss_cuda_fail(comm->device, status, call, what);
}

struct aborting {
    const struct ss_nccl *nccl;
    ncclComm_t comm;
};

static void *abort_one(void *argument)
{
    struct aborting *aborting = argument;
    aborting->nccl->abort(aborting->comm);
    return 0;
}

/* Ends all kernels of all communicators, at once: to abort one frees device memory, which waits for
 * the kernels of the others. With the lock. */
static void abort_all(struct nccl_comm *comm)
{
    struct aborting each[CHANNELS];
    pthread_t threads[CHANNELS];
    bool running[CHANNELS] = {false};
    for (int i = 0; i < CHANNELS; i++) {
        each[i] = (struct aborting){comm->nccl, comm->channels[i].comm};
        comm->channels[i].comm = 0;
        if (each[i].comm)
            running[i] = pthread_create(&threads[i], 0, abort_one, &each[i]) == 0;
    }
    for (int i = 0; i < CHANNELS; i++) {
        if (running[i])
            pthread_join(threads[i], 0);
        else if (each[i].comm)
            abort_one(&each[i]);
    }
}

static enum ss_status check(struct nccl_comm *comm, const struct channel *channel,
                            ncclResult_t result)
{
    if (result == ncclSuccess)
        return SS_OK;
    return fail(comm, result == ncclRemoteError ? SS_PEER_LOST : SS_IO, channel,
                comm->nccl->error_string(result));
}

/* Before a call, with the lock held from here to end_call(). */
static enum ss_status begin_call(struct nccl_comm *comm, struct channel *channel)
{
    enum ss_status status = ss_cuda_begin(comm->device, channel->name);
    pthread_mutex_lock(&comm->lock);
    if (!status && channel != &comm->channels[SET] && comm->base.pp == 1)
        status = ss_fail(SS_UNSUPPORTED, "NCCL: a lone stage has no edges");
    if (!status && !channel->comm)
        status = ss_fail(SS_PEER_LOST, "NCCL, %s: a peer was lost before", channel->name);
    return status;
}

static enum ss_status end_call(struct nccl_comm *comm, struct channel *channel,
                               struct ss_stream *stream, enum ss_status status, bool say)
{
    /* Recorded calls run later, and say so as one. */
    bool now = !status && !ss_cuda_stream_is_recording(stream);
    channel->unsignalled += now;
    if (now && (say || channel->unsignalled >= SUMS_PER_SIGNAL)) {
        if (channel->seen == channel->queued)
            channel->seen_ns = ss_now_ns();
        status = comm->device->ops->signal(stream, channel->done, ++channel->queued);
        channel->unsignalled = 0;
    }
    pthread_mutex_unlock(&comm->lock);
    return status;
}

static enum ss_status gather(struct nccl_comm *comm, struct ss_stream *stream, ss_device_address in,
                             ss_device_address out, size_t bytes, bool say)
{
    struct channel *channel = &comm->channels[SET];
    enum ss_status status = begin_call(comm, channel);
    if (!status)
        status =
            check(comm, channel,
                  comm->nccl->all_gather((const void *)(uintptr_t)in, (void *)(uintptr_t)out, bytes,
                                         ncclInt8, channel->comm, ss_cuda_stream_native(stream)));
    return end_call(comm, channel, stream, status, say);
}

static enum ss_status all_gather(struct ss_comm *base, struct ss_stream *stream,
                                 ss_device_address in, ss_device_address out, size_t bytes)
{
    struct nccl_comm *comm = comm_of(base);
    if (base->tp == 1)
        return comm->device->ops->copy_on_device(stream, out, in, bytes);
    return gather(comm, stream, in, out, bytes, true);
}

static enum ss_status all_reduce(struct ss_comm *base, struct ss_stream *stream,
                                 ss_device_address data, size_t count, enum ss_dtype dtype)
{
    struct nccl_comm *comm = comm_of(base);
    size_t bytes = count * ss_dtype_bytes(dtype);
    if (bytes > base->all_reduce_bytes_max)
        return ss_fail(SS_INVALID, "comm: all_reduce of %zu bytes is over the limit of %zu", bytes,
                       base->all_reduce_bytes_max);
    if (base->tp == 1 || count == 0)
        return SS_OK;
    enum ss_status status = gather(comm, stream, data, comm->parts, bytes, false);
    return status ? status
                  : ss_cuda_check(
                        comm->device,
                        ss_nccl_sum(ss_cuda_stream_native(stream), (void *)(uintptr_t)data,
                                    (const void *)(uintptr_t)comm->parts, base->tp, count, dtype),
                        "all_reduce: sum");
}

static enum ss_status end_pass(struct ss_comm *base, struct ss_stream *stream)
{
    struct nccl_comm *comm = comm_of(base);
    struct channel *channel = &comm->channels[SET];
    if (base->tp == 1)
        return SS_OK;
    return end_call(comm, channel, stream, begin_call(comm, channel), true);
}

/* The sender is rank 0 of an edge's communicator, the receiver rank 1. */
static enum ss_status send_next(struct ss_comm *base, struct ss_stream *stream,
                                ss_device_address data, size_t bytes)
{
    struct nccl_comm *comm = comm_of(base);
    struct channel *channel = &comm->channels[OUT];
    enum ss_status status = begin_call(comm, channel);
    if (!status)
        status = check(comm, channel,
                       comm->nccl->send((const void *)(uintptr_t)data, bytes, ncclInt8, 1,
                                        channel->comm, ss_cuda_stream_native(stream)));
    return end_call(comm, channel, stream, status, true);
}

static enum ss_status receive_previous(struct ss_comm *base, struct ss_stream *stream,
                                       ss_device_address data, size_t bytes)
{
    struct nccl_comm *comm = comm_of(base);
    struct channel *channel = &comm->channels[IN];
    enum ss_status status = begin_call(comm, channel);
    if (!status)
        status = check(comm, channel,
                       comm->nccl->receive((void *)(uintptr_t)data, bytes, ncclInt8, 0,
                                           channel->comm, ss_cuda_stream_native(stream)));
    return end_call(comm, channel, stream, status, true);
}

/* Looks for a channel whose oldest call does not end. With the lock. */
static enum ss_status look(struct nccl_comm *comm, struct channel *channel)
{
    uint64_t value, now_ns = ss_now_ns();
    ncclResult_t error = ncclSuccess;
    if (!channel->comm)
        return SS_OK;
    comm->nccl->async_error(channel->comm, &error);
    if (error != ncclSuccess && error != ncclInProgress)
        return fail(comm, SS_PEER_LOST, channel, comm->nccl->error_string(error));
    value = comm->device->ops->timeline_value(channel->done);
    if (value != channel->seen || value == channel->queued) {
        channel->seen = value;
        channel->seen_ns = now_ns;
    }
    if (now_ns - channel->seen_ns > comm->timeout_ns)
        return fail(comm, SS_PEER_LOST, channel, "a call did not end in time");
    return SS_OK;
}

static void *watch(void *argument)
{
    struct nccl_comm *comm = argument;
    bool lost = false;
    pthread_mutex_lock(&comm->lock);
    while (!comm->closing && !lost) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)WATCH_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&comm->changed, &comm->lock, &until);
        for (int i = 0; i < CHANNELS; i++)
            lost |= look(comm, &comm->channels[i]) != SS_OK;
        if (lost)
            abort_all(comm);
    }
    pthread_mutex_unlock(&comm->lock);
    return 0;
}

static void destroy(struct ss_comm *base)
{
    struct nccl_comm *comm = comm_of(base);
    if (comm->watching) {
        pthread_mutex_lock(&comm->lock);
        comm->closing = true;
        pthread_cond_signal(&comm->changed);
        pthread_mutex_unlock(&comm->lock);
        pthread_join(comm->watcher, 0);
    }
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *channel = &comm->channels[i];
        /* Peers leave at different times, or never: what is outstanding is over by now, so nothing
         * is lost by not waiting for them. */
        if (channel->comm)
            comm->nccl->abort(channel->comm);
        if (channel->done)
            comm->device->ops->timeline_destroy(channel->done);
    }
    if (comm->parts)
        comm->device->ops->free(comm->device, comm->parts);
    pthread_cond_destroy(&comm->changed);
    pthread_mutex_destroy(&comm->lock);
    ss_free(comm);
}

static const struct ss_comm_table table = {
    .name = "nccl",
    .destroy = destroy,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .end_pass = end_pass,
    .send_next = send_next,
    .receive_previous = receive_previous,
};

/* What each rank tells all others: the set's identity, from its first rank, and that of the edge
 * that leaves the rank. */
struct identities {
    ncclUniqueId set, edge;
};

static enum ss_status exchange(struct nccl_comm *comm, struct ss_link *link,
                               struct identities **out)
{
    struct identities mine = {0}, *all;
    ncclResult_t result = ncclSuccess;
    enum ss_status status = ss_alloc(&all, (size_t)link->ranks, sizeof *all, "NCCL identities");
    if (status)
        return status;
    if (comm->base.tp > 1 && comm->base.tp_rank == 0)
        result = comm->nccl->get_unique_id(&mine.set);
    if (result == ncclSuccess && comm->base.pp > 1)
        result = comm->nccl->get_unique_id(&mine.edge);
    /* Who failed still takes part, so that the others do not hang here. */
    status = link->table->all_gather(link, &mine, sizeof mine, all);
    if (!status && result != ncclSuccess)
        status = fail(comm, SS_IO, &comm->channels[SET], comm->nccl->error_string(result));
    if (status) {
        ss_free(all);
        return status;
    }
    *out = all;
    return SS_OK;
}

/* Forming communicators blocks until all peers do so too: a thread of its own, so that there is an
 * end to waiting for it. */
struct forming {
    struct nccl_comm *comm;
    struct identities *all;
    struct ss_stream *streams[CHANNELS];
    ncclResult_t result;
};

static ncclResult_t join(struct forming *forming)
{
    struct nccl_comm *comm = forming->comm;
    const struct ss_comm *base = &comm->base;
    int previous = (base->stage + base->pp - 1) % base->pp;
    struct {
        int ranks, rank, from;
    } seats[CHANNELS] = {{base->tp, base->tp_rank, base->stage * base->tp},
                         {base->pp > 1 ? 2 : 1, 0, base->stage * base->tp + base->tp_rank},
                         {base->pp > 1 ? 2 : 1, 1, previous * base->tp + base->tp_rank}};
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
        enum ss_status status =
            fail(comm, SS_PEER_LOST, &comm->channels[SET], "communicators were not formed in time");
        /* It stands in the library, and keeps what it was given; the process is about to end. */
        pthread_detach(thread);
        comm->stuck = true;
        return status;
    }
    return check(comm, &comm->channels[SET], forming->result);
}

static enum ss_status connect(struct nccl_comm *comm, struct ss_link *link)
{
    const struct ss_device_ops *ops = comm->device->ops;
    struct forming *forming;
    enum ss_status status = ss_alloc(&forming, 1, sizeof *forming, "NCCL communicators");
    if (status)
        return status;
    forming->comm = comm;
    for (int i = 0; i < CHANNELS && !status; i++)
        status = ops->stream_create(comm->device, i == SET ? SS_STREAM_COMPUTE : SS_STREAM_EDGE,
                                    &forming->streams[i]);
    if (!status)
        status = exchange(comm, link, &forming->all);
    if (!status)
        status = run_forming(comm, forming);
    if (comm->stuck)
        return status;
    /* Destroying a stream waits for what was tried. */
    for (int i = 0; i < CHANNELS; i++)
        if (forming->streams[i])
            ops->stream_destroy(forming->streams[i]);
    ss_free(forming->all);
    ss_free(forming);
    return status ? status : ops->health(comm->device);
}

static enum ss_status start_watcher(struct nccl_comm *comm)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&comm->watcher, 0, watch, comm);
    pthread_sigmask(SIG_SETMASK, &before, 0);
    if (error)
        return ss_fail_errno(SS_NO_MEMORY, error, "the thread that watches NCCL");
    comm->watching = true;
    return SS_OK;
}

static enum ss_status open_comm(struct nccl_comm *comm, struct ss_link *link)
{
    static const char *const names[] = {"tensor-parallel set", "edge to", "edge from"};
    size_t parts = (size_t)comm->base.tp * comm->base.all_reduce_bytes_max +
                   (2 + (size_t)comm->base.tp) * TRIED_BYTES;
    enum ss_status status = ss_nccl_open(&comm->nccl);
    for (int i = 0; i < CHANNELS && !status; i++) {
        comm->channels[i].name = names[i];
        comm->channels[i].seen_ns = ss_now_ns();
        status = comm->device->ops->timeline_create(comm->device, &comm->channels[i].done);
    }
    if (!status)
        status = comm->device->ops->alloc(comm->device, parts, &comm->parts);
    if (!status)
        status = ss_cuda_begin(comm->device, "load kernels");
    if (!status)
        status =
            ss_cuda_check(comm->device, ss_nccl_sum_load(), "load kernels: cudaFuncGetAttributes");
    if (!status)
        status = connect(comm, link);
    return status ? status : start_watcher(comm);
}

enum ss_status ss_comm_create_nccl(const struct ss_comm_options *options, struct ss_comm **out)
{
    struct nccl_comm *comm;
    pthread_condattr_t monotonic;
    enum ss_status status = ss_alloc(&comm, 1, sizeof *comm, "NCCL comm");
    if (status)
        return status;
    comm->base = (struct ss_comm){
        .table = &table,
        .tp = options->tp,
        .tp_rank = options->link->rank % options->tp,
        .pp = options->pp,
        .stage = options->link->rank / options->tp,
        .all_reduce_bytes_max = options->all_reduce_bytes_max,
    };
    comm->device = options->device;
    comm->timeout_ns = options->timeout_ns;
    pthread_mutex_init(&comm->lock, 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&comm->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (options->tp * options->pp > 1)
        status = open_comm(comm, options->link);
    if (status) {
        if (!comm->stuck)
            destroy(&comm->base);
        return status;
    }
    *out = &comm->base;
    return SS_OK;
}
