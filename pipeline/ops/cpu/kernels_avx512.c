#include "pipeline/ops/cpu/kernel_sets.h"

#include "pipeline/ops/cpu/lanes_avx512.h"
#include "pipeline/ops/cpu/sum_products_one.h"

/* The kernels are written once, over the lanes above. */
#include "pipeline/ops/cpu/attention_lanes.h"
#include "pipeline/ops/cpu/linear_lanes.h"
#include "pipeline/ops/cpu/norm_lanes.h"

const struct ss_cpu_kernels ss_cpu_kernels_avx512 = {
    .name = "avx512",
    .linear = kernel_linear,
    .layer_norm = kernel_layer_norm,
    .rms_norm = kernel_rms_norm,
    .silu_multiply = kernel_silu_multiply,
    .attention = kernel_attention,
    .exp = kernel_exp,
};
