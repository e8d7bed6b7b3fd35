#include <stdio.h>
#include <string.h>

#include "pipeline/ops/backends.h"

enum ss_status ss_ops_create(struct ss_device *device, const struct ss_ops_options *options,
                             struct ss_ops **out)
{
    char known[128] = "";
    size_t used = 0;
    for (const struct ss_ops_backend *backend = ss_ops_backends; backend->kind; backend++) {
        if (strcmp(backend->kind, options->kind) == 0 &&
            strcmp(backend->device, device->ops->name) == 0)
            return backend->create(device, options, out);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s on %s", used ? ", " : "",
                                 backend->kind, backend->device);
    }
    return ss_fail(SS_UNSUPPORTED, "operations \"%s\" on device \"%s\" are not in this build: %s",
                   options->kind, device->ops->name, known);
}
