/* The CPU device: one worker thread per stream, an enforced memory capacity, and a link per
 * direction with a set bandwidth and latency.
 *
 * A copy on a LOAD or UNLOAD stream holds its direction's link for latency + bytes / bandwidth of
 * real time (the memcpy included), so two streams of one direction share it. Copies on the device
 * and on other streams are not paced. The bytes of a paced copy land at the end of its time.
 *
 * Device memory begins with all bits set (NaN in every dtype, -1 as an id) up to 64 MiB an
 * allocation; larger ones begin as zeroed pages that take no memory before they are touched.
 *
 * Failure: a failed CALL, a queueing call that returns SS_IO, SS_NO_MEMORY or SS_FULL, and a
 * planted fault (engine/base/fault.h, SS_FAULT_DEVICE: one count at each fallible call, one more as
 * a queued copy runs) become the device's health. From then on copies and CALLs of all its streams
 * are skipped, waits of streams end at once, host waits that are not satisfied return the failure;
 * signals and host calls still happen. Results that a signal announces are thus valid only if
 * health, read after it, is SS_OK. */
#ifndef SS_SWAP_DEVICE_CPU_H
#define SS_SWAP_DEVICE_CPU_H

#include "swap/device/device.h"

SS_MUST_CHECK enum ss_status ss_cpu_device_create(const struct ss_device_options *options,
                                                  struct ss_device **out);

/* Queues CALL(ARGUMENTS) on a CPU stream; BYTES (at most SS_CPU_ARGUMENT_BYTES) of ARGUMENTS are
 * copied now. This is how CPU operations and CPU collectives run in stream order; unlike host_call,
 * CALL may compute for long and may wait for peers. ARGUMENTS are handed over 16-byte aligned. */
#define SS_CPU_ARGUMENT_BYTES 192
SS_MUST_CHECK enum ss_status ss_cpu_stream_run(struct ss_stream *stream,
                                               enum ss_status (*call)(void *arguments),
                                               const void *arguments, size_t bytes);

/* Makes the calling stream's work take NS of stream time, by sleeping on the stream's worker; only
 * from inside a CALL of ss_cpu_stream_run, whose own computing is then part of NS. Sleeps are
 * scheduled on the stream's own clock, so that oversleeping one call shortens the next and the sum
 * stays right. */
void ss_cpu_stream_pace(uint64_t ns);

#endif
