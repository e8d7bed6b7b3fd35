/* The CPU device: one worker thread per stream, an enforced memory capacity, and a link per
 * direction with a set bandwidth and latency.
 *
 * A copy on a LOAD or UNLOAD stream holds its direction's link for latency + bytes / bandwidth of
 * real time (the memcpy included), so two streams of one direction share it. Copies on the device
 * and edges are not paced. */
#ifndef SS_SWAP_DEVICE_CPU_H
#define SS_SWAP_DEVICE_CPU_H

#include "swap/device/device.h"

SS_MUST_CHECK enum ss_status ss_cpu_device_create(const struct ss_device_options *options,
                                                  struct ss_device **out);

/* Queues CALL(ARGUMENTS) on a CPU stream; BYTES (at most SS_CPU_ARGUMENT_BYTES) of ARGUMENTS are
 * copied now. This is how CPU operations and CPU collectives run in stream order; unlike host_call,
 * CALL may compute for long and may wait for peers. A returned failure becomes the device's health,
 * and later work of the stream is skipped (signals still fire, so that nobody hangs). */
#define SS_CPU_ARGUMENT_BYTES 192
SS_MUST_CHECK enum ss_status ss_cpu_stream_run(struct ss_stream *stream,
                                               enum ss_status (*call)(void *arguments),
                                               const void *arguments, size_t bytes);

/* Makes the calling stream's work take NS of stream time, by sleeping on the stream's worker; only
 * from inside a CALL of ss_cpu_stream_run. Sleeps are scheduled on the stream's own clock, so that
 * oversleeping one call shortens the next and the sum stays right. */
void ss_cpu_stream_pace(uint64_t ns);

#endif
