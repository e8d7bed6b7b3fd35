#include <stdio.h>
#include <string.h>

#include "swap/device/backends.h"

enum ss_status ss_device_create(const struct ss_device_options *options, struct ss_device **out)
{
    char known[64] = "";
    size_t used = 0;
    for (const struct ss_device_backend *backend = ss_device_backends; backend->kind; backend++) {
        if (strcmp(backend->kind, options->kind) == 0)
            return backend->create(options, out);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                 backend->kind);
    }
    return ss_fail(SS_UNSUPPORTED, "device kind \"%s\" is not in this build, which has: %s",
                   options->kind, known);
}

uint64_t ss_device_bytes_to_device(const struct ss_device *device)
{
    return __atomic_load_n(&device->bytes_to_device, __ATOMIC_RELAXED);
}

uint64_t ss_device_bytes_to_host(const struct ss_device *device)
{
    return __atomic_load_n(&device->bytes_to_host, __ATOMIC_RELAXED);
}
