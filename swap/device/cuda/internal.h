/* What the files of the CUDA device share. */
#ifndef SS_SWAP_DEVICE_CUDA_INTERNAL_H
#define SS_SWAP_DEVICE_CUDA_INTERNAL_H

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdatomic.h>

#include "swap/device/cuda/cuda.h"

/* Counters that all timelines of a device are taken from. A model of 80 layers on one rank needs
 * 82; 64 Ki serve hundreds of models. */
#define TIMELINES_MAX 65536

/* The driver's stream memory operations, as this CUDA version declares them. */
struct driver {
    CUresult (*wait_value)(CUstream stream, CUdeviceptr address, cuuint64_t value,
                           unsigned int flags);
    CUresult (*write_value)(CUstream stream, CUdeviceptr address, cuuint64_t value,
                            unsigned int flags);
    CUresult (*error_string)(CUresult result, const char **text);
};

/* Streams of one device, of which 32 have a hardware queue of their own, and calls of one stream
 * that are due or to come. */
#define CUDA_STREAMS_MAX 64
#define CUDA_CALLS_MAX   1024

struct cuda_call {
    void (*call)(void *argument);
    void *argument;
};

struct cuda_stream;

/* The thread that makes host calls. */
struct cuda_calls {
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of the streams and of sleeping */
    pthread_cond_t changed;
    atomic_bool closing, sleeping;
    atomic_uint_fast64_t pending; /* calls of all streams */
    struct cuda_stream *streams[CUDA_STREAMS_MAX];
};

struct cuda_device {
    struct ss_device base;
    int index;
    struct driver driver;
    pthread_mutex_t lock; /* guards the failure's message and the free counters */
    atomic_int failed;    /* enum ss_status of the first failure */
    char message[256];
    cudaStream_t watch; /* always empty: asked whether the device still works */
    uint64_t *counters; /* pinned, mapped */
    CUdeviceptr counters_address;
    uint32_t *free_counters;
    uint32_t free_count;
    struct cuda_calls calls;
};

struct cuda_stream {
    struct ss_stream base;
    cudaStream_t native;
    enum ss_stream_kind kind;
    bool recording;
    struct ss_timeline *called; /* calls that are due */
    struct cuda_call *calls;    /* ring: filled by who queues, emptied by the thread */
    atomic_uint_fast64_t calls_queued, calls_run;
};

struct cuda_timeline {
    struct ss_timeline base;
    uint32_t index;
};

static inline struct cuda_device *ss_cuda_device_of(struct ss_device *device)
{
    return (struct cuda_device *)device;
}

/* cuda_health.c, with what cuda.h has of it */
/* Makes the device current on the calling thread; cheap after the first time. */
void ss_cuda_use(const struct cuda_device *device);
/* The driver's failure RESULT of CALL, recorded as ss_cuda_check() does. */
enum ss_status ss_cuda_driver_check(struct cuda_device *device, CUresult result, const char *call);
/* A failure of queued work that no call has met yet. */
enum ss_status ss_cuda_look(struct cuda_device *device);
enum ss_status ss_cuda_health(struct ss_device *device);

/* cuda_timeline.c */
/* Sleeps some 20 us. */
void ss_cuda_nap(void);

enum ss_status ss_cuda_timeline_create(struct ss_device *device, struct ss_timeline **out);
void ss_cuda_timeline_destroy(struct ss_timeline *timeline);
uint64_t ss_cuda_timeline_value(const struct ss_timeline *timeline);
enum ss_status ss_cuda_timeline_wait(struct ss_timeline *timeline, uint64_t value,
                                     uint64_t timeout_ns);
void ss_cuda_timeline_raise(struct ss_timeline *timeline, uint64_t value);
enum ss_status ss_cuda_signal(struct ss_stream *stream, struct ss_timeline *timeline,
                              uint64_t value);
enum ss_status ss_cuda_wait(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value);

/* cuda_calls.c */
SS_MUST_CHECK enum ss_status ss_cuda_calls_start(struct cuda_device *device);
void ss_cuda_calls_stop(struct cuda_device *device);
SS_MUST_CHECK enum ss_status ss_cuda_calls_open(struct cuda_stream *stream);
/* Waits for the calls under way; all earlier work of the stream is over. */
void ss_cuda_calls_close(struct cuda_stream *stream);
enum ss_status ss_cuda_host_call(struct ss_stream *stream, void (*call)(void *argument),
                                 void *argument);

/* cuda_stream.c */
enum ss_status ss_cuda_stream_create(struct ss_device *device, enum ss_stream_kind kind,
                                     struct ss_stream **out);
void ss_cuda_stream_destroy(struct ss_stream *stream);
enum ss_status ss_cuda_copy_to_device(struct ss_stream *stream, ss_device_address to,
                                      const void *from, size_t bytes);
enum ss_status ss_cuda_copy_to_host(struct ss_stream *stream, void *to, ss_device_address from,
                                    size_t bytes);
enum ss_status ss_cuda_copy_on_device(struct ss_stream *stream, ss_device_address to,
                                      ss_device_address from, size_t bytes);
enum ss_status ss_cuda_copy_small(struct ss_stream *stream, const struct ss_small_copy *copies,
                                  uint32_t count);

/* cuda_recording.c */
enum ss_status ss_cuda_record_begin(struct ss_stream *stream);
enum ss_status ss_cuda_record_end(struct ss_stream *stream, struct ss_recording **recording);
void ss_cuda_record_abort(struct ss_stream *stream);
enum ss_status ss_cuda_play(struct ss_stream *stream, const struct ss_recording *recording);
void ss_cuda_recording_destroy(struct ss_device *device, struct ss_recording *recording);

/* cuda_share.c */
enum ss_status ss_cuda_share(struct ss_device *device, ss_device_address address,
                             struct ss_device_share *out);
enum ss_status ss_cuda_share_open(struct ss_device *device, const struct ss_device_share *share,
                                  ss_device_address *out);
void ss_cuda_share_close(struct ss_device *device, ss_device_address address);

#endif
