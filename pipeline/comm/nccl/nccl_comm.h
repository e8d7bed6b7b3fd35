/* The comm of CUDA devices, over NCCL: one communicator for the tensor-parallel set and one for
 * each directed edge, so that no two streams share one.
 *
 * Sums are gathered and added in rank order by a kernel of ours. The library is opened at run time:
 * a program starts where it is not, and a group of one rank does without. Communicators are formed
 * and connected at creation. A peer that does not come, or that leaves a call unfinished for the
 * comm's time-out, fails the device's health with SS_PEER_LOST, and the communicators are aborted
 * so that no kernel of theirs spins on. */
#ifndef SS_PIPELINE_COMM_NCCL_NCCL_COMM_H
#define SS_PIPELINE_COMM_NCCL_NCCL_COMM_H

#include "pipeline/comm/backends.h"

SS_MUST_CHECK enum ss_status ss_comm_create_nccl(const struct ss_comm_options *options,
                                                 struct ss_comm **out);

#endif
