#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"

/* A waiting host thread spins this long, then naps: pieces take hundreds of microseconds. */
#define SPIN_NS 20000
#define NAP_NS  20000

static const struct cuda_timeline *timeline_of(const struct ss_timeline *timeline)
{
    return (const struct cuda_timeline *)timeline;
}

static uint64_t *counter_of(const struct ss_timeline *timeline)
{
    return &ss_cuda_device_of(timeline->device)->counters[timeline_of(timeline)->index];
}

static CUdeviceptr address_of(const struct ss_timeline *timeline)
{
    return ss_cuda_device_of(timeline->device)->counters_address +
           timeline_of(timeline)->index * sizeof(uint64_t);
}

enum ss_status ss_cuda_timeline_create(struct ss_device *device, struct ss_timeline **out)
{
    struct cuda_device *owner = ss_cuda_device_of(device);
    struct cuda_timeline *timeline;
    enum ss_status status = ss_alloc(&timeline, 1, sizeof *timeline, "timeline");
    if (status)
        return status;
    pthread_mutex_lock(&owner->lock);
    bool any = owner->free_count > 0;
    if (any)
        timeline->index = owner->free_counters[--owner->free_count];
    pthread_mutex_unlock(&owner->lock);
    if (!any) {
        ss_free(timeline);
        return ss_fail(SS_NO_MEMORY, "more than %d timelines on one device", TIMELINES_MAX);
    }
    timeline->base.device = device;
    __atomic_store_n(counter_of(&timeline->base), 0, __ATOMIC_RELEASE);
    *out = &timeline->base;
    return SS_OK;
}

void ss_cuda_timeline_destroy(struct ss_timeline *timeline)
{
    struct cuda_device *owner = ss_cuda_device_of(timeline->device);
    pthread_mutex_lock(&owner->lock);
    owner->free_counters[owner->free_count++] = timeline_of(timeline)->index;
    pthread_mutex_unlock(&owner->lock);
    ss_free(timeline);
}

uint64_t ss_cuda_timeline_value(const struct ss_timeline *timeline)
{
    return __atomic_load_n(counter_of(timeline), __ATOMIC_ACQUIRE);
}

enum ss_status ss_cuda_timeline_wait(struct ss_timeline *timeline, uint64_t value,
                                     uint64_t timeout_ns)
{
    uint64_t begin = ss_now_ns();
    while (ss_cuda_timeline_value(timeline) < value) {
        uint64_t waited = ss_now_ns() - begin;
        if (waited >= timeout_ns)
            return ss_fail(SS_TIMEOUT, "a timeline stayed under %llu for %.3f s",
                           (unsigned long long)value, (double)waited / 1e9);
        enum ss_status status = timeline->device->ops->health(timeline->device);
        if (status)
            return status;
        if (waited > SPIN_NS)
            nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, 0);
    }
    return SS_OK;
}

void ss_cuda_timeline_raise(struct ss_timeline *timeline, uint64_t value)
{
    uint64_t *counter = counter_of(timeline);
    if (__atomic_load_n(counter, __ATOMIC_RELAXED) < value)
        __atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

enum ss_status ss_cuda_signal(struct ss_stream *stream, struct ss_timeline *timeline,
                              uint64_t value)
{
    struct cuda_device *device = ss_cuda_device_of(stream->device);
    ss_cuda_use(device);
    /* The default flag orders all earlier writes of the stream before the counter's. */
    return ss_cuda_driver_check(device,
                                device->driver.write_value(ss_cuda_stream_native(stream),
                                                           address_of(timeline), value,
                                                           CU_STREAM_WRITE_VALUE_DEFAULT),
                                "cuStreamWriteValue64");
}

enum ss_status ss_cuda_wait(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value)
{
    struct cuda_device *device = ss_cuda_device_of(stream->device);
    if (ss_cuda_timeline_value(timeline) >= value)
        return SS_OK;
    ss_cuda_use(device);
    return ss_cuda_driver_check(device,
                                device->driver.wait_value(ss_cuda_stream_native(stream),
                                                          address_of(timeline), value,
                                                          CU_STREAM_WAIT_VALUE_GEQ),
                                "cuStreamWaitValue64");
}
