#include "pipeline/comm/host/host.h"

#include <limits.h>
#include <stdint.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "pipeline/comm/host/sum.h"
#include "swap/device/cpu/cpu.h"

/* More than a pipeline of one stage has under way at a time; a sender that is further ahead waits.
 */
#define SELF_EDGE_PLACES 8

/* One call of the table, as its stream's worker gets it. */
struct call {
    struct ss_host_comm *host;
    void *data;
    void *out;
    size_t bytes;
    size_t count;
    enum ss_dtype dtype;
};

static void *host_pointer(ss_device_address address)
{
    return (void *)(uintptr_t)address;
}

static enum ss_status run(struct ss_stream *stream, enum ss_status (*function)(void *),
                          const struct call *call)
{
    return ss_cpu_stream_run(stream, function, call, sizeof *call);
}

static enum ss_status check_bytes(const char *what, size_t bytes, size_t bytes_max)
{
    if (bytes <= bytes_max)
        return SS_OK;
    return ss_fail(SS_INVALID, "comm: %s of %zu bytes is over the limit of %zu", what, bytes,
                   bytes_max);
}

static enum ss_status planted(void)
{
    return ss_fault(SS_FAULT_COMM) ? ss_fail(SS_IO, "comm: planted fault") : SS_OK;
}

static enum ss_status run_all_reduce(void *arguments)
{
    const struct call *call = arguments;
    struct ss_host_comm *host = call->host;
    enum ss_status status = planted();
    if (status == SS_OK)
        status = host->transport->gather(host, call->data, host->parts, call->bytes);
    if (status != SS_OK)
        return ss_status_context(status, "all_reduce of %zu bytes", call->bytes);
    ss_sum_in_order(call->data, host->parts, host->comm.tp, call->count, call->dtype);
    return SS_OK;
}

enum ss_status ss_host_all_reduce(struct ss_comm *comm, struct ss_stream *stream,
                                  ss_device_address data, size_t count, enum ss_dtype dtype)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, ss_dtype_bytes(dtype), &bytes))
        bytes = SIZE_MAX;
    enum ss_status status = check_bytes("all_reduce", bytes, comm->all_reduce_bytes_max);
    if (status != SS_OK || comm->tp == 1 || bytes == 0)
        return status;
    struct call call = {
        .host = (struct ss_host_comm *)comm,
        .data = host_pointer(data),
        .bytes = bytes,
        .count = count,
        .dtype = dtype,
    };
    return run(stream, run_all_reduce, &call);
}

static enum ss_status run_all_gather(void *arguments)
{
    const struct call *call = arguments;
    enum ss_status status = planted();
    if (status == SS_OK)
        status = call->host->transport->gather(call->host, call->data, call->out, call->bytes);
    if (status != SS_OK)
        return ss_status_context(status, "all_gather of %zu bytes", call->bytes);
    return SS_OK;
}

enum ss_status ss_host_all_gather(struct ss_comm *comm, struct ss_stream *stream,
                                  ss_device_address in, ss_device_address out, size_t bytes)
{
    struct ss_host_comm *host = (struct ss_host_comm *)comm;
    enum ss_status status = check_bytes("all_gather", bytes, INT_MAX);
    if (status != SS_OK || bytes == 0)
        return status;
    if (comm->tp == 1)
        return host->device->ops->copy_on_device(stream, out, in, bytes);
    struct call call = {
        .host = host, .data = host_pointer(in), .out = host_pointer(out), .bytes = bytes};
    return run(stream, run_all_gather, &call);
}

/* A mailbox knows no ranks. */
static enum ss_status name_self(struct ss_host_comm *host, enum ss_status status)
{
    if (status == SS_TIMEOUT || status == SS_CANCELLED)
        return ss_fail(SS_PEER_LOST, "comm: rank %d waited over %.3f s for its edge to rank %d",
                       host->rank, (double)host->timeout_ns * 1e-9, host->rank);
    return status;
}

static enum ss_status run_send(void *arguments)
{
    const struct call *call = arguments;
    struct ss_host_comm *host = call->host;
    enum ss_status status = planted();
    if (status == SS_OK)
        status = host->self_edge ? name_self(host, ss_mailbox_send(host->self_edge, call->data,
                                                                   call->bytes, host->timeout_ns))
                                 : host->transport->send(host, call->data, call->bytes);
    if (status != SS_OK)
        return ss_status_context(status, "send of %zu bytes to the next stage", call->bytes);
    return SS_OK;
}

enum ss_status ss_host_send_next(struct ss_comm *comm, struct ss_stream *stream,
                                 ss_device_address data, size_t bytes)
{
    struct call call = {
        .host = (struct ss_host_comm *)comm, .data = host_pointer(data), .bytes = bytes};
    enum ss_status status = check_bytes("send", bytes, INT_MAX);
    return status == SS_OK ? run(stream, run_send, &call) : status;
}

static enum ss_status run_receive(void *arguments)
{
    const struct call *call = arguments;
    struct ss_host_comm *host = call->host;
    enum ss_status status = planted();
    if (status == SS_OK)
        status = host->self_edge
                     ? name_self(host, ss_mailbox_receive(host->self_edge, call->data, call->bytes,
                                                          host->timeout_ns))
                     : host->transport->receive(host, call->data, call->bytes);
    if (status != SS_OK)
        return ss_status_context(status, "receive of %zu bytes from the previous stage",
                                 call->bytes);
    return SS_OK;
}

enum ss_status ss_host_receive_previous(struct ss_comm *comm, struct ss_stream *stream,
                                        ss_device_address data, size_t bytes)
{
    struct call call = {
        .host = (struct ss_host_comm *)comm, .data = host_pointer(data), .bytes = bytes};
    enum ss_status status = check_bytes("receive", bytes, INT_MAX);
    return status == SS_OK ? run(stream, run_receive, &call) : status;
}

int ss_host_comm_peer(const struct ss_host_comm *host, int t)
{
    return host->comm.stage * host->comm.tp + t;
}

enum ss_status ss_host_comm_init(struct ss_host_comm *host, const struct ss_comm_options *options,
                                 const struct ss_comm_table *table,
                                 const struct ss_host_transport *transport)
{
    int tp = options->tp;
    int pp = options->pp;
    int stage = options->link->rank / tp;
    int tp_rank = options->link->rank % tp;
    enum ss_status status = check_bytes("all_reduce", options->all_reduce_bytes_max, INT_MAX);
    if (status != SS_OK)
        return status;
    host->comm = (struct ss_comm){
        .table = table,
        .tp = tp,
        .tp_rank = tp_rank,
        .pp = pp,
        .stage = stage,
        .all_reduce_bytes_max = options->all_reduce_bytes_max,
    };
    host->transport = transport;
    host->device = options->device;
    host->timeout_ns = options->timeout_ns;
    host->rank = options->link->rank;
    host->next = (stage + 1) % pp * tp + tp_rank;
    host->previous = (stage + pp - 1) % pp * tp + tp_rank;
    if (tp > 1)
        status = ss_alloc(&host->parts, (size_t)tp, options->all_reduce_bytes_max,
                          "the parts of an all_reduce");
    if (status == SS_OK && pp == 1)
        status = ss_mailbox_create(SELF_EDGE_PLACES, SIZE_MAX, &host->self_edge);
    if (status != SS_OK)
        ss_host_comm_release(host);
    return status;
}

void ss_host_comm_release(struct ss_host_comm *host)
{
    ss_mailbox_destroy(host->self_edge);
    ss_free(host->parts);
    host->self_edge = 0;
    host->parts = 0;
}

enum ss_status ss_host_comm_agree(struct ss_link *link, enum ss_status status)
{
    enum { RANKS_MAX = 4096 };
    unsigned char mine = (unsigned char)status;
    unsigned char all[RANKS_MAX];
    if (link->ranks > RANKS_MAX)
        return ss_fail(SS_UNSUPPORTED, "comm: %d ranks; at most %d", link->ranks, RANKS_MAX);
    enum ss_status gathered = link->table->all_gather(link, &mine, sizeof mine, all);
    if (status != SS_OK)
        return status;
    if (gathered != SS_OK)
        return gathered;
    for (int rank = 0; rank < link->ranks; rank++)
        if (all[rank] != SS_OK)
            return ss_fail(SS_PEER_LOST, "comm: rank %d could not create its part (%s)", rank,
                           ss_status_name((enum ss_status)all[rank]));
    return SS_OK;
}
