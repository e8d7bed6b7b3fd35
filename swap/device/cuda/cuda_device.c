#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"
#include "swap/device/cuda/small_copy.h"

#define ALIGNMENT 256u

static enum ss_status record(struct cuda_device *device, enum ss_status status, const char *call,
                             const char *what)
{
    int none = SS_OK;
    pthread_mutex_lock(&device->lock);
    if (atomic_compare_exchange_strong(&device->failed, &none, (int)status))
        snprintf(device->message, sizeof device->message, "GPU %d: %s: %s", device->index, call,
                 what);
    pthread_mutex_unlock(&device->lock);
    return ss_fail(status, "GPU %d: %s: %s", device->index, call, what);
}

enum ss_status ss_cuda_begin(struct ss_device *base, const char *call)
{
    struct cuda_device *device = ss_cuda_device_of(base);
    if (ss_fault(SS_FAULT_DEVICE))
        return record(device, SS_IO, call, "planted fault");
    ss_cuda_use(device);
    return SS_OK;
}

enum ss_status ss_cuda_check(struct ss_device *base, int code, const char *call)
{
    struct cuda_device *device = ss_cuda_device_of(base);
    if (code == cudaSuccess)
        return SS_OK;
    cudaGetLastError(); /* what does not outlive its call must not be found by the next one */
    return record(device, code == cudaErrorMemoryAllocation ? SS_NO_MEMORY : SS_IO, call,
                  cudaGetErrorString((cudaError_t)code));
}

enum ss_status ss_cuda_try(struct ss_device *base, int code, const char *call)
{
    if (code == cudaSuccess)
        return SS_OK;
    cudaGetLastError();
    return ss_fail(SS_UNSUPPORTED, "GPU %d: %s: %s", ss_cuda_device_of(base)->index, call,
                   cudaGetErrorString((cudaError_t)code));
}

enum ss_status ss_cuda_fail(struct ss_device *base, enum ss_status status, const char *call,
                            const char *what)
{
    return record(ss_cuda_device_of(base), status, call, what);
}

enum ss_status ss_cuda_driver_check(struct cuda_device *device, CUresult result, const char *call)
{
    const char *text = "unknown error";
    if (result == CUDA_SUCCESS)
        return SS_OK;
    device->driver.error_string(result, &text);
    return record(device, SS_IO, call, text);
}

void ss_cuda_use(const struct cuda_device *device)
{
    static _Thread_local int current = -1;
    if (current != device->index && cudaSetDevice(device->index) == cudaSuccess)
        current = device->index;
}

int ss_cuda_device_index(const struct ss_device *device)
{
    return ((const struct cuda_device *)device)->index;
}

void *ss_cuda_stream_native(struct ss_stream *stream)
{
    return ((struct cuda_stream *)stream)->native;
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

static enum ss_status stream_create(struct ss_device *base, enum ss_stream_kind kind,
                                    struct ss_stream **out)
{
    struct cuda_stream *stream;
    int least = 0, greatest = 0;
    enum ss_status status = ss_alloc(&stream, 1, sizeof *stream, "stream");
    if (status)
        return status;
    status = ss_cuda_begin(base, "stream_create");
    if (status)
        goto release;
    cudaDeviceGetStreamPriorityRange(&least, &greatest);
    /* Edges carry what another rank waits for: they go before this rank's own compute. */
    int priority = kind == SS_STREAM_EDGE ? greatest : least;
    status = ss_cuda_check(
        base, (int)cudaStreamCreateWithPriority(&stream->native, cudaStreamNonBlocking, priority),
        "stream_create: cudaStreamCreateWithPriority");
    if (status)
        goto release;
    stream->base.device = base;
    stream->kind = kind;
    status = ss_cuda_calls_open(stream);
    if (status)
        goto close;
    *out = &stream->base;
    return SS_OK;
close:
    ss_cuda_calls_close(stream);
    cudaStreamDestroy(stream->native);
release:
    ss_free(stream);
    return status;
}

static void stream_destroy(struct ss_stream *base)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;
    ss_cuda_use(ss_cuda_device_of(base->device));
    enum ss_status status = ss_cuda_check(base->device, (int)cudaStreamSynchronize(stream->native),
                                          "stream_destroy: cudaStreamSynchronize");
    (void)status; /* recorded as the device's health */
    ss_cuda_calls_close(stream);
    cudaStreamDestroy(stream->native);
    ss_free(stream);
}

static enum ss_status copy(struct ss_stream *stream, void *to, const void *from, size_t bytes,
                           enum cudaMemcpyKind kind, uint64_t *counter, const char *call)
{
    enum ss_status status = ss_cuda_begin(stream->device, call);
    if (status || bytes == 0)
        return status;
    cudaError_t code = cudaMemcpyAsync(to, from, bytes, kind, ss_cuda_stream_native(stream));
    status = ss_cuda_check(stream->device, (int)code, call);
    if (!status && counter)
        __atomic_fetch_add(counter, bytes, __ATOMIC_RELAXED);
    return status;
}

static enum ss_status copy_to_device(struct ss_stream *stream, ss_device_address to,
                                     const void *from, size_t bytes)
{
    return copy(stream, (void *)(uintptr_t)to, from, bytes, cudaMemcpyHostToDevice,
                &stream->device->bytes_to_device, "copy_to_device: cudaMemcpyAsync");
}

static enum ss_status copy_to_host(struct ss_stream *stream, void *to, ss_device_address from,
                                   size_t bytes)
{
    return copy(stream, to, (const void *)(uintptr_t)from, bytes, cudaMemcpyDeviceToHost,
                &stream->device->bytes_to_host, "copy_to_host: cudaMemcpyAsync");
}

static enum ss_status copy_on_device(struct ss_stream *stream, ss_device_address to,
                                     ss_device_address from, size_t bytes)
{
    return copy(stream, (void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes,
                cudaMemcpyDeviceToDevice, 0, "copy_on_device: cudaMemcpyAsync");
}

static enum ss_status copy_small(struct ss_stream *stream, const struct ss_small_copy *copies,
                                 uint32_t count)
{
    enum ss_status status = ss_cuda_begin(stream->device, "copy_small");
    SS_ASSERT(count <= SS_SMALL_COPIES_MAX);
    return status
               ? status
               : ss_cuda_check(stream->device,
                               ss_cuda_small_copies(ss_cuda_stream_native(stream), copies, count),
                               "copy_small: kernel");
}

enum ss_status ss_cuda_look(struct cuda_device *device)
{
    ss_cuda_use(device);
    /* A kernel's fault shows in every later call, on any stream. */
    cudaError_t code = cudaStreamQuery(device->watch);
    return code == cudaErrorNotReady
               ? SS_OK
               : ss_cuda_check(&device->base, (int)code, "queued work: cudaStreamQuery");
}

static enum ss_status health(struct ss_device *base)
{
    struct cuda_device *device = ss_cuda_device_of(base);
    enum ss_status failed = (enum ss_status)atomic_load(&device->failed);
    if (!failed)
        return SS_OK;
    pthread_mutex_lock(&device->lock);
    enum ss_status status = ss_fail(failed, "%s", device->message);
    pthread_mutex_unlock(&device->lock);
    return status;
}

static const struct ss_device_ops cuda_ops = {
    .name = "cuda",
    .destroy = destroy,
    .alloc = alloc,
    .free = free_memory,
    .host_register = host_register,
    .host_unregister = host_unregister,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .timeline_create = ss_cuda_timeline_create,
    .timeline_destroy = ss_cuda_timeline_destroy,
    .timeline_value = ss_cuda_timeline_value,
    .timeline_wait = ss_cuda_timeline_wait,
    .timeline_raise = ss_cuda_timeline_raise,
    .signal = ss_cuda_signal,
    .wait = ss_cuda_wait,
    .copy_to_device = copy_to_device,
    .copy_to_host = copy_to_host,
    .copy_on_device = copy_on_device,
    .copy_small = copy_small,
    .host_call = ss_cuda_host_call,
    .record_begin = ss_cuda_record_begin,
    .record_end = ss_cuda_record_end,
    .record_abort = ss_cuda_record_abort,
    .play = ss_cuda_play,
    .recording_destroy = ss_cuda_recording_destroy,
    .share = ss_cuda_share,
    .share_open = ss_cuda_share_open,
    .share_close = ss_cuda_share_close,
    .health = health,
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
