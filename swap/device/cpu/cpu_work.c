/* What is asked of a stream: looked at, then queued, or recorded. */
#include <string.h>

#include "engine/base/assert.h"
#include "swap/device/cpu/internal.h"

static enum ss_status enqueue(struct ss_stream *base, struct cpu_work *work)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    return stream->recording ? ss_cpu_record(stream, work) : ss_cpu_queue(stream, work);
}

static enum ss_status queue_point(struct ss_stream *stream, enum cpu_work_kind kind,
                                  struct ss_timeline *timeline, uint64_t value)
{
    SS_ASSERT(timeline->device == stream->device);
    struct cpu_work work = {.kind = kind, .point = {(struct cpu_timeline *)timeline, value}};
    return enqueue(stream, &work);
}

enum ss_status ss_cpu_signal(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value)
{
    return queue_point(stream, CPU_SIGNAL, timeline, value);
}

enum ss_status ss_cpu_wait(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value)
{
    return queue_point(stream, CPU_WAIT, timeline, value);
}

static enum ss_status check(struct ss_stream *stream, enum cpu_work_kind kind,
                            ss_device_address address, size_t bytes)
{
    return ss_cpu_check_range((struct cpu_device *)stream->device, ss_cpu_work_name(kind), address,
                              bytes);
}

enum ss_status ss_cpu_copy_to_device(struct ss_stream *stream, ss_device_address to,
                                     const void *from, size_t bytes)
{
    struct cpu_work work = {.kind = CPU_COPY_TO_DEVICE,
                            .copy = {(void *)(uintptr_t)to, from, bytes}};
    enum ss_status status = check(stream, work.kind, to, bytes);
    return status ? status : enqueue(stream, &work);
}

enum ss_status ss_cpu_copy_to_host(struct ss_stream *stream, void *to, ss_device_address from,
                                   size_t bytes)
{
    struct cpu_work work = {.kind = CPU_COPY_TO_HOST,
                            .copy = {to, (const void *)(uintptr_t)from, bytes}};
    enum ss_status status = check(stream, work.kind, from, bytes);
    return status ? status : enqueue(stream, &work);
}

enum ss_status ss_cpu_copy_on_device(struct ss_stream *stream, ss_device_address to,
                                     ss_device_address from, size_t bytes)
{
    struct cpu_work work = {.kind = CPU_COPY_ON_DEVICE,
                            .copy = {(void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes}};
    SS_ASSERT(to + bytes <= from || from + bytes <= to);
    enum ss_status status = check(stream, work.kind, to, bytes);
    if (!status)
        status = check(stream, work.kind, from, bytes);
    return status ? status : enqueue(stream, &work);
}

enum ss_status ss_cpu_copy_small(struct ss_stream *stream, const struct ss_small_copy *copies,
                                 uint32_t count)
{
    enum ss_status status = SS_OK;
    SS_ASSERT(count <= SS_SMALL_COPIES_MAX);
    for (uint32_t i = 0; i < count && !status; i++) {
        struct cpu_work work = {.kind = CPU_COPY_SMALL,
                                .copy = {(void *)(uintptr_t)copies[i].to,
                                         (const void *)(uintptr_t)copies[i].from, copies[i].bytes}};
        /* Either side may be the host's, not both. */
        if (check(stream, work.kind, copies[i].from, copies[i].bytes))
            status = check(stream, work.kind, copies[i].to, copies[i].bytes);
        if (!status)
            status = enqueue(stream, &work);
    }
    return status;
}

enum ss_status ss_cpu_host_call(struct ss_stream *stream, void (*call)(void *argument),
                                void *argument)
{
    struct cpu_work work = {.kind = CPU_HOST_CALL, .host = {call, argument}};
    return enqueue(stream, &work);
}

enum ss_status ss_cpu_stream_run(struct ss_stream *stream, enum ss_status (*call)(void *arguments),
                                 const void *arguments, size_t bytes)
{
    struct cpu_work work = {.kind = CPU_RUN, .run.call = call};
    SS_ASSERT(bytes <= SS_CPU_ARGUMENT_BYTES);
    if (bytes)
        memcpy(work.run.arguments, arguments, bytes);
    return enqueue(stream, &work);
}
