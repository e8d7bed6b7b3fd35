/* Tensor operations on the CPU: fp32, one thread (the stream's worker), the fastest instruction set
 * that the machine has. The bits are the same on all of them, and batch-invariant. */
#ifndef SS_PIPELINE_OPS_CPU_CPU_OPS_H
#define SS_PIPELINE_OPS_CPU_CPU_OPS_H

#include "pipeline/ops/cpu/kernels.h"
#include "pipeline/ops/ops.h"

/* Borrows DEVICE, a CPU device. */
SS_MUST_CHECK enum ss_status ss_cpu_ops_create(struct ss_device *device,
                                               const struct ss_ops_options *options,
                                               struct ss_ops **out);

#endif
