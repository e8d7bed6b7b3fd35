/* A device: memory, streams, timelines and copies, behind one table of functions.
 *
 * Everything above this header is written for an accelerator: device memory is addressed but never
 * dereferenced by the host, all work is queued on streams and completes later, and nothing is
 * allocated or registered after start. The CPU device keeps the same promises with worker threads,
 * so that overlap, waiting and ordering can be tested without a GPU.
 *
 * Synchronisation has one primitive, the timeline: a 64-bit counter that only grows. A stream
 * signals it to a value, a stream or the host waits until it is at least a value. A wait may be
 * queued before its signal (as with Vulkan's timeline semaphores), which plain events do not allow:
 * a batch may be queued behind a chunk whose last piece has not been handed to the link yet.
 * Deadlock is excluded one level up, where every wait names a value that a lower-numbered entry
 * promised to signal.
 *
 * Threads: create and destroy calls belong to one thread, at start and stop. Queueing on one stream
 * is not safe from two threads at once; different streams are independent. Timelines may be read
 * and host-waited from any thread. */
#ifndef SS_SWAP_DEVICE_H
#define SS_SWAP_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_device;
struct ss_stream;
struct ss_timeline;
struct ss_recording;

/* What a stream carries: a backend chooses its priority, and on the CPU which link it uses. */
enum ss_stream_kind {
    SS_STREAM_COMPUTE,
    SS_STREAM_LOAD,   /* host to device */
    SS_STREAM_UNLOAD, /* device to host */
    SS_STREAM_EDGE,   /* activations and tokens between stages */
};

/* What names a device allocation to other ranks of the node; plain bytes, to be sent as they are.
 */
#define SS_DEVICE_SHARE_BYTES 64
struct ss_device_share {
    unsigned char bytes[SS_DEVICE_SHARE_BYTES];
};

/* One of copy_small's copies. TO and FROM are addresses in device memory or, at most one of them, a
 * pointer into registered host memory; the ranges may not overlap. Fast where all three are
 * multiples of 16. */
struct ss_small_copy {
    uint64_t to, from;
    uint32_t bytes;
};
#define SS_SMALL_COPIES_MAX 8

/* An address in device memory. On the CPU it is a host address too; no code above a backend may
 * rely on that. */
typedef uint64_t ss_device_address;

struct ss_device_ops {
    const char *name; /* "cpu", "cuda" */

    /* Waits for nothing: every stream must have been destroyed before. */
    void (*destroy)(struct ss_device *device);

    /* BYTES of device memory, aligned to 256 bytes at least, contents undefined. SS_NO_MEMORY says
     * how much was asked for and how much is free. */
    enum ss_status (*alloc)(struct ss_device *device, size_t bytes, ss_device_address *out);
    void (*free)(struct ss_device *device, ss_device_address address);

    /* Makes host memory (page aligned) fit for full-rate asynchronous copies. */
    enum ss_status (*host_register)(struct ss_device *device, void *base, size_t bytes);
    void (*host_unregister)(struct ss_device *device, void *base, size_t bytes);

    enum ss_status (*stream_create)(struct ss_device *device, enum ss_stream_kind kind,
                                    struct ss_stream **out);
    /* Waits until all queued work is done. */
    void (*stream_destroy)(struct ss_stream *stream);

    /* A counter at 0. */
    enum ss_status (*timeline_create)(struct ss_device *device, struct ss_timeline **out);
    void (*timeline_destroy)(struct ss_timeline *timeline);
    /* The value now. What a signal of that value was queued behind is visible to the caller. */
    uint64_t (*timeline_value)(const struct ss_timeline *timeline);
    /* Blocks the calling thread until value >= VALUE; SS_TIMEOUT after TIMEOUT_NS. */
    enum ss_status (*timeline_wait)(struct ss_timeline *timeline, uint64_t value,
                                    uint64_t timeout_ns);
    /* Raises the counter to VALUE from the host, at once; lower values change nothing. For an end:
     * signals that are still queued may bring their own lower values after it. */
    void (*timeline_raise)(struct ss_timeline *timeline, uint64_t value);

    /* Queued on STREAM, in order. Signals a value no lower than any before it. */
    enum ss_status (*signal)(struct ss_stream *stream, struct ss_timeline *timeline,
                             uint64_t value);
    enum ss_status (*wait)(struct ss_stream *stream, struct ss_timeline *timeline, uint64_t value);
    enum ss_status (*copy_to_device)(struct ss_stream *stream, ss_device_address to,
                                     const void *from, size_t bytes);
    enum ss_status (*copy_to_host)(struct ss_stream *stream, void *to, ss_device_address from,
                                   size_t bytes);
    /* The ranges may not overlap. */
    enum ss_status (*copy_on_device)(struct ss_stream *stream, ss_device_address to,
                                     ss_device_address from, size_t bytes);
    /* COUNT copies (up to SS_SMALL_COPIES_MAX) of a few KiB each, in one go, by the compute units:
     * what a step needs from the host, and gives to it, must not stand behind the pieces of a load,
     * as every copy above would. The host reads results when a later signal or call says so. Small
     * copies do not count as bytes moved. */
    enum ss_status (*copy_small)(struct ss_stream *stream, const struct ss_small_copy *copies,
                                 uint32_t count);
    /* Runs CALL(ARGUMENT) on some host thread when all before it on STREAM is done: calls of one
     * stream in their order, and what follows on STREAM does not wait for them. After a failure of
     * the device too, so that nobody waits forever: a call that reads results looks at the health
     * first. CALL must be short, must not block and must not queue work. */
    enum ss_status (*host_call)(struct ss_stream *stream, void (*call)(void *argument),
                                void *argument);

    /* Recordings: work of a stream that is launched again and again as one. What this thread queues
     * on STREAM from record_begin to record_end is not run but recorded, with the addresses and
     * values it was given: kernels, small copies and collectives only, no signals, waits, host
     * calls or other copies.
     *
     * record_end makes *RECORDING where it is null; else it puts the new work in its place, which
     * is cheaper where only addresses and values differ, and leaves launches under way as they
     * were. After a failure of it *RECORDING is null, and what it held is gone; SS_NO_MEMORY is no
     * failure of the device, which goes on without. After a failure in between, record_abort. A
     * recording is destroyed when no launch of it is under way. */
    enum ss_status (*record_begin)(struct ss_stream *stream);
    enum ss_status (*record_end)(struct ss_stream *stream, struct ss_recording **recording);
    void (*record_abort)(struct ss_stream *stream);
    enum ss_status (*play)(struct ss_stream *stream, const struct ss_recording *recording);
    void (*recording_destroy)(struct ss_device *device, struct ss_recording *recording);

    /* Memory of another rank's device on the same node, as an address that copy_on_device takes.
     * All three null where the backend has no such memory; SS_UNSUPPORTED where this machine has no
     * way, which is no failure of the device. SHARE names the allocation that begins
     * at ADDRESS; another rank opens it, once, and closes it before its owner frees it. */
    enum ss_status (*share)(struct ss_device *device, ss_device_address address,
                            struct ss_device_share *out);
    enum ss_status (*share_open)(struct ss_device *device, const struct ss_device_share *share,
                                 ss_device_address *out);
    void (*share_close)(struct ss_device *device, ss_device_address address);

    /* The first failure of queued work since start, or SS_OK: a device that failed once stays
     * failed, and its message names the call. Cheap; any thread. */
    enum ss_status (*health)(struct ss_device *device);
};

/* The first member of every backend's device. Streams and timelines begin with a pointer to it. */
struct ss_device {
    const struct ss_device_ops *ops;
    char description[64]; /* for people: "cpu (paced link 1.0 GB/s)", "NVIDIA H200 0000:19:00.0" */
    size_t memory_bytes;  /* capacity of the device, for alloc */
    uint64_t bytes_to_device, bytes_to_host; /* copied so far; read through the functions below */
};

struct ss_stream {
    struct ss_device *device;
};

struct ss_timeline {
    struct ss_device *device;
};

/* What a config asks of a device; see configs/README.md for the meaning of each key. */
struct ss_device_options {
    const char *kind;          /* "cpu", "cuda" */
    int index;                 /* which GPU; the CPU device ignores it */
    size_t memory_bytes;       /* CPU: the enforced capacity. CUDA: ignored */
    uint64_t link_bytes_per_s; /* CPU: each direction's rate; 0 is unlimited */
    uint64_t link_latency_ns;  /* CPU: added to every copy */
};

/* Opens the device that OPTIONS name. SS_UNSUPPORTED lists what this build has. registry.c is the
 * only file that knows which backends were built. */
SS_MUST_CHECK enum ss_status ss_device_create(const struct ss_device_options *options,
                                              struct ss_device **out);

/* Bytes that copies moved over the link so far, on CUDA those under way included; any thread. */
uint64_t ss_device_bytes_to_device(const struct ss_device *device);
uint64_t ss_device_bytes_to_host(const struct ss_device *device);

#endif
