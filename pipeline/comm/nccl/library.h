/* NCCL's functions, looked up in libnccl.so.2 when first asked for. */
#ifndef SS_PIPELINE_COMM_NCCL_LIBRARY_H
#define SS_PIPELINE_COMM_NCCL_LIBRARY_H

#include <nccl.h>

#include "engine/base/status.h"

struct ss_nccl {
    ncclResult_t (*get_unique_id)(ncclUniqueId *id);
    ncclResult_t (*init_rank)(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank,
                              ncclConfig_t *config);
    ncclResult_t (*async_error)(ncclComm_t comm, ncclResult_t *error);
    ncclResult_t (*abort)(ncclComm_t comm);
    ncclResult_t (*group_start)(void);
    ncclResult_t (*group_end)(void);
    ncclResult_t (*all_gather)(const void *from, void *to, size_t count, ncclDataType_t type,
                               ncclComm_t comm, cudaStream_t stream);
    ncclResult_t (*send)(const void *from, size_t count, ncclDataType_t type, int peer,
                         ncclComm_t comm, cudaStream_t stream);
    ncclResult_t (*receive)(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                            cudaStream_t stream);
    const char *(*error_string)(ncclResult_t result);
};

/* Static storage. SS_NOT_FOUND says what is missing. */
SS_MUST_CHECK enum ss_status ss_nccl_open(const struct ss_nccl **out);

#endif
