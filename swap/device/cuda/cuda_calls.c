/* Host calls: a stream writes how many calls are due to a counter, and one thread per device looks
 * at the counters and calls. The runtime's own host functions would hold up the stream until a
 * sleeping thread has woken, run and said so: some 100 us each on a virtual machine. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "swap/device/cuda/internal.h"

/* Looking again costs a core, and is worth it while steps come and go; a call that stays away this
 * long waits for a load, and may be found late. */
#define SPIN_NS (50 * SS_NS_PER_MS)
/* How often the device is asked whether it still works, while calls are due. */
#define LOOK_NS (2 * SS_NS_PER_MS)

static bool is_due(struct cuda_device *device, const struct cuda_stream *stream)
{
    return ss_cuda_timeline_value(stream->called) > atomic_load(&stream->calls_run) ||
           atomic_load(&device->failed);
}

/* The next call of the stream in PLACE, if one is due; the stream lives until calls_run rises. */
static struct cuda_stream *find_due(struct cuda_device *device, int place)
{
    struct cuda_calls *calls = &device->calls;
    pthread_mutex_lock(&calls->lock);
    struct cuda_stream *stream = calls->streams[place];
    if (stream && (atomic_load(&stream->calls_queued) == atomic_load(&stream->calls_run) ||
                   !is_due(device, stream)))
        stream = 0;
    pthread_mutex_unlock(&calls->lock);
    return stream;
}

/* Makes the calls that are due; whether there were any. */
static bool make_calls(struct cuda_device *device)
{
    bool any = false;
    for (int place = 0; place < CUDA_STREAMS_MAX; place++) {
        struct cuda_stream *stream = find_due(device, place);
        if (!stream)
            continue;
        uint64_t run = atomic_load(&stream->calls_run);
        struct cuda_call call = stream->calls[run % CUDA_CALLS_MAX];
        call.call(call.argument);
        atomic_fetch_sub(&device->calls.pending, 1);
        atomic_store(&stream->calls_run, run + 1);
        any = true;
    }
    return any;
}

static void sleep_until_needed(struct cuda_calls *calls)
{
    pthread_mutex_lock(&calls->lock);
    atomic_store(&calls->sleeping, true);
    while (!atomic_load(&calls->pending) && !calls->closing)
        pthread_cond_wait(&calls->changed, &calls->lock);
    atomic_store(&calls->sleeping, false);
    pthread_mutex_unlock(&calls->lock);
}

static void *serve(void *argument)
{
    struct cuda_device *device = argument;
    struct cuda_calls *calls = &device->calls;
    uint64_t quiet_since = ss_now_ns(), looked = quiet_since;
    for (;;) {
        if (!atomic_load(&calls->pending)) {
            if (calls->closing)
                return 0;
            sleep_until_needed(calls);
            quiet_since = ss_now_ns();
        }
        uint64_t now = ss_now_ns();
        if (make_calls(device)) {
            quiet_since = now;
            continue;
        }
        if (now - looked > LOOK_NS) {
            enum ss_status status = ss_cuda_look(device);
            (void)status; /* recorded as the device's health */
            looked = now;
        }
        if (now - quiet_since > SPIN_NS)
            ss_cuda_nap();
        else
            __builtin_ia32_pause();
    }
}

enum ss_status ss_cuda_calls_start(struct cuda_device *device)
{
    struct cuda_calls *calls = &device->calls;
    enum ss_status status = ss_thread_start(&calls->thread, "ss-calls", serve, device);
    calls->started = status == SS_OK;
    return status;
}

void ss_cuda_calls_stop(struct cuda_device *device)
{
    struct cuda_calls *calls = &device->calls;
    if (!calls->started)
        return;
    pthread_mutex_lock(&calls->lock);
    calls->closing = true;
    pthread_cond_signal(&calls->changed);
    pthread_mutex_unlock(&calls->lock);
    pthread_join(calls->thread, 0);
}

enum ss_status ss_cuda_calls_open(struct cuda_stream *stream)
{
    struct cuda_device *device = ss_cuda_device_of(stream->base.device);
    struct cuda_calls *calls = &device->calls;
    int place = 0;
    enum ss_status status =
        ss_alloc(&stream->calls, CUDA_CALLS_MAX, sizeof *stream->calls, "host calls");
    if (!status)
        status = ss_cuda_timeline_create(stream->base.device, &stream->called);
    if (status)
        return status;
    pthread_mutex_lock(&calls->lock);
    while (place < CUDA_STREAMS_MAX && calls->streams[place])
        place++;
    if (place < CUDA_STREAMS_MAX)
        calls->streams[place] = stream;
    pthread_mutex_unlock(&calls->lock);
    return place < CUDA_STREAMS_MAX
               ? SS_OK
               : ss_fail(SS_FULL, "more than %d streams on one device", CUDA_STREAMS_MAX);
}

void ss_cuda_calls_close(struct cuda_stream *stream)
{
    struct cuda_calls *calls = &ss_cuda_device_of(stream->base.device)->calls;
    while (atomic_load(&stream->calls_run) < atomic_load(&stream->calls_queued))
        ss_cuda_nap();
    pthread_mutex_lock(&calls->lock);
    for (int place = 0; place < CUDA_STREAMS_MAX; place++)
        if (calls->streams[place] == stream)
            calls->streams[place] = 0;
    pthread_mutex_unlock(&calls->lock);
    if (stream->called)
        ss_cuda_timeline_destroy(stream->called);
    ss_free(stream->calls);
}

enum ss_status ss_cuda_host_call(struct ss_stream *base, void (*call)(void *argument),
                                 void *argument)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;
    struct cuda_calls *calls = &ss_cuda_device_of(base->device)->calls;
    uint64_t number = atomic_load(&stream->calls_queued);
    /* As a full stream does. */
    while (number - atomic_load(&stream->calls_run) >= CUDA_CALLS_MAX)
        ss_cuda_nap();
    stream->calls[number % CUDA_CALLS_MAX] = (struct cuda_call){call, argument};
    enum ss_status status = ss_cuda_signal(base, stream->called, number + 1);
    if (status)
        return status;
    atomic_fetch_add(&calls->pending, 1);
    atomic_store(&stream->calls_queued, number + 1);
    if (atomic_load(&calls->sleeping)) {
        pthread_mutex_lock(&calls->lock);
        pthread_cond_signal(&calls->changed);
        pthread_mutex_unlock(&calls->lock);
    }
    return SS_OK;
}
