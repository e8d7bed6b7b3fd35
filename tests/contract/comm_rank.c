#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "pipeline/link/agree.h"
#include "tests/contract/comm_suite.h"

void comm_rank_open(struct comm_rank *rank, struct ss_link *link, const char *device, int tp,
                    int pp, uint64_t timeout_ns)
{
    const struct ss_device_options options = {
        .kind = device, .index = ss_link_place(link), .memory_bytes = 64 << 20};
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
    ops->destroy(rank->device); /* with what tests of lost peers leave on it */
    for (int i = 0; i < COMM_MEMORIES; i++)
        free(rank->memories[i].host);
}

void comm_finish(struct comm_rank *rank, struct ss_stream *stream)
{
    const struct ss_device_ops *ops = rank->device->ops;
    CHECK(ops->signal(stream, rank->timeline, ++rank->value) == SS_OK, "signal");
    CHECK(ops->timeline_wait(rank->timeline, rank->value, 60 * SS_NS_PER_S) == SS_OK,
          "rank %d: the stream did not finish", rank->link->rank);
    CHECK(ops->health(rank->device) == SS_OK, "rank %d: health", rank->link->rank);
}

void *comm_memory(struct comm_rank *rank, size_t bytes)
{
    struct comm_memory *memory = rank->memories;
    while (memory->host && memory < rank->memories + COMM_MEMORIES - 1)
        memory++;
    CHECK(!memory->host, "more than %d memories", COMM_MEMORIES);
    CHECK(rank->device->ops->alloc(rank->device, bytes, &memory->address) == SS_OK, "%zu bytes",
          bytes);
    memory->host = calloc(1, bytes);
    CHECK(memory->host, "%zu bytes", bytes);
    memory->bytes = bytes;
    return memory->host;
}

void comm_memory_free(struct comm_rank *rank, void *host)
{
    struct comm_memory *memory = rank->memories;
    while (memory->host != host)
        memory++;
    rank->device->ops->free(rank->device, memory->address);
    free(memory->host);
    memory->host = 0;
}

ss_device_address comm_address(const struct comm_rank *rank, const void *place)
{
    for (int i = 0; i < COMM_MEMORIES; i++) {
        const struct comm_memory *memory = &rank->memories[i];
        const unsigned char *at = place;
        if (memory->host && at >= memory->host && at < memory->host + memory->bytes)
            return memory->address + (ss_device_address)(at - memory->host);
    }
    CHECK(false, "%p is in no memory", place);
    return 0;
}

void comm_put(struct comm_rank *rank)
{
    for (int i = 0; i < COMM_MEMORIES; i++) {
        const struct comm_memory *memory = &rank->memories[i];
        if (memory->host)
            CHECK(rank->device->ops->copy_to_device(rank->compute, memory->address, memory->host,
                                                    memory->bytes) == SS_OK,
                  "to the device");
    }
    comm_finish(rank, rank->compute);
}

void comm_get(struct comm_rank *rank)
{
    for (int i = 0; i < COMM_MEMORIES; i++) {
        const struct comm_memory *memory = &rank->memories[i];
        if (memory->host)
            CHECK(rank->device->ops->copy_to_host(rank->compute, memory->host, memory->address,
                                                  memory->bytes) == SS_OK,
                  "to the host");
    }
    comm_finish(rank, rank->compute);
}
