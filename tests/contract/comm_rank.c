#include <string.h>

#include "engine/base/clock.h"
#include "tests/contract/comm_suite.h"

void comm_rank_open(struct comm_rank *rank, struct ss_link *link, int tp, int pp,
                    uint64_t timeout_ns)
{
    static const struct ss_device_options options = {.kind = "cpu", .memory_bytes = 64 << 20};
    memset(rank, 0, sizeof *rank);
    rank->link = link;
    CHECK(ss_device_create(&options, &rank->device) == SS_OK, "device");
    CHECK(ss_comm_create(link, rank->device, tp, pp, COMM_REDUCE_BYTES_MAX, timeout_ns,
                         &rank->comm) == SS_OK,
          "comm %d x %d", tp, pp);
    const struct ss_device_ops *ops = rank->device->ops;
    CHECK(ops->stream_create(rank->device, SS_STREAM_COMPUTE, &rank->compute) == SS_OK, "stream");
    CHECK(ops->stream_create(rank->device, SS_STREAM_EDGE, &rank->out) == SS_OK, "stream");
    CHECK(ops->stream_create(rank->device, SS_STREAM_EDGE, &rank->in) == SS_OK, "stream");
    CHECK(ops->timeline_create(rank->device, &rank->timeline) == SS_OK, "timeline");
}

void comm_rank_close(struct comm_rank *rank)
{
    const struct ss_device_ops *ops = rank->device->ops;
    ops->stream_destroy(rank->in);
    ops->stream_destroy(rank->out);
    ops->stream_destroy(rank->compute);
    ops->timeline_destroy(rank->timeline);
    rank->comm->table->destroy(rank->comm);
    ops->destroy(rank->device);
}

void comm_finish(struct comm_rank *rank, struct ss_stream *stream)
{
    const struct ss_device_ops *ops = rank->device->ops;
    CHECK(ops->signal(stream, rank->timeline, ++rank->value) == SS_OK, "signal");
    CHECK(ops->timeline_wait(rank->timeline, rank->value, 60 * SS_NS_PER_S) == SS_OK,
          "rank %d: the stream did not finish", rank->link->rank);
    CHECK(ops->health(rank->device) == SS_OK, "rank %d: health", rank->link->rank);
}

ss_device_address comm_address(const void *memory)
{
    return (ss_device_address)(uintptr_t)memory;
}

void *comm_memory(struct comm_rank *rank, size_t bytes)
{
    ss_device_address address;
    CHECK(rank->device->ops->alloc(rank->device, bytes, &address) == SS_OK, "%zu bytes", bytes);
    return (void *)(uintptr_t)address;
}

void comm_memory_free(struct comm_rank *rank, void *memory)
{
    rank->device->ops->free(rank->device, comm_address(memory));
}
