/* The kernels of each instruction set; ss_cpu_kernels_at() knows which this machine runs. A build
 * for another architecture has the portable ones alone. */
#ifndef SS_PIPELINE_OPS_CPU_KERNEL_SETS_H
#define SS_PIPELINE_OPS_CPU_KERNEL_SETS_H

#include "pipeline/ops/cpu/kernels.h"

extern const struct ss_cpu_kernels ss_cpu_kernels_portable;
extern const struct ss_cpu_kernels ss_cpu_kernels_avx2;   /* AVX2, FMA and F16C */
extern const struct ss_cpu_kernels ss_cpu_kernels_avx512; /* AVX-512F */

#endif
