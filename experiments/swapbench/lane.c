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
