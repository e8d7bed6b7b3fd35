/* The device backends of this build: one table, in the file that CMake chose for it. */
#ifndef SS_SWAP_DEVICE_BACKENDS_H
#define SS_SWAP_DEVICE_BACKENDS_H

#include "swap/device/device.h"

struct ss_device_backend {
    const char *kind; /* what configs call it */
    enum ss_status (*create)(const struct ss_device_options *options, struct ss_device **out);
};

/* Ends with a null kind. */
extern const struct ss_device_backend ss_device_backends[];

#endif
