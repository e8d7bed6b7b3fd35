/* The device's health: its first failure, kept for all who ask. */
#include <stdio.h>

#include "engine/base/fault.h"
#include "swap/device/cuda/internal.h"

void ss_cuda_use(const struct cuda_device *device)
{
    static _Thread_local int current = -1;
    if (current != device->index && cudaSetDevice(device->index) == cudaSuccess)
        current = device->index;
}

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
    return ss_fail(code == cudaErrorMemoryAllocation ? SS_NO_MEMORY : SS_UNSUPPORTED,
                   "GPU %d: %s: %s", ss_cuda_device_of(base)->index, call,
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

enum ss_status ss_cuda_look(struct cuda_device *device)
{
    ss_cuda_use(device);
    /* A kernel's fault shows in every later call, on any stream. */
    cudaError_t code = cudaStreamQuery(device->watch);
    return code == cudaErrorNotReady
               ? SS_OK
               : ss_cuda_check(&device->base, (int)code, "queued work: cudaStreamQuery");
}

enum ss_status ss_cuda_health(struct ss_device *base)
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
