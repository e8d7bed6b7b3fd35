#include <errno.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "swap/device/cpu/internal.h"

static struct cpu_device *device_of(const struct cpu_timeline *timeline)
{
    return (struct cpu_device *)timeline->base.device;
}

static void init_monotonic(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum ss_status ss_cpu_timeline_create(struct ss_device *device, struct ss_timeline **out)
{
    struct cpu_device *owner = (struct cpu_device *)device;
    struct cpu_timeline *timeline;
    enum ss_status status = ss_cpu_planted("timeline_create");
    if (!status)
        status = ss_alloc(&timeline, 1, sizeof *timeline, "timeline");
    if (status)
        return status;
    timeline->base.device = device;
    pthread_mutex_init(&timeline->lock, 0);
    init_monotonic(&timeline->raised);
    pthread_mutex_lock(&owner->lock);
    timeline->next = owner->timelines;
    timeline->previous = &owner->timelines;
    if (timeline->next)
        timeline->next->previous = &timeline->next;
    owner->timelines = timeline;
    pthread_mutex_unlock(&owner->lock);
    *out = &timeline->base;
    return SS_OK;
}

void ss_cpu_timeline_destroy(struct ss_timeline *base)
{
    struct cpu_timeline *timeline = (struct cpu_timeline *)base;
    struct cpu_device *owner = device_of(timeline);
    pthread_mutex_lock(&owner->lock);
    *timeline->previous = timeline->next;
    if (timeline->next)
        timeline->next->previous = timeline->previous;
    pthread_mutex_unlock(&owner->lock);
    /* Who saw the last value without the lock may be here before its signaller has let go of it. */
    pthread_mutex_lock(&timeline->lock);
    pthread_mutex_unlock(&timeline->lock);
    pthread_cond_destroy(&timeline->raised);
    pthread_mutex_destroy(&timeline->lock);
    ss_free(timeline);
}

uint64_t ss_cpu_timeline_value(const struct ss_timeline *timeline)
{
    return atomic_load_explicit(&((const struct cpu_timeline *)timeline)->value,
                                memory_order_acquire);
}

enum ss_status ss_cpu_timeline_wait(struct ss_timeline *base, uint64_t value, uint64_t timeout_ns)
{
    struct cpu_timeline *timeline = (struct cpu_timeline *)base;
    struct cpu_device *device = device_of(timeline);
    if (ss_cpu_timeline_value(base) >= value)
        return SS_OK;
    uint64_t now_ns = ss_now_ns();
    uint64_t deadline_ns = timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
    int result = 0;
    pthread_mutex_lock(&timeline->lock);
    while (timeline->value < value && !ss_cpu_failed(device) && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&timeline->raised, &timeline->lock, &until);
    uint64_t reached = timeline->value;
    pthread_mutex_unlock(&timeline->lock);
    if (reached >= value)
        return SS_OK;
    if (ss_cpu_failed(device))
        return ss_cpu_health(&device->base);
    return ss_fail(SS_TIMEOUT, "timeline is at %llu, not at %llu, after %.3f s",
                   (unsigned long long)reached, (unsigned long long)value,
                   (double)timeout_ns / (double)SS_NS_PER_S);
}

void ss_cpu_timeline_signal(struct cpu_timeline *timeline, uint64_t value, uint64_t due_ns)
{
    pthread_mutex_lock(&timeline->lock);
    if (timeline->value < value) {
        atomic_store_explicit(&timeline->value, value, memory_order_release);
        timeline->due_ns = due_ns;
        pthread_cond_broadcast(&timeline->raised);
    }
    pthread_mutex_unlock(&timeline->lock);
}

void ss_cpu_timeline_raise(struct ss_timeline *timeline, uint64_t value)
{
    ss_cpu_timeline_signal((struct cpu_timeline *)timeline, value, ss_now_ns());
}

uint64_t ss_cpu_timeline_await(struct cpu_timeline *timeline, uint64_t value)
{
    struct cpu_device *device = device_of(timeline);
    pthread_mutex_lock(&timeline->lock);
    while (timeline->value < value && !ss_cpu_failed(device))
        pthread_cond_wait(&timeline->raised, &timeline->lock);
    uint64_t due_ns = timeline->value >= value ? timeline->due_ns : 0;
    pthread_mutex_unlock(&timeline->lock);
    return due_ns;
}
