#include "swap/device/backends.h"
#include "swap/device/cpu/cpu.h"
#include "swap/device/cuda/cuda.h"

const struct ss_device_backend ss_device_backends[] = {
    {"cpu", ss_cpu_device_create},
    {"cuda", ss_cuda_device_create},
    {0, 0},
};
