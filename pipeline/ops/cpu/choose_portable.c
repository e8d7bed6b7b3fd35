#include "pipeline/ops/cpu/kernel_sets.h"

const struct ss_cpu_kernels *ss_cpu_kernels_at(int index)
{
    return index == 0 ? &ss_cpu_kernels_portable : 0;
}
