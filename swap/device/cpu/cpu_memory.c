/* Device memory: blocks of the host's, up to the device's capacity. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "swap/device/cpu/internal.h"

#define ADDRESS_ALIGN 256u

/* Device memory begins with all bits set, which is a NaN in every weight and activation type and -1
 * as an id, so that what reads memory that nobody wrote shows up. Allocations above this are left
 * as the kernel gives them: touching a whole pool at start would cost seconds and memory. */
#define POISON_BYTES_MAX ((size_t)64 << 20)

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

enum ss_status ss_cpu_alloc(struct ss_device *device, size_t bytes, ss_device_address *out)
{
    struct cpu_device *self = (struct cpu_device *)device;
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

void ss_cpu_free(struct ss_device *device, ss_device_address address)
{
    struct cpu_device *self = (struct cpu_device *)device;
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

void ss_cpu_free_all(struct cpu_device *device)
{
    while (device->allocations) {
        struct cpu_allocation *next = device->allocations->next;
        release_memory(device->allocations);
        device->allocations = next;
    }
}
