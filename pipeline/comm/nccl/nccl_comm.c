/* Collectives by NCCL; edges into the neighbour's memory where there is a way, else by NCCL too. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/nccl/internal.h"
#include "pipeline/comm/nccl/sum.h"
#include "pipeline/link/agree.h"
#include "swap/device/cuda/cuda.h"

/* Every so many sums say that they are done: a word to the host costs a microsecond. */
#define SUMS_PER_SIGNAL 8

static struct nccl_comm *comm_of(struct ss_comm *base)
{
    return (struct nccl_comm *)base;
}

/* Before a call, with the lock held from here to end_call(). */
static enum ss_status begin_call(struct nccl_comm *comm, struct channel *channel)
{
    enum ss_status status = ss_cuda_begin(comm->device, channel->name);
    pthread_mutex_lock(&comm->lock);
    if (!status && channel != &comm->channels[SET] && comm->base.pp == 1)
        status = ss_fail(SS_UNSUPPORTED, "a lone stage has no edges between GPUs");
    /* The device's health says which peer, and how it was found out. */
    if (!status && atomic_load(&comm->lost))
        status = comm->device->ops->health(comm->device);
    return status;
}

static enum ss_status end_call(struct nccl_comm *comm, struct channel *channel,
                               struct ss_stream *stream, enum ss_status status, bool say)
{
    /* Recorded calls run later, and say so as one. */
    bool now = !status && !ss_cuda_stream_is_recording(stream);
    channel->unsignalled += now;
    if (now && (say || channel->unsignalled >= SUMS_PER_SIGNAL)) {
        status = comm->device->ops->signal(stream, channel->done, channel->queued + 1);
        atomic_fetch_add(&channel->queued, 1);
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
        status = ss_nccl_check(
            comm, channel,
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
    if (!status && comm->edges)
        status = ss_peer_edges_send(comm->edges, stream, data, bytes);
    else if (!status)
        status = ss_nccl_check(comm, channel,
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
    if (!status && comm->edges)
        status = ss_peer_edges_receive(comm->edges, stream, data, bytes);
    else if (!status)
        status = ss_nccl_check(comm, channel,
                               comm->nccl->receive((void *)(uintptr_t)data, bytes, ncclInt8, 0,
                                                   channel->comm, ss_cuda_stream_native(stream)));
    return end_call(comm, channel, stream, status, true);
}

static void destroy(struct ss_comm *base)
{
    struct nccl_comm *comm = comm_of(base);
    ss_nccl_watch_stop(comm);
    if (comm->stuck)
        return;
    for (int i = 0; i < CHANNELS; i++) {
        struct channel *channel = &comm->channels[i];
        /* Peers leave at different times, or never: what is outstanding is over by now, so nothing
         * is lost by not waiting for them. */
        if (channel->comm)
            comm->nccl->abort(channel->comm);
        if (channel->done)
            comm->device->ops->timeline_destroy(channel->done);
    }
    ss_peer_edges_destroy(comm->edges);
    if (comm->parts)
        comm->device->ops->free(comm->device, comm->parts);
    pthread_cond_destroy(&comm->changed);
    pthread_mutex_destroy(&comm->lock);
    pthread_mutex_destroy(&comm->watching_lock);
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

/* What needs no other rank. */
static enum ss_status open_alone(struct nccl_comm *comm)
{
    static const char *const names[] = {"tensor-parallel set", "edge to", "edge from"};
    size_t parts = (size_t)comm->base.tp * comm->base.all_reduce_bytes_max +
                   (2 + (size_t)comm->base.tp) * TRIED_BYTES;
    enum ss_status status = ss_nccl_open(&comm->nccl);
    for (int i = 0; i < CHANNELS && !status; i++) {
        comm->channels[i].name = names[i];
        comm->channels[i].nccl = comm->nccl;
        comm->channels[i].seen_ns = ss_now_ns();
        status = comm->device->ops->timeline_create(comm->device, &comm->channels[i].done);
    }
    if (!status)
        status = comm->device->ops->alloc(comm->device, parts, &comm->parts);
    if (!status)
        status = ss_cuda_begin(comm->device, "load kernels");
    return status ? status
                  : ss_cuda_check(comm->device, ss_nccl_sum_load(),
                                  "load kernels: cudaFuncGetAttributes");
}

static enum ss_status open_comm(struct nccl_comm *comm, struct ss_link *link)
{
    const struct ss_comm *base = &comm->base;
    enum ss_status status = ss_agree(link, open_alone(comm));
    if (!status && base->pp > 1)
        status = ss_peer_edges_create(link, comm->device, base->tp, base->pp, &comm->edges);
    if (!status)
        status = ss_nccl_connect(comm, link);
    return status ? status : ss_nccl_watch_start(comm);
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
    pthread_mutex_init(&comm->watching_lock, 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&comm->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (options->tp * options->pp > 1)
        status = open_comm(comm, options->link);
    if (status) {
        destroy(&comm->base);
        return status;
    }
    *out = &comm->base;
    return SS_OK;
}
