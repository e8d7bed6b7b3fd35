/* The operations of this build: one table, in the file that CMake chose for it. */
#ifndef SS_PIPELINE_OPS_BACKENDS_H
#define SS_PIPELINE_OPS_BACKENDS_H

#include "pipeline/ops/ops.h"

struct ss_ops_backend {
    const char *kind;   /* what ss_ops_options call it */
    const char *device; /* the name of the devices that it fits */
    enum ss_status (*create)(struct ss_device *device, const struct ss_ops_options *options,
                             struct ss_ops **out);
};

/* Ends with a null kind. */
extern const struct ss_ops_backend ss_ops_backends[];

#endif
