#include <string.h>

#include "pipeline/comm/backends.h"

enum ss_status ss_comm_create(struct ss_link *link, struct ss_device *device, int tp, int pp,
                              size_t all_reduce_bytes_max, uint64_t timeout_ns,
                              struct ss_comm **out)
{
    struct ss_comm_options options = {
        .link = link,
        .device = device,
        .tp = tp,
        .pp = pp,
        .all_reduce_bytes_max = all_reduce_bytes_max,
        .timeout_ns = timeout_ns,
    };
    if (tp < 1 || pp < 1 || (long long)tp * pp != link->ranks)
        return ss_fail(SS_INVALID, "comm: tp %d x pp %d on %d ranks; the product must be equal", tp,
                       pp, link->ranks);
    for (const struct ss_comm_backend *backend = ss_comm_backends; backend->device; backend++)
        if (strcmp(backend->device, device->ops->name) == 0 &&
            (!backend->link || strcmp(backend->link, link->table->name) == 0))
            return backend->create(&options, out);
    return ss_fail(SS_UNSUPPORTED, "comm: this build has none for %s devices over %s",
                   device->ops->name, link->table->name);
}
