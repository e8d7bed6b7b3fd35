#include <sys/prctl.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"

/* A waiting host thread spins this long, then naps: pieces take hundreds of microseconds. */
#define SPIN_NS 20000
#define NAP_NS  20000
/* How often it asks the driver whether the device still works. */
#define LOOK_NS 2000000
/* The GPU compares as signed differences: no counter and no wait may pass this. */
#define VALUE_MAX ((uint64_t)INT64_MAX)

void ss_cuda_nap(void)
{
    static _Thread_local bool exact;
    /* The default slack lets every sleep end 50 us late. */
    if (!exact)
        (void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
    exact = true;
    nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, 0);
}

static uint64_t clamp(uint64_t value)
{
    return value < VALUE_MAX ? value : VALUE_MAX;
}

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
    uint64_t begin = ss_now_ns(), look = LOOK_NS;
    while (ss_cuda_timeline_value(timeline) < clamp(value)) {
        uint64_t waited = ss_now_ns() - begin;
        enum ss_status status = ss_cuda_health(timeline->device);
        if (!status && waited >= look) {
            status = ss_cuda_look(ss_cuda_device_of(timeline->device));
            look = waited + LOOK_NS;
        }
        if (status)
            return status;
        if (waited >= timeout_ns)
            return ss_fail(SS_TIMEOUT, "a timeline stayed under %llu for %.3f s",
                           (unsigned long long)value, (double)waited / 1e9);
        if (waited > SPIN_NS)
            ss_cuda_nap();
    }
    return SS_OK;
}

void ss_cuda_timeline_raise(struct ss_timeline *timeline, uint64_t value)
{
    uint64_t *counter = counter_of(timeline);
    uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);
    while (now < clamp(value) && !__atomic_compare_exchange_n(counter, &now, clamp(value), false,
                                                              __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

enum ss_status ss_cuda_signal(struct ss_stream *stream, struct ss_timeline *timeline,
                              uint64_t value)
{
    struct cuda_device *device = ss_cuda_device_of(stream->device);
    enum ss_status status = ss_cuda_begin(stream->device, "signal");
    if (status)
        return status;
    /* The default flag orders all earlier writes of the stream before the counter's. */
    return ss_cuda_driver_check(device,
                                device->driver.write_value(((struct cuda_stream *)stream)->native,
                                                           address_of(timeline), clamp(value),
                                                           CU_STREAM_WRITE_VALUE_DEFAULT),
                                "signal: cuStreamWriteValue64");
}

enum ss_status ss_cuda_wait(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value)
{
    return ss_cuda_timeline_value(timeline) >= clamp(value)
               ? ss_cuda_begin(stream->device, "wait")
               : ss_cuda_await_word(stream, address_of(timeline), value);
}

enum ss_status ss_cuda_await_word(struct ss_stream *stream, ss_device_address word, uint64_t value)
{
    struct cuda_device *device = ss_cuda_device_of(stream->device);
    enum ss_status status = ss_cuda_begin(stream->device, "wait");
    if (status)
        return status;
    return ss_cuda_driver_check(device,
                                device->driver.wait_value(((struct cuda_stream *)stream)->native,
                                                          word, clamp(value),
                                                          CU_STREAM_WAIT_VALUE_GEQ),
                                "wait: cuStreamWaitValue64");
}
