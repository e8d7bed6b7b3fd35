#ifndef SS_PIPELINE_OPS_CPU_KERNELS_PORTABLE_H
#define SS_PIPELINE_OPS_CPU_KERNELS_PORTABLE_H

#include "pipeline/ops/cpu/kernels.h"

extern const struct ss_cpu_kernels ss_cpu_kernels_portable;

#endif
