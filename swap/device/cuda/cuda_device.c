#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"
#include "swap/device/cuda/small_copy.h"

#define ALIGNMENT 256u

int ss_cuda_device_index(const struct ss_device *device)
{
    return ((const struct cuda_device *)device)->index;
}

static void destroy(struct ss_device *base)
{
    struct cuda_device *device = ss_cuda_device_of(base);
    ss_cuda_calls_stop(device);
    ss_cuda_use(device);
    if (device->watch)
        cudaStreamDestroy(device->watch);
    if (device->counters)
        cudaFreeHost(device->counters);
    ss_free(device->free_counters);
    pthread_cond_destroy(&device->calls.changed);
    pthread_mutex_destroy(&device->calls.lock);
    pthread_mutex_destroy(&device->lock);
    ss_free(device);
}

static enum ss_status alloc(struct ss_device *base, size_t bytes, ss_device_address *out)
{
    size_t free_bytes = 0, total = 0;
    void *made = 0;
    enum ss_status status = ss_cuda_begin(base, "alloc");
    if (status)
        return status;
    cudaError_t code = cudaMalloc(&made, bytes ? bytes : ALIGNMENT);
    if (code == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        cudaMemGetInfo(&free_bytes, &total);
        return ss_fail(SS_NO_MEMORY, "%s: asked for %zu bytes, %zu of %zu are free",
                       base->description, bytes, free_bytes, total);
    }
    status = ss_cuda_check(base, (int)code, "alloc: cudaMalloc");
    if (!status)
        *out = (ss_device_address)(uintptr_t)made;
    return status;
}

static void free_memory(struct ss_device *base, ss_device_address address)
{
    ss_cuda_use(ss_cuda_device_of(base));
    cudaFree((void *)(uintptr_t)address);
}

static enum ss_status host_register(struct ss_device *base, void *memory, size_t bytes)
{
    enum ss_status status = ss_cuda_begin(base, "host_register");
    return status ? status
                  : ss_cuda_check(
                        base,
                        (int)cudaHostRegister(memory, bytes,
                                              cudaHostRegisterPortable | cudaHostRegisterMapped),
                        "host_register: cudaHostRegister");
}

static void host_unregister(struct ss_device *base, void *memory, size_t bytes)
{
    (void)bytes;
    ss_cuda_use(ss_cuda_device_of(base));
    cudaHostUnregister(memory);
}

static const struct ss_device_ops cuda_ops = {
    .name = "cuda",
    .destroy = destroy,
    .alloc = alloc,
    .free = free_memory,
    .host_register = host_register,
    .host_unregister = host_unregister,
    .stream_create = ss_cuda_stream_create,
    .stream_destroy = ss_cuda_stream_destroy,
    .timeline_create = ss_cuda_timeline_create,
    .timeline_destroy = ss_cuda_timeline_destroy,
    .timeline_value = ss_cuda_timeline_value,
    .timeline_wait = ss_cuda_timeline_wait,
    .timeline_raise = ss_cuda_timeline_raise,
    .signal = ss_cuda_signal,
    .wait = ss_cuda_wait,
    .copy_to_device = ss_cuda_copy_to_device,
    .copy_to_host = ss_cuda_copy_to_host,
    .copy_on_device = ss_cuda_copy_on_device,
    .copy_small = ss_cuda_copy_small,
    .host_call = ss_cuda_host_call,
    .record_begin = ss_cuda_record_begin,
    .record_end = ss_cuda_record_end,
    .record_abort = ss_cuda_record_abort,
    .play = ss_cuda_play,
    .recording_destroy = ss_cuda_recording_destroy,
    .share = ss_cuda_share,
    .share_open = ss_cuda_share_open,
    .share_close = ss_cuda_share_close,
    .health = ss_cuda_health,
};

static enum ss_status find_function(const char *name, unsigned version, void *out)
{
    enum cudaDriverEntryPointQueryResult found;
    void *function = 0;
    cudaError_t code =
        cudaGetDriverEntryPointByVersion(name, &function, version, cudaEnableDefault, &found);
    if (code != cudaSuccess || found != cudaDriverEntryPointSuccess || !function)
        return ss_fail(SS_UNSUPPORTED, "the driver has no %s of CUDA %u.%u", name, version / 1000,
                       version % 1000 / 10);
    memcpy(out, &function, sizeof function);
    return SS_OK;
}

static enum ss_status find_driver(struct driver *driver)
{
    /* The second versions of these calls came with CUDA 11.7: no opt-in by module parameter. */
    enum ss_status status = find_function("cuStreamWaitValue64", 11070, &driver->wait_value);
    if (!status)
        status = find_function("cuStreamWriteValue64", 11070, &driver->write_value);
    if (!status)
        status = find_function("cuGetErrorString", 6000, &driver->error_string);
    return status;
}

static enum ss_status create_counters(struct cuda_device *device)
{
    size_t bytes = TIMELINES_MAX * sizeof *device->counters;
    void *address = 0;
    enum ss_status status = ss_cuda_begin(&device->base, "create");
    if (!status)
        status = ss_cuda_check(&device->base,
                               (int)cudaHostAlloc((void **)&device->counters, bytes,
                                                  cudaHostAllocMapped | cudaHostAllocPortable),
                               "create: cudaHostAlloc");
    if (!status)
        status = ss_cuda_check(&device->base,
                               (int)cudaHostGetDevicePointer(&address, device->counters, 0),
                               "create: cudaHostGetDevicePointer");
    if (!status)
        status = ss_cuda_check(
            &device->base, (int)cudaStreamCreateWithFlags(&device->watch, cudaStreamNonBlocking),
            "create: cudaStreamCreateWithFlags");
    if (!status)
        status = ss_alloc(&device->free_counters, TIMELINES_MAX, sizeof *device->free_counters,
                          "timelines");
    if (status)
        return status;
    memset(device->counters, 0, bytes);
    device->counters_address = (CUdeviceptr)(uintptr_t)address;
    for (uint32_t i = 0; i < TIMELINES_MAX; i++)
        device->free_counters[i] = TIMELINES_MAX - 1 - i;
    device->free_count = TIMELINES_MAX;
    return SS_OK;
}

static enum ss_status describe(struct cuda_device *device)
{
    struct cudaDeviceProp properties;
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess)
        return ss_fail(SS_NOT_FOUND, "no GPU can be used: %s", cudaGetErrorString(code));
    if (device->index >= count)
        return ss_fail(SS_NOT_FOUND, "GPU %d was asked for, this node has %d", device->index,
                       count);
    enum ss_status status =
        ss_cuda_check(&device->base, (int)cudaGetDeviceProperties(&properties, device->index),
                      "cudaGetDeviceProperties");
    if (status)
        return status;
    device->base.memory_bytes = properties.totalGlobalMem;
    snprintf(device->base.description, sizeof device->base.description, "%.40s %04x:%02x:%02x.0",
             properties.name, (unsigned)properties.pciDomainID, (unsigned)properties.pciBusID,
             (unsigned)properties.pciDeviceID);
    ss_cuda_use(device);
    return SS_OK;
}

/* Small copies read registered memory where the host has it. */
static enum ss_status check_mapping(struct cuda_device *device)
{
    int same = 0;
    enum ss_status status =
        ss_cuda_check(&device->base,
                      (int)cudaDeviceGetAttribute(
                          &same, cudaDevAttrCanUseHostPointerForRegisteredMem, device->index),
                      "create: cudaDeviceGetAttribute");
    if (!status && !same)
        status = ss_fail(SS_UNSUPPORTED, "GPU %d cannot read registered host memory in place",
                         device->index);
    return status ? status
                  : ss_cuda_check(&device->base, ss_cuda_small_copies_load(),
                                  "create: cudaFuncGetAttributes");
}

enum ss_status ss_cuda_device_create(const struct ss_device_options *options,
                                     struct ss_device **out)
{
    struct cuda_device *device;
    enum ss_status status = ss_alloc(&device, 1, sizeof *device, "device");
    if (status)
        return status;
    /* Streams beyond the hardware queues share them, and a wait would then hold up a stranger. Read
     * by the driver when it starts; 32 is its greatest value. */
    setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
    device->base.ops = &cuda_ops;
    device->index = options->index;
    pthread_mutex_init(&device->lock, 0);
    pthread_mutex_init(&device->calls.lock, 0);
    pthread_cond_init(&device->calls.changed, 0);
    status = describe(device);
    if (!status)
        status = find_driver(&device->driver);
    if (!status)
        status = create_counters(device);
    if (!status)
        status = check_mapping(device);
    if (!status)
        status = ss_cuda_calls_start(device);
    if (status) {
        destroy(&device->base);
        return status;
    }
    *out = &device->base;
    return SS_OK;
}
