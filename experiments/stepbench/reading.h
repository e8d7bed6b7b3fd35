/* The rate at which a device's memory can be read, and nothing else: what bounds decoding. */
#ifndef SS_EXPERIMENTS_STEPBENCH_READING_H
#define SS_EXPERIMENTS_STEPBENCH_READING_H

#include "swap/device/device.h"

/* Queues a kernel that reads BYTES, a multiple of 16, from FROM on and keeps nothing; TO is any 16
 * bytes. SS_UNSUPPORTED where there is no CUDA. */
SS_MUST_CHECK enum ss_status reading_queue(struct ss_device *device, struct ss_stream *stream,
                                           ss_device_address from, uint64_t bytes,
                                           ss_device_address to);

#endif
