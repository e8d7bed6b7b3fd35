/* Recordings on the CPU device: lists of work, queued again when they are played. */
#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "swap/device/cpu/internal.h"

#define CAPACITY_FIRST 64u

static void release(struct ss_recording *recording)
{
    if (!recording)
        return;
    ss_free(recording->works);
    ss_free(recording);
}

enum ss_status ss_cpu_record_begin(struct ss_stream *base)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    SS_ASSERT(!stream->recording);
    return ss_alloc(&stream->recording, 1, sizeof *stream->recording, "recording");
}

void ss_cpu_record_abort(struct ss_stream *base)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    release(stream->recording);
    stream->recording = 0;
}

enum ss_status ss_cpu_record(struct cpu_stream *stream, const struct cpu_work *work)
{
    struct ss_recording *recording = stream->recording;
    enum ss_status status = ss_cpu_planted(ss_cpu_work_name(work->kind));
    if (status)
        return ss_cpu_fail((struct cpu_device *)stream->base.device, status);
    SS_ASSERT(work->kind == CPU_RUN || work->kind == CPU_COPY_SMALL);
    if (recording->count == recording->capacity) {
        size_t capacity = recording->capacity ? 2 * recording->capacity : CAPACITY_FIRST;
        status = ss_realloc(&recording->works, capacity, sizeof *recording->works, "recording");
        if (status)
            return status;
        recording->capacity = capacity;
    }
    recording->works[recording->count++] = *work;
    return SS_OK;
}

enum ss_status ss_cpu_record_end(struct ss_stream *base, struct ss_recording **recording)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    release(*recording);
    *recording = stream->recording;
    stream->recording = 0;
    return SS_OK;
}

enum ss_status ss_cpu_play(struct ss_stream *base, const struct ss_recording *recording)
{
    struct cpu_stream *stream = (struct cpu_stream *)base;
    enum ss_status status = SS_OK;
    SS_ASSERT(!stream->recording);
    for (size_t i = 0; i < recording->count && !status; i++) {
        struct cpu_work work = recording->works[i];
        status = ss_cpu_queue(stream, &work);
    }
    return status;
}

void ss_cpu_recording_destroy(struct ss_device *device, struct ss_recording *recording)
{
    (void)device;
    release(recording);
}
