#include <string.h>
#include <sys/prctl.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "swap/device/cpu/internal.h"

#define RING_FIRST 64u
/* A stream this far behind is stuck; its queue must not eat the host's memory. */
#define RING_MAX (1u << 18)

/* What the running CALL of ss_cpu_stream_run asked of the clock; null outside of one. */
struct pacing {
    struct cpu_stream *stream;
    bool used;
};
static _Thread_local struct pacing *running;

static struct cpu_device *device_of(const struct cpu_stream *stream)
{
    return (struct cpu_device *)stream->base.device;
}

void ss_cpu_stream_pace(uint64_t ns)
{
    SS_ASSERT(running);
    running->used = true;
    running->stream->clock_ns += ns;
    ss_sleep_until_ns(running->stream->clock_ns);
}

static void run(struct cpu_stream *stream, struct cpu_work *work)
{
    struct pacing pacing = {.stream = stream};
    uint64_t begin_ns = ss_now_ns();
    running = &pacing;
    enum ss_status status = work->run.call(work->run.arguments);
    running = 0;
    if (!pacing.used)
        stream->clock_ns += ss_now_ns() - begin_ns;
    if (status)
        (void)ss_cpu_fail(device_of(stream), status);
}

const char *ss_cpu_work_name(enum cpu_work_kind kind)
{
    static const char *const names[CPU_WORK_KINDS] = {
        [CPU_SIGNAL] = "signal",
        [CPU_WAIT] = "wait",
        [CPU_COPY_TO_DEVICE] = "copy_to_device",
        [CPU_COPY_TO_HOST] = "copy_to_host",
        [CPU_COPY_ON_DEVICE] = "copy_on_device",
        [CPU_COPY_SMALL] = "copy_small",
        [CPU_HOST_CALL] = "host_call",
        [CPU_RUN] = "run",
    };
    return names[kind];
}

/* The link that a copy goes over; null where it is not paced. */
static struct cpu_link *link_of(struct cpu_stream *stream, enum cpu_work_kind kind)
{
    if (stream->kind != SS_STREAM_LOAD && stream->kind != SS_STREAM_UNLOAD)
        return 0;
    if (kind == CPU_COPY_ON_DEVICE || kind == CPU_COPY_SMALL)
        return 0;
    return &device_of(stream)->links[kind == CPU_COPY_TO_DEVICE ? CPU_TO_DEVICE : CPU_TO_HOST];
}

static void copy(struct cpu_stream *stream, const struct cpu_work *work)
{
    struct cpu_device *device = device_of(stream);
    struct cpu_link *link = link_of(stream, work->kind);
    enum ss_status status = ss_cpu_planted(ss_cpu_work_name(work->kind));
    if (status) {
        (void)ss_cpu_fail(device, status);
        return;
    }
    if (link) {
        stream->clock_ns = ss_cpu_link_reserve(link, stream->clock_ns, work->copy.bytes);
        ss_sleep_until_ns(stream->clock_ns);
    }
    /* The bytes land at the end of the time they take, so that who forgets to wait sees it. The
     * next copy's time began when this one's ended: the memcpy is inside it. */
    uint64_t begin_ns = ss_now_ns();
    if (work->copy.bytes)
        memcpy(work->copy.to, work->copy.from, work->copy.bytes);
    if (!link || !link->bytes_per_s)
        stream->clock_ns += ss_now_ns() - begin_ns;
    if (work->kind == CPU_COPY_TO_DEVICE)
        __atomic_fetch_add(&device->base.bytes_to_device, work->copy.bytes, __ATOMIC_RELAXED);
    else if (work->kind == CPU_COPY_TO_HOST)
        __atomic_fetch_add(&device->base.bytes_to_host, work->copy.bytes, __ATOMIC_RELAXED);
}

/* Signals and host calls happen on a failed device too, so that nobody waits for them forever. */
static void perform(struct cpu_stream *stream, struct cpu_work *work)
{
    bool failed = ss_cpu_failed(device_of(stream));
    uint64_t due_ns;
    if (stream->clock_ns < work->queued_ns)
        stream->clock_ns = work->queued_ns;
    switch (work->kind) {
    case CPU_SIGNAL:
        ss_cpu_timeline_signal(work->point.timeline, work->point.value, stream->clock_ns);
        return;
    case CPU_WAIT:
        due_ns = ss_cpu_timeline_await(work->point.timeline, work->point.value);
        if (stream->clock_ns < due_ns)
            stream->clock_ns = due_ns;
        return;
    case CPU_HOST_CALL:
        work->host.call(work->host.argument);
        return;
    case CPU_RUN:
        if (!failed)
            run(stream, work);
        return;
    default:
        if (!failed)
            copy(stream, work);
    }
}

static bool take(struct cpu_stream *stream, struct cpu_work *work)
{
    pthread_mutex_lock(&stream->lock);
    while (stream->count == 0 && !stream->closing)
        pthread_cond_wait(&stream->filled, &stream->lock);
    bool taken = stream->count > 0;
    if (taken) {
        *work = stream->ring[stream->first];
        stream->first = (stream->first + 1) & (stream->capacity - 1);
        stream->count--;
    }
    pthread_mutex_unlock(&stream->lock);
    return taken;
}

static void *work_through(void *argument)
{
    struct cpu_stream *stream = argument;
    struct cpu_work work;
    /* The default slack lets every sleep end 50 us late. */
    (void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
    while (take(stream, &work))
        perform(stream, &work);
    return 0;
}

static enum ss_status grow(struct cpu_stream *stream)
{
    size_t capacity = stream->capacity * 2;
    struct cpu_work *ring;
    if (capacity > RING_MAX)
        return ss_fail(SS_FULL, "cpu device: %zu items wait on one stream", stream->count);
    enum ss_status status = ss_alloc(&ring, capacity, sizeof *ring, "stream queue");
    if (status)
        return status;
    for (size_t i = 0; i < stream->count; i++)
        ring[i] = stream->ring[(stream->first + i) & (stream->capacity - 1)];
    ss_free(stream->ring);
    stream->ring = ring;
    stream->capacity = capacity;
    stream->first = 0;
    return SS_OK;
}

enum ss_status ss_cpu_queue(struct cpu_stream *stream, struct cpu_work *work)
{
    enum ss_status status = ss_cpu_planted(ss_cpu_work_name(work->kind));
    work->queued_ns = ss_now_ns();
    pthread_mutex_lock(&stream->lock);
    if (!status && stream->count == stream->capacity)
        status = grow(stream);
    if (!status) {
        stream->ring[(stream->first + stream->count) & (stream->capacity - 1)] = *work;
        if (stream->count++ == 0)
            pthread_cond_signal(&stream->filled);
    }
    pthread_mutex_unlock(&stream->lock);
    /* Work that others wait for may be lost now, so the device counts as failed and frees them. */
    return status ? ss_cpu_fail(device_of(stream), status) : SS_OK;
}

static void release(struct cpu_stream *stream)
{
    pthread_cond_destroy(&stream->filled);
    pthread_mutex_destroy(&stream->lock);
    ss_free(stream->ring);
    ss_free(stream);
}

static void count_streams(struct cpu_device *device, int change)
{
    pthread_mutex_lock(&device->lock);
    device->stream_count += change;
    pthread_mutex_unlock(&device->lock);
}

enum ss_status ss_cpu_stream_create(struct ss_device *device, enum ss_stream_kind kind,
                                    struct ss_stream **out)
{
    static const char *const names_shown[] = {"ss-compute", "ss-load", "ss-unload", "ss-edge"};
    struct cpu_stream *stream;
    enum ss_status status = ss_cpu_planted("stream_create");
    if (!status)
        status = ss_alloc(&stream, 1, sizeof *stream, "stream");
    if (status)
        return status;
    stream->base.device = device;
    stream->kind = kind;
    stream->capacity = RING_FIRST;
    pthread_mutex_init(&stream->lock, 0);
    pthread_cond_init(&stream->filled, 0);
    status = ss_alloc(&stream->ring, stream->capacity, sizeof *stream->ring, "stream queue");
    if (!status)
        status = ss_thread_start(&stream->worker, names_shown[kind], work_through, stream);
    if (status) {
        release(stream);
        return status;
    }
    count_streams((struct cpu_device *)device, 1);
    *out = &stream->base;
    return SS_OK;
}

void ss_cpu_stream_destroy(struct ss_stream *base)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    pthread_mutex_lock(&stream->lock);
    stream->closing = true;
    pthread_cond_signal(&stream->filled);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->worker, 0);
    count_streams(device_of(stream), -1);
    release(stream);
}
