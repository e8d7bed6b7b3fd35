#include "experiments/stepbench/reading.h"

enum ss_status reading_queue(struct ss_device *device, struct ss_stream *stream,
                             ss_device_address from, uint64_t bytes, ss_device_address to)
{
    (void)stream, (void)from, (void)bytes, (void)to;
    return ss_fail(SS_UNSUPPORTED, "reading on a device of kind %s", device->ops->name);
}
