/* Device memory that ranks of one node lend each other: CUDA's inter-process handles. */
#include <string.h>

#include "swap/device/cuda/internal.h"

_Static_assert(sizeof(cudaIpcMemHandle_t) <= SS_DEVICE_SHARE_BYTES, "a share holds a handle");

enum ss_status ss_cuda_share(struct ss_device *device, ss_device_address address,
                             struct ss_device_share *out)
{
    cudaIpcMemHandle_t handle;
    enum ss_status status = ss_cuda_begin(device, "share");
    if (!status)
        status = ss_cuda_try(device, (int)cudaIpcGetMemHandle(&handle, (void *)(uintptr_t)address),
                             "share: cudaIpcGetMemHandle");
    if (status)
        return status;
    *out = (struct ss_device_share){{0}};
    memcpy(out->bytes, &handle, sizeof handle);
    return SS_OK;
}

enum ss_status ss_cuda_share_open(struct ss_device *device, const struct ss_device_share *share,
                                  ss_device_address *out)
{
    cudaIpcMemHandle_t handle;
    void *address = 0;
    memcpy(&handle, share->bytes, sizeof handle);
    enum ss_status status = ss_cuda_begin(device, "share_open");
    if (!status)
        status = ss_cuda_try(
            device, (int)cudaIpcOpenMemHandle(&address, handle, cudaIpcMemLazyEnablePeerAccess),
            "share_open: cudaIpcOpenMemHandle");
    if (!status)
        *out = (ss_device_address)(uintptr_t)address;
    return status;
}

void ss_cuda_share_close(struct ss_device *device, ss_device_address address)
{
    ss_cuda_use(ss_cuda_device_of(device));
    cudaIpcCloseMemHandle((void *)(uintptr_t)address);
}
