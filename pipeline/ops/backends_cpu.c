#include "pipeline/ops/backends.h"
#include "pipeline/ops/cpu/cpu_ops.h"
#include "pipeline/ops/paced/paced_ops.h"

const struct ss_ops_backend ss_ops_backends[] = {
    {"real", "cpu", ss_cpu_ops_create},
    {"paced", "cpu", ss_paced_ops_create},
    {0, 0, 0},
};
