/* The CPU device: its table, its making and its end. */
#include <stdio.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "swap/device/cpu/internal.h"

/* Host memory needs no preparation here, but a caller must not get used to that. */
static enum ss_status host_register(struct ss_device *device, void *base, size_t bytes)
{
    (void)device;
    if ((uintptr_t)base % (size_t)sysconf(_SC_PAGESIZE))
        return ss_fail(SS_INVALID, "cpu device: host_register: %p is not page aligned", base);
    if (bytes == 0)
        return ss_fail(SS_INVALID, "cpu device: host_register: no bytes at %p", base);
    return ss_cpu_planted("host_register");
}

static void host_unregister(struct ss_device *device, void *base, size_t bytes)
{
    (void)device;
    (void)base;
    (void)bytes;
}

static void device_destroy(struct ss_device *device)
{
    struct cpu_device *self = (struct cpu_device *)device;
    SS_ASSERT(self->stream_count == 0 && !self->timelines);
    ss_cpu_free_all(self);
    for (int i = 0; i < CPU_DIRECTIONS; i++)
        pthread_mutex_destroy(&self->links[i].lock);
    pthread_mutex_destroy(&self->lock);
    ss_free(self);
}

static const struct ss_device_ops cpu_ops = {
    .name = "cpu",
    .destroy = device_destroy,
    .alloc = ss_cpu_alloc,
    .free = ss_cpu_free,
    .host_register = host_register,
    .host_unregister = host_unregister,
    .stream_create = ss_cpu_stream_create,
    .stream_destroy = ss_cpu_stream_destroy,
    .timeline_create = ss_cpu_timeline_create,
    .timeline_destroy = ss_cpu_timeline_destroy,
    .timeline_value = ss_cpu_timeline_value,
    .timeline_wait = ss_cpu_timeline_wait,
    .timeline_raise = ss_cpu_timeline_raise,
    .signal = ss_cpu_signal,
    .wait = ss_cpu_wait,
    .copy_to_device = ss_cpu_copy_to_device,
    .copy_to_host = ss_cpu_copy_to_host,
    .copy_on_device = ss_cpu_copy_on_device,
    .copy_small = ss_cpu_copy_small,
    .host_call = ss_cpu_host_call,
    .record_begin = ss_cpu_record_begin,
    .record_end = ss_cpu_record_end,
    .record_abort = ss_cpu_record_abort,
    .play = ss_cpu_play,
    .recording_destroy = ss_cpu_recording_destroy,
    .health = ss_cpu_health,
};

static void describe(struct ss_device *device, const struct ss_device_options *options)
{
    if (options->link_bytes_per_s)
        snprintf(device->description, sizeof device->description, "cpu (paced link %.3g GB/s)",
                 (double)options->link_bytes_per_s / 1e9);
    else
        snprintf(device->description, sizeof device->description, "cpu (link not paced)");
}

enum ss_status ss_cpu_device_create(const struct ss_device_options *options, struct ss_device **out)
{
    struct cpu_device *self;
    if (options->memory_bytes == 0)
        return ss_fail(SS_INVALID, "cpu device: a capacity of 0 bytes; it must be set");
    enum ss_status status = ss_cpu_planted("create");
    if (!status)
        status = ss_alloc(&self, 1, sizeof *self, "cpu device");
    if (status)
        return status;
    self->base.ops = &cpu_ops;
    self->base.memory_bytes = options->memory_bytes;
    describe(&self->base, options);
    pthread_mutex_init(&self->lock, 0);
    for (int i = 0; i < CPU_DIRECTIONS; i++) {
        pthread_mutex_init(&self->links[i].lock, 0);
        self->links[i].bytes_per_s = options->link_bytes_per_s;
        self->links[i].latency_ns = options->link_latency_ns;
    }
    *out = &self->base;
    return SS_OK;
}
