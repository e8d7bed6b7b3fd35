#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "experiments/swapbench/bench.h"

#define PATIENCE_NS 60000000000ull

enum ss_status lane_open(struct ss_device *device, enum ss_stream_kind kind, struct lane *lane)
{
    *lane = (struct lane){.device = device};
    enum ss_status status = device->ops->stream_create(device, kind, &lane->stream);
    if (!status)
        status = device->ops->timeline_create(device, &lane->timeline);
    return status;
}

void lane_close(struct lane *lane)
{
    if (lane->stream)
        lane->device->ops->stream_destroy(lane->stream);
    if (lane->timeline)
        lane->device->ops->timeline_destroy(lane->timeline);
}

enum ss_status lane_finish(struct lane *lane)
{
    const struct ss_device_ops *ops = lane->device->ops;
    enum ss_status status = ops->signal(lane->stream, lane->timeline, ++lane->value);
    return status ? status : ops->timeline_wait(lane->timeline, lane->value, PATIENCE_NS);
}

enum ss_status bench_span(struct bench *bench, uint64_t begin_ns, uint64_t end_ns, double *seconds)
{
    struct ss_link *link = bench->link;
    uint64_t mine[2] = {begin_ns, end_ns}, *all, begin = UINT64_MAX, end = 0;
    enum ss_status status = ss_alloc(&all, (size_t)link->ranks, sizeof mine, "spans");
    if (status)
        return status;
    status = link->table->all_gather(link, mine, sizeof mine, all);
    for (int rank = 0; rank < link->ranks; rank++) {
        begin = all[2 * rank] && all[2 * rank] < begin ? all[2 * rank] : begin;
        end = all[2 * rank + 1] > end ? all[2 * rank + 1] : end;
    }
    ss_free(all);
    *seconds = (double)(end - begin) / 1e9;
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
