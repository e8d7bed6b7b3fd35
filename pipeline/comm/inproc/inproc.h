/* The comm of ranks that are threads of one process; device memory must be the host's. */
#ifndef SS_PIPELINE_COMM_INPROC_H
#define SS_PIPELINE_COMM_INPROC_H

#include "pipeline/comm/backends.h"

SS_MUST_CHECK enum ss_status ss_comm_create_inproc(const struct ss_comm_options *options,
                                                   struct ss_comm **out);

#endif
