#include "pipeline/ops/backends.h"
#include "pipeline/ops/cpu/cpu_ops.h"
#include "pipeline/ops/cuda/cuda_ops.h"
#include "pipeline/ops/paced/paced_ops.h"

const struct ss_ops_backend ss_ops_backends[] = {
    {"real", "cpu", ss_cpu_ops_create},
    {"paced", "cpu", ss_paced_ops_create},
    {"real", "cuda", ss_cuda_ops_create},
    {"real-bf16", "cuda", ss_cuda_ops_create_bf16},
    {0, 0, 0},
};
