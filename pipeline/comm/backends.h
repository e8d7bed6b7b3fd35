/* The comm backends of this build: one table, in the file that CMake chose for it. */
#ifndef SS_PIPELINE_COMM_BACKENDS_H
#define SS_PIPELINE_COMM_BACKENDS_H

#include "pipeline/comm/comm.h"
#include "pipeline/link/link.h"

/* What every backend is created from; the shape is checked before. */
struct ss_comm_options {
    struct ss_link *link;
    struct ss_device *device;
    int tp, pp;
    size_t all_reduce_bytes_max;
    uint64_t timeout_ns;
};

struct ss_comm_backend {
    const char *device; /* the device's ops->name */
    const char *link;   /* the link's table->name; null: any */
    enum ss_status (*create)(const struct ss_comm_options *options, struct ss_comm **out);
};

/* The first that fits is taken. Ends with a null device. */
extern const struct ss_comm_backend ss_comm_backends[];

#endif
