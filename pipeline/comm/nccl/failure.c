/* Failures of channels, told with the peer that they lead to. */
#include <stdio.h>

#include "pipeline/comm/nccl/internal.h"
#include "swap/device/cuda/cuda.h"

enum ss_status ss_nccl_fail(struct nccl_comm *comm, enum ss_status status,
                            const struct channel *channel, const char *what)
{
    static const int steps[CHANNELS] = {[OUT] = 1, [IN] = -1};
    const struct ss_comm *base = &comm->base;
    char call[96];
    int kind = (int)(channel - comm->channels);
    int peer = (base->stage + base->pp + steps[kind]) % base->pp * base->tp + base->tp_rank;
    if (kind == SET)
        snprintf(call, sizeof call, "NCCL, tensor-parallel set of stage %d, tp rank %d",
                 base->stage, base->tp_rank);
    else
        snprintf(call, sizeof call, "%s rank %d", channel->name, peer);
    return ss_cuda_fail(comm->device, status, call, what);
}

enum ss_status ss_nccl_check(struct nccl_comm *comm, const struct channel *channel,
                             ncclResult_t result)
{
    if (result == ncclSuccess)
        return SS_OK;
    return ss_nccl_fail(comm, result == ncclRemoteError ? SS_PEER_LOST : SS_IO, channel,
                        comm->nccl->error_string(result));
}
