#include "pipeline/comm/backends.h"
#include "pipeline/comm/inproc/inproc.h"
#include "pipeline/comm/mpi/mpi.h"
#include "pipeline/comm/nccl/nccl_comm.h"

const struct ss_comm_backend ss_comm_backends[] = {
    {"cpu", "inproc", ss_comm_create_inproc},
    {"cpu", "mpi", ss_comm_create_mpi},
    {"cuda", 0, ss_comm_create_nccl},
    {0, 0, 0},
};
