#include "swap/device/backends.h"
#include "swap/device/cpu/cpu.h"

const struct ss_device_backend ss_device_backends[] = {
    {"cpu", ss_cpu_device_create},
    {0, 0},
};
