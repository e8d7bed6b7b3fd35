/* A thread that says in the log where a rank stands when nothing moves there although work is under
 * way: whoever else could say it may be what stands still. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "pipeline/stage/internal.h"

/* Looks so many times before it speaks. */
#define LOOKS 4

struct ss_standstill {
    struct ss_stage *stage;
    pthread_t thread;
    pthread_mutex_t lock; /* of CLOSING */
    pthread_cond_t changed;
    bool closing;
    uint64_t seen, moved_ns; /* the sum at the last look, and when it last changed */
    uint64_t looked_ns;
    uint64_t said_ns; /* how long nothing had moved when it was said; 0: it was not */
};

/* Grows whenever anything on this rank gets on. */
static uint64_t sum_of_progress(const struct ss_stage *stage)
{
    struct ss_timeline *const timelines[] = {stage->computed, stage->staged, stage->received,
                                             stage->tokened, stage->restored};
    uint64_t sum = atomic_load(&stage->place.taken) + atomic_load(&stage->loaded_bytes) +
                   ss_device_bytes_to_device(stage->options.device) +
                   ss_device_bytes_to_host(stage->options.device);
    for (size_t i = 0; i < sizeof timelines / sizeof *timelines; i++)
        sum += stage->device->timeline_value(timelines[i]);
    return sum;
}

static bool is_busy(const struct ss_stage *stage)
{
    if (atomic_load(&stage->place.entry) ||
        stage->device->timeline_value(stage->computed) < atomic_load(&stage->place.queued))
        return true;
    for (uint32_t i = 0; i < stage->options.limits.loads_in_flight; i++)
        if (atomic_load(&stage->loads[i].used))
            return true;
    return false;
}

struct text {
    char line[SS_MESSAGE_BYTES];
    size_t bytes;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof text->line - text->bytes;
    va_start(arguments, format);
    int bytes = vsnprintf(text->line + text->bytes, room, format, arguments);
    va_end(arguments);
    text->bytes += bytes < 0 ? 0 : (size_t)bytes < room ? (size_t)bytes : room - 1;
}

static const char *name_of(const struct ss_stage *stage, int model)
{
    const bool one = model >= 0 && (uint32_t)model < stage->options.model_count;
    const char *name = one ? stage->options.models[model].name : 0;
    return name ? name : one ? "a model" : "several models";
}

static void add_place(const struct ss_stage *stage, uint64_t now_ns, struct text *text)
{
    const struct place *place = &stage->place;
    uint64_t entry = atomic_load(&place->entry), since_ns = atomic_load(&place->since_ns);
    int chunk = atomic_load(&place->chunk);
    if (!entry) {
        add(text, "all %" PRIu64 " entries that came are queued", atomic_load(&place->taken));
        return;
    }
    add(text, "the link thread has been queueing entry %" PRIu64 " (%s, %s", entry,
        ss_entry_kind_name((enum ss_entry_kind)atomic_load(&place->kind)),
        name_of(stage, atomic_load(&place->model)));
    if (chunk >= 0)
        add(text, ", chunk %d", chunk);
    add(text, ") for %.1f s", (double)(now_ns > since_ns ? now_ns - since_ns : 0) / 1e9);
}

static void add_loads(struct ss_stage *stage, struct text *text)
{
    for (uint32_t i = 0; i < stage->options.limits.loads_in_flight; i++) {
        struct load *load = &stage->loads[i];
        if (atomic_load(&load->used))
            add(text, "; load %" PRIu64 " of %s has %d of %d chunks", atomic_load(&load->number),
                name_of(stage, atomic_load(&load->model)), atomic_load(&load->counted),
                atomic_load(&load->count));
    }
}

static void say(struct ss_stage *stage, uint64_t still_ns)
{
    struct text text = {.bytes = 0};
    add_place(stage, ss_now_ns(), &text);
    add(&text, "; compute is done up to entry %" PRIu64 " of %" PRIu64,
        stage->device->timeline_value(stage->computed), atomic_load(&stage->place.queued));
    if (stage->pp > 1)
        add(&text, "; activations came up to entry %" PRIu64 ", tokens back up to %" PRIu64,
            stage->device->timeline_value(stage->received),
            stage->device->timeline_value(stage->tokened));
    add_loads(stage, &text);
    SS_WARNING("nothing has moved for %.1f s: %s", (double)still_ns / 1e9, text.line);
}

/* Once, then each time that it has lasted twice as long. */
static void look(struct ss_standstill *watch)
{
    struct ss_stage *stage = watch->stage;
    uint64_t sum = sum_of_progress(stage), now_ns = ss_now_ns(),
             away_ns = now_ns - watch->looked_ns;
    uint64_t step_ns = stage->options.standstill_ns / LOOKS;
    watch->looked_ns = now_ns;
    /* Time in which this process did not run says nothing. */
    if (away_ns > 2 * step_ns)
        watch->moved_ns += away_ns - step_ns;
    if (sum != watch->seen || !is_busy(stage)) {
        watch->seen = sum;
        watch->moved_ns = now_ns;
        watch->said_ns = 0;
        return;
    }
    uint64_t still_ns = now_ns > watch->moved_ns ? now_ns - watch->moved_ns : 0;
    uint64_t entry = atomic_load(&stage->place.entry);
    if (still_ns >= stage->options.standstill_ns && still_ns >= 2 * watch->said_ns) {
        watch->said_ns = still_ns;
        say(stage, still_ns);
    }
    if (stage->options.stuck && entry && still_ns >= stage->options.stuck_ns)
        stage->options.stuck(stage->options.user, entry);
}

static void *run(void *argument)
{
    struct ss_standstill *watch = argument;
    uint64_t step_ns = watch->stage->options.standstill_ns / LOOKS;
    pthread_mutex_lock(&watch->lock);
    while (!watch->closing) {
        uint64_t until_ns = ss_now_ns() + step_ns;
        struct timespec until = {.tv_sec = (time_t)(until_ns / SS_NS_PER_S),
                                 .tv_nsec = (long)(until_ns % SS_NS_PER_S)};
        pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
        if (!watch->closing)
            look(watch);
    }
    pthread_mutex_unlock(&watch->lock);
    return 0;
}

static void release(struct ss_standstill *watch)
{
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    ss_free(watch);
}

enum ss_status ss_standstill_watch(struct ss_stage *stage)
{
    struct ss_standstill *watch;
    pthread_condattr_t monotonic;
    if (!stage->options.standstill_ns)
        return SS_OK;
    enum ss_status status = ss_alloc(&watch, 1, sizeof *watch, "watch");
    if (status)
        return status;
    *watch =
        (struct ss_standstill){.stage = stage, .moved_ns = ss_now_ns(), .looked_ns = ss_now_ns()};
    pthread_mutex_init(&watch->lock, 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC); /* the clock of ss_now_ns() */
    pthread_cond_init(&watch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    status = ss_thread_start(&watch->thread, "ss-standstill", run, watch);
    if (status)
        release(watch);
    else
        stage->standstill = watch;
    return status;
}

void ss_standstill_end(struct ss_stage *stage)
{
    struct ss_standstill *watch = stage->standstill;
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->closing = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, 0);
    release(watch);
    stage->standstill = 0;
}
