/* The CUDA device: one GPU, through the runtime library; no kernel but that of small copies.
 *
 * Timelines are 64-bit words in pinned host memory that the GPU writes and waits on in stream order
 * (cuStreamWriteValue64, cuStreamWaitValue64), so the host reads one with a load. The driver's
 * functions are looked up at start: a build with CUDA starts, and serves the CPU device, where
 * there is no driver. */
#ifndef SS_SWAP_DEVICE_CUDA_H
#define SS_SWAP_DEVICE_CUDA_H

#include "swap/device/device.h"

/* Opens GPU options->index, counted within the node. */
SS_MUST_CHECK enum ss_status ss_cuda_device_create(const struct ss_device_options *options,
                                                   struct ss_device **out);

/* The GPU's index, for code that launches kernels or opens NCCL on it. */
int ss_cuda_device_index(const struct ss_device *device);

/* The runtime's stream behind STREAM: a cudaStream_t. */
void *ss_cuda_stream_native(struct ss_stream *stream);

/* Whether what is queued on STREAM now is recorded, not run. */
bool ss_cuda_stream_is_recording(const struct ss_stream *stream);

/* Queued on STREAM, for code whose counters are in device memory, where other GPUs write them:
 * waits until the 64 bits at WORD are at least VALUE. No multiprocessor is taken. */
SS_MUST_CHECK enum ss_status ss_cuda_await_word(struct ss_stream *stream, ss_device_address word,
                                                uint64_t value);

/* Before each fallible call that queues work: makes DEVICE current on this thread, and fails where
 * a test planted a fault. */
SS_MUST_CHECK enum ss_status ss_cuda_begin(struct ss_device *device, const char *call);

/* What became of CALL: CODE is a cudaError_t. A failure is recorded as the device's health; the
 * message names the GPU, CALL and what CUDA says. */
SS_MUST_CHECK enum ss_status ss_cuda_check(struct ss_device *device, int code, const char *call);

/* The same where another way is left: the device's health stays what it is. SS_NO_MEMORY or
 * SS_UNSUPPORTED. */
SS_MUST_CHECK enum ss_status ss_cuda_try(struct ss_device *device, int code, const char *call);

/* The same for failures that have no cudaError_t: those of cuBLAS, NCCL, a lost peer. */
enum ss_status ss_cuda_fail(struct ss_device *device, enum ss_status status, const char *call,
                            const char *what);

#endif
