/* Streams, and the copies that are queued on them. */
#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "swap/device/cuda/internal.h"
#include "swap/device/cuda/small_copy.h"

void *ss_cuda_stream_native(struct ss_stream *stream)
{
    return ((struct cuda_stream *)stream)->native;
}

enum ss_status ss_cuda_stream_create(struct ss_device *base, enum ss_stream_kind kind,
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

void ss_cuda_stream_destroy(struct ss_stream *base)
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

enum ss_status ss_cuda_copy_to_device(struct ss_stream *stream, ss_device_address to,
                                      const void *from, size_t bytes)
{
    return copy(stream, (void *)(uintptr_t)to, from, bytes, cudaMemcpyHostToDevice,
                &stream->device->bytes_to_device, "copy_to_device: cudaMemcpyAsync");
}

enum ss_status ss_cuda_copy_to_host(struct ss_stream *stream, void *to, ss_device_address from,
                                    size_t bytes)
{
    return copy(stream, to, (const void *)(uintptr_t)from, bytes, cudaMemcpyDeviceToHost,
                &stream->device->bytes_to_host, "copy_to_host: cudaMemcpyAsync");
}

enum ss_status ss_cuda_copy_on_device(struct ss_stream *stream, ss_device_address to,
                                      ss_device_address from, size_t bytes)
{
    return copy(stream, (void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes,
                cudaMemcpyDeviceToDevice, 0, "copy_on_device: cudaMemcpyAsync");
}

enum ss_status ss_cuda_copy_small(struct ss_stream *stream, const struct ss_small_copy *copies,
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
