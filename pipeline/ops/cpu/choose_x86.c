#include <cpuid.h>
#include <stdbool.h>

#include "pipeline/ops/cpu/kernel_sets.h"

/* Not every compiler's __builtin_cpu_supports() knows this one. */
static bool supports_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

const struct ss_cpu_kernels *ss_cpu_kernels_at(int index)
{
    const struct ss_cpu_kernels *found[3];
    int count = 0;
    if (__builtin_cpu_supports("avx512f"))
        found[count++] = &ss_cpu_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && supports_f16c())
        found[count++] = &ss_cpu_kernels_avx2;
    found[count++] = &ss_cpu_kernels_portable;
    return index < count ? found[index] : 0;
}
