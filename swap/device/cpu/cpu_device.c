#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "swap/device/cpu/internal.h"

#define ADDRESS_ALIGN 256u

/* Device memory begins with all bits set, which is a NaN in every weight and activation type and -1
 * as an id, so that what reads memory that nobody wrote shows up. Allocations above this are left
 * as the kernel gives them: touching a whole pool at start would cost seconds and memory. */
#define POISON_BYTES_MAX ((size_t)64 << 20)

static struct cpu_device *cpu(struct ss_device *device)
{
    return (struct cpu_device *)device;
}

bool ss_cpu_failed(const struct cpu_device *device)
{
    return atomic_load(&device->failure) != SS_OK;
}

enum ss_status ss_cpu_health(struct ss_device *device)
{
    struct cpu_device *self = cpu(device);
    enum ss_status failure = (enum ss_status)atomic_load(&self->failure);
    /* The message was written before the failure was, and never again. */
    return failure ? ss_fail(failure, "%s", self->message) : SS_OK;
}

enum ss_status ss_cpu_fail(struct cpu_device *device, enum ss_status status)
{
    pthread_mutex_lock(&device->lock);
    if (!ss_cpu_failed(device)) {
        snprintf(device->message, sizeof device->message, "%s", ss_status_message());
        atomic_store(&device->failure, (int)status);
        for (struct cpu_timeline *timeline = device->timelines; timeline; timeline = timeline->next)
            ss_cpu_timeline_wake(timeline);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

enum ss_status ss_cpu_planted(const char *call)
{
    return ss_fault(SS_FAULT_DEVICE) ? ss_fail(SS_IO, "cpu device: %s: planted fault", call)
                                     : SS_OK;
}

static bool contains(const struct cpu_allocation *allocation, ss_device_address address,
                     size_t bytes)
{
    uint64_t base = (uintptr_t)allocation->base;
    return address >= base && address - base <= allocation->bytes &&
           bytes <= allocation->bytes - (address - base);
}

enum ss_status ss_cpu_check_range(struct cpu_device *device, const char *call,
                                  ss_device_address address, size_t bytes)
{
    pthread_mutex_lock(&device->lock);
    const struct cpu_allocation *allocation = device->allocations;
    while (allocation && !contains(allocation, address, bytes))
        allocation = allocation->next;
    pthread_mutex_unlock(&device->lock);
    if (allocation)
        return SS_OK;
    return ss_fail(SS_INVALID,
                   "cpu device: %s: %zu bytes at 0x%" PRIx64 " are not inside one allocation", call,
                   bytes, address);
}

/* Small blocks come from the heap, where AddressSanitizer sees what reaches past their end. */
static bool take_memory(struct cpu_allocation *allocation)
{
    size_t bytes = allocation->bytes;
    if (bytes <= POISON_BYTES_MAX) {
        void *made;
        if (posix_memalign(&made, ADDRESS_ALIGN, bytes ? bytes : 1))
            return false;
        memset(made, 0xff, bytes);
        allocation->base = made;
        return true;
    }
    void *mapped =
        mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    /* Advice: without huge pages it only runs slower. */
    (void)madvise(mapped, bytes, MADV_HUGEPAGE);
    allocation->base = mapped;
    allocation->mapped_bytes = bytes;
    return true;
}

static void release_memory(struct cpu_allocation *allocation)
{
    if (allocation->mapped_bytes)
        munmap(allocation->base, allocation->mapped_bytes);
    else
        free(allocation->base);
    ss_free(allocation);
}

static enum ss_status device_alloc(struct ss_device *device, size_t bytes, ss_device_address *out)
{
    struct cpu_device *self = cpu(device);
    struct cpu_allocation *allocation;
    enum ss_status status = ss_cpu_planted("alloc");
    if (!status)
        status = ss_alloc(&allocation, 1, sizeof *allocation, "device allocation");
    if (status)
        return status;
    allocation->bytes = bytes;
    pthread_mutex_lock(&self->lock);
    size_t free_bytes = device->memory_bytes - self->used_bytes;
    bool taken = bytes <= free_bytes && take_memory(allocation);
    if (taken) {
        self->used_bytes += bytes;
        allocation->next = self->allocations;
        self->allocations = allocation;
    }
    pthread_mutex_unlock(&self->lock);
    if (taken) {
        *out = (uintptr_t)allocation->base;
        return SS_OK;
    }
    ss_free(allocation);
    return ss_fail(SS_NO_MEMORY, "cpu device: asked for %zu bytes, %zu of %zu are free%s", bytes,
                   free_bytes, device->memory_bytes,
                   bytes <= free_bytes ? ", but the host has no such memory" : "");
}

static void device_free(struct ss_device *device, ss_device_address address)
{
    struct cpu_device *self = cpu(device);
    pthread_mutex_lock(&self->lock);
    struct cpu_allocation **at = &self->allocations;
    while (*at && (uintptr_t)(*at)->base != address)
        at = &(*at)->next;
    struct cpu_allocation *found = *at;
    SS_ASSERT(found);
    *at = found->next;
    self->used_bytes -= found->bytes;
    pthread_mutex_unlock(&self->lock);
    release_memory(found);
}

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
    struct cpu_device *self = cpu(device);
    SS_ASSERT(self->stream_count == 0 && !self->timelines);
    while (self->allocations) {
        struct cpu_allocation *next = self->allocations->next;
        release_memory(self->allocations);
        self->allocations = next;
    }
    for (int i = 0; i < CPU_DIRECTIONS; i++)
        pthread_mutex_destroy(&self->links[i].lock);
    pthread_mutex_destroy(&self->lock);
    ss_free(self);
}

static const struct ss_device_ops cpu_ops = {
    .name = "cpu",
    .destroy = device_destroy,
    .alloc = device_alloc,
    .free = device_free,
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
