#include "pipeline/comm/nccl/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char file[] = "libnccl.so.2";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ss_nccl library;
static void *handle;

static enum ss_status look_up(void *opened, struct ss_nccl *out)
{
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"ncclGetUniqueId", &out->get_unique_id},
        {"ncclCommInitRankConfig", &out->init_rank},
        {"ncclCommGetAsyncError", &out->async_error},
        {"ncclCommAbort", &out->abort},
        {"ncclGroupStart", &out->group_start},
        {"ncclGroupEnd", &out->group_end},
        {"ncclAllGather", &out->all_gather},
        {"ncclSend", &out->send},
        {"ncclRecv", &out->receive},
        {"ncclGetErrorString", &out->error_string},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(opened, functions[i].name);
        if (!found)
            return ss_fail(SS_NOT_FOUND, "%s has no %s: NCCL 2.18 or newer is needed", file,
                           functions[i].name);
        memcpy(functions[i].place, &found, sizeof found);
    }
    return SS_OK;
}

enum ss_status ss_nccl_open(const struct ss_nccl **out)
{
    enum ss_status status = SS_OK;
    pthread_mutex_lock(&lock);
    if (!handle) {
        /* Multicast over NVLink can put a shared server's switches out of order: opt in by hand. */
        setenv("NCCL_NVLS_ENABLE", "0", 0);
        /* Collectives in recorded steps go as all others do: registering their buffers would have
         * ranks wait for each other while they record. */
        setenv("NCCL_GRAPH_REGISTER", "0", 0);
        void *opened = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (!opened)
            status = ss_fail(SS_NOT_FOUND, "NCCL, which several GPUs need: %s", dlerror());
        else
            status = look_up(opened, &library);
        if (!status)
            handle = opened;
        else if (opened)
            dlclose(opened);
    }
    pthread_mutex_unlock(&lock);
    if (!status)
        *out = &library;
    return status;
}
