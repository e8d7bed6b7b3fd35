/* The device's health: its first failure, kept for all who ask. */
#include <stdio.h>

#include "engine/base/fault.h"
#include "swap/device/cpu/internal.h"

bool ss_cpu_failed(const struct cpu_device *device)
{
    return atomic_load(&device->failure) != SS_OK;
}

enum ss_status ss_cpu_health(struct ss_device *device)
{
    struct cpu_device *self = (struct cpu_device *)device;
    enum ss_status failure = (enum ss_status)atomic_load(&self->failure);
    /* The message was written before the failure was, and never again. */
    return failure ? ss_fail(failure, "%s", self->message) : SS_OK;
}

/* Who waits looks at the device's health. */
static void wake(struct cpu_timeline *timeline)
{
    pthread_mutex_lock(&timeline->lock);
    pthread_cond_broadcast(&timeline->raised);
    pthread_mutex_unlock(&timeline->lock);
}

enum ss_status ss_cpu_fail(struct cpu_device *device, enum ss_status status)
{
    pthread_mutex_lock(&device->lock);
    if (!ss_cpu_failed(device)) {
        snprintf(device->message, sizeof device->message, "%s", ss_status_message());
        atomic_store(&device->failure, (int)status);
        for (struct cpu_timeline *timeline = device->timelines; timeline; timeline = timeline->next)
            wake(timeline);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

enum ss_status ss_cpu_planted(const char *call)
{
    return ss_fault(SS_FAULT_DEVICE) ? ss_fail(SS_IO, "cpu device: %s: planted fault", call)
                                     : SS_OK;
}
