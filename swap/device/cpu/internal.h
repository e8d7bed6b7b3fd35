/* The CPU device's own structures. Only swap/device/cpu includes this.
 *
 * Lock order: device, then timeline. A stream's lock and a link's lock are held alone.
 *
 * Stream time: every stream keeps a clock that says when its work so far was due to end, which is a
 * little before it really ended, since sleepers wake late. Sleeps are scheduled on that clock, and
 * signals carry it to the streams that wait, so late wake-ups do not add up. */
#ifndef SS_SWAP_DEVICE_CPU_INTERNAL_H
#define SS_SWAP_DEVICE_CPU_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "swap/device/cpu/cpu.h"

enum cpu_direction { CPU_TO_DEVICE, CPU_TO_HOST, CPU_DIRECTIONS };

/* One direction of the link: a resource that copies reserve one after another. */
struct cpu_link {
    pthread_mutex_t lock;
    uint64_t bytes_per_s; /* 0: unlimited */
    uint64_t latency_ns;
    uint64_t free_ns; /* when the last reservation ends */
};

struct cpu_allocation {
    unsigned char *base;
    size_t bytes;
    size_t mapped_bytes; /* 0: from the heap */
    struct cpu_allocation *next;
};

struct cpu_device {
    struct ss_device base;
    pthread_mutex_t lock; /* of all that follows but the atomics and the links */
    struct cpu_allocation *allocations;
    size_t used_bytes;
    struct cpu_timeline *timelines;
    int stream_count;
    atomic_int failure; /* enum ss_status of the first failure */
    char message[SS_MESSAGE_BYTES];
    struct cpu_link links[CPU_DIRECTIONS];
};

struct cpu_timeline {
    struct ss_timeline base;
    struct cpu_timeline *next, **previous; /* the device's list */
    pthread_mutex_t lock;
    pthread_cond_t raised;
    _Atomic uint64_t value; /* written under the lock */
    uint64_t due_ns;        /* stream time of the latest signal */
};

enum cpu_work_kind {
    CPU_SIGNAL,
    CPU_WAIT,
    CPU_COPY_TO_DEVICE,
    CPU_COPY_TO_HOST,
    CPU_COPY_ON_DEVICE,
    CPU_COPY_SMALL,
    CPU_HOST_CALL,
    CPU_RUN,
    CPU_WORK_KINDS
};

struct cpu_work {
    enum cpu_work_kind kind;
    uint64_t queued_ns;
    union {
        struct {
            struct cpu_timeline *timeline;
            uint64_t value;
        } point;
        struct {
            void *to;
            const void *from;
            size_t bytes;
        } copy;
        struct {
            void (*call)(void *argument);
            void *argument;
        } host;
        struct {
            enum ss_status (*call)(void *arguments);
            _Alignas(16) unsigned char arguments[SS_CPU_ARGUMENT_BYTES];
        } run;
    };
};

/* Work to be queued again and again. */
struct ss_recording {
    struct cpu_work *works;
    size_t count, capacity;
};

struct cpu_stream {
    struct ss_stream base;
    struct ss_recording *recording; /* what is queued goes here; null: to the ring */
    enum ss_stream_kind kind;
    pthread_t worker;
    pthread_mutex_t lock; /* of the ring */
    pthread_cond_t filled;
    struct cpu_work *ring; /* capacity is a power of two */
    size_t capacity, first, count;
    bool closing;
    uint64_t clock_ns; /* the worker's */
};

/* cpu_health.c: makes STATUS and this thread's message the device's health, if it has none yet, and
 * wakes all who wait on its timelines. Returns STATUS. */
enum ss_status ss_cpu_fail(struct cpu_device *device, enum ss_status status);
/* SS_OK, or sets this thread's message to the first failure. */
enum ss_status ss_cpu_health(struct ss_device *device);
bool ss_cpu_failed(const struct cpu_device *device);
/* The planted fault of CALL: SS_IO if it is this one's turn to fail. */
SS_MUST_CHECK enum ss_status ss_cpu_planted(const char *call);

/* cpu_memory.c */
enum ss_status ss_cpu_alloc(struct ss_device *device, size_t bytes, ss_device_address *out);
void ss_cpu_free(struct ss_device *device, ss_device_address address);
void ss_cpu_free_all(struct cpu_device *device);
/* SS_INVALID if [ADDRESS, ADDRESS + BYTES) is not inside one allocation. */
SS_MUST_CHECK enum ss_status ss_cpu_check_range(struct cpu_device *device, const char *call,
                                                ss_device_address address, size_t bytes);

/* cpu_link.c: reserves BYTES of the link from stream time START_NS on; when the last has passed. */
uint64_t ss_cpu_link_reserve(struct cpu_link *link, uint64_t start_ns, size_t bytes);

/* cpu_timeline.c */
enum ss_status ss_cpu_timeline_create(struct ss_device *device, struct ss_timeline **out);
void ss_cpu_timeline_destroy(struct ss_timeline *timeline);
uint64_t ss_cpu_timeline_value(const struct ss_timeline *timeline);
enum ss_status ss_cpu_timeline_wait(struct ss_timeline *timeline, uint64_t value,
                                    uint64_t timeout_ns);
void ss_cpu_timeline_raise(struct ss_timeline *timeline, uint64_t value);
/* From a worker: a signal due at DUE_NS. */
void ss_cpu_timeline_signal(struct cpu_timeline *timeline, uint64_t value, uint64_t due_ns);
/* From a worker: blocks until VALUE or the device's failure. Returns a stream time no later than
 * now at which the wait was over. */
uint64_t ss_cpu_timeline_await(struct cpu_timeline *timeline, uint64_t value);

/* cpu_stream.c: a queue, and the thread that works through it. */
enum ss_status ss_cpu_stream_create(struct ss_device *device, enum ss_stream_kind kind,
                                    struct ss_stream **out);
void ss_cpu_stream_destroy(struct ss_stream *stream);
/* The call that asks for such work. */
const char *ss_cpu_work_name(enum cpu_work_kind kind);
/* Work that is lost makes the device fail, as others may wait for it. */
SS_MUST_CHECK enum ss_status ss_cpu_queue(struct cpu_stream *stream, struct cpu_work *work);

/* cpu_recording.c */
enum ss_status ss_cpu_record_begin(struct ss_stream *stream);
enum ss_status ss_cpu_record_end(struct ss_stream *stream, struct ss_recording **recording);
void ss_cpu_record_abort(struct ss_stream *stream);
enum ss_status ss_cpu_play(struct ss_stream *stream, const struct ss_recording *recording);
void ss_cpu_recording_destroy(struct ss_device *device, struct ss_recording *recording);
/* Adds WORK to what STREAM records. */
SS_MUST_CHECK enum ss_status ss_cpu_record(struct cpu_stream *stream, const struct cpu_work *work);

/* cpu_work.c */
enum ss_status ss_cpu_signal(struct ss_stream *stream, struct ss_timeline *timeline,
                             uint64_t value);
enum ss_status ss_cpu_wait(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value);
enum ss_status ss_cpu_copy_to_device(struct ss_stream *stream, ss_device_address to,
                                     const void *from, size_t bytes);
enum ss_status ss_cpu_copy_to_host(struct ss_stream *stream, void *to, ss_device_address from,
                                   size_t bytes);
enum ss_status ss_cpu_copy_on_device(struct ss_stream *stream, ss_device_address to,
                                     ss_device_address from, size_t bytes);
enum ss_status ss_cpu_copy_small(struct ss_stream *stream, const struct ss_small_copy *copies,
                                 uint32_t count);
enum ss_status ss_cpu_host_call(struct ss_stream *stream, void (*call)(void *argument),
                                void *argument);

#endif
