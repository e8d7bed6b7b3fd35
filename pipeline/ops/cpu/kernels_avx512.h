#ifndef SS_PIPELINE_OPS_CPU_KERNELS_AVX512_H
#define SS_PIPELINE_OPS_CPU_KERNELS_AVX512_H

#include "pipeline/ops/cpu/kernels.h"

extern const struct ss_cpu_kernels ss_cpu_kernels_avx512;

#endif
