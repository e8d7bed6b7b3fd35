/* The comm of ranks that are processes under mpirun; device memory must be the host's. */
#ifndef SS_PIPELINE_COMM_MPI_H
#define SS_PIPELINE_COMM_MPI_H

#include "pipeline/comm/backends.h"

SS_MUST_CHECK enum ss_status ss_comm_create_mpi(const struct ss_comm_options *options,
                                                struct ss_comm **out);

#endif
