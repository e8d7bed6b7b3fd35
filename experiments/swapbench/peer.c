#include "engine/base/clock.h"
#include "experiments/stepbench/times.h"
#include "experiments/swapbench/bench.h"

#define BUFFER_BYTES ((size_t)256 << 20)
#define TOTAL_BYTES  ((size_t)16 << 30)
#define RANKS_MAX    256

/* This rank's memory, and the next rank's as seen from here. */
struct neighbour {
    struct bench *bench;
    ss_device_address own, next;
    struct lane lane;
};

static enum ss_status open_neighbour(struct bench *bench, struct neighbour *n)
{
    struct ss_device *device = bench->device;
    struct ss_link *link = bench->link;
    struct ss_device_share mine, all[RANKS_MAX];
    *n = (struct neighbour){.bench = bench};
    enum ss_status status = device->ops->alloc(device, 2 * BUFFER_BYTES, &n->own);
    if (!status)
        status = device->ops->share(device, n->own, &mine);
    if (!status)
        status = link->table->all_gather(link, &mine, sizeof mine, all);
    if (!status)
        status = device->ops->share_open(device, &all[(link->rank + 1) % link->ranks], &n->next);
    return status ? status : lane_open(device, SS_STREAM_EDGE, &n->lane);
}

/* Nobody frees what a neighbour still has open. */
static enum ss_status close_neighbour(struct neighbour *n)
{
    struct ss_device *device = n->bench->device;
    lane_close(&n->lane);
    if (n->next)
        device->ops->share_close(device, n->next);
    enum ss_status status = n->bench->link->table->barrier(n->bench->link);
    if (n->own)
        device->ops->free(device, n->own);
    return status;
}

static enum ss_status copy(struct neighbour *n, size_t bytes, size_t total)
{
    enum ss_status status = SS_OK;
    for (size_t done = 0; done < total && !status; done += bytes)
        status = n->bench->device->ops->copy_on_device(n->lane.stream, n->next + BUFFER_BYTES,
                                                       n->own, bytes);
    return status ? status : lane_finish(&n->lane);
}

static enum ss_status row(struct neighbour *n, size_t bytes, bool all)
{
    struct bench *bench = n->bench;
    size_t total = bytes < ((size_t)1 << 20) ? 2048 * bytes : TOTAL_BYTES;
    bool busy = all || bench->link->rank == 0;
    uint64_t begin = 0, end = 0;
    double seconds = 0;
    enum ss_status status = busy ? copy(n, bytes, 4 * bytes) : SS_OK;
    if (!status)
        status = bench->link->table->barrier(bench->link);
    if (!status && busy) {
        begin = ss_now_ns();
        status = copy(n, bytes, total);
        end = ss_now_ns();
    }
    if (!status)
        status = times_span(bench->link, begin, end, &seconds);
    if (status || !bench->rows)
        return status;
    int ranks = all ? bench->link->ranks : 1;
    double rate = (double)total * ranks / seconds / 1e9;
    json_array_append_new(bench->rows,
                          json_pack("{s:s, s:s, s:i, s:I, s:f}", "what", "link", "direction",
                                    "to_peer", "ranks", ranks, "copy_bytes", (json_int_t)bytes,
                                    "gb_per_s_total", rate));
    printf("%-10s %d rank%s  copies of %9zu bytes  %8.2f GB/s\n", "to_peer", ranks,
           ranks > 1 ? "s" : " ", bytes, rate);
    return SS_OK;
}

enum ss_status bench_peers(struct bench *bench)
{
    struct neighbour n;
    const char *lacks = !bench->device->ops->share ? "its ranks' memories do not reach each other"
                        : bench->link->ranks < 2   ? "one rank has no peer"
                        : bench->link->ranks > RANKS_MAX ? "too many ranks"
                                                         : 0;
    if (lacks) {
        if (bench->rows)
            printf("to_peer    skipped on %s: %s\n", bench->device->ops->name, lacks);
        return SS_OK;
    }
    enum ss_status status = open_neighbour(bench, &n);
    for (size_t bytes = 16 << 10; bytes <= (256 << 20) && !status; bytes *= 16)
        status = row(&n, bytes, false);
    if (!status)
        status = row(&n, BUFFER_BYTES, true);
    enum ss_status closed = close_neighbour(&n);
    return status ? status : closed;
}
