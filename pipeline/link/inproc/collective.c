#include <string.h>

#include "pipeline/link/inproc/inproc.h"

/* Returns when all ranks are here; with the hub's mutex held. */
static enum ss_status meet(struct ss_inproc_hub *hub)
{
    uint64_t meeting = hub->meetings;
    if (++hub->arrived == hub->ranks) {
        hub->arrived = 0;
        hub->meetings++;
        pthread_cond_broadcast(&hub->changed);
        return SS_OK;
    }
    while (meeting == hub->meetings && hub->open == hub->ranks)
        pthread_cond_wait(&hub->changed, &hub->mutex);
    if (meeting != hub->meetings)
        return SS_OK;
    hub->arrived--;
    return ss_fail(SS_PEER_LOST, "link: %d of %d ranks have left, a collective cannot be finished",
                   hub->ranks - hub->open, hub->ranks);
}

enum ss_status ss_inproc_all_gather(struct ss_link *link, const void *in, size_t bytes, void *out)
{
    struct ss_inproc_hub *hub = ((struct ss_inproc_end *)link)->hub;
    pthread_mutex_lock(&hub->mutex);
    hub->inputs[link->rank] = in;
    enum ss_status status = meet(hub);
    if (status == SS_OK) {
        for (int rank = 0; rank < hub->ranks && bytes != 0; rank++)
            memcpy((char *)out + (size_t)rank * bytes, hub->inputs[rank], bytes);
        /* Nobody's input may go before all have read it. */
        status = meet(hub);
    }
    pthread_mutex_unlock(&hub->mutex);
    return status;
}

enum ss_status ss_inproc_barrier(struct ss_link *link)
{
    struct ss_inproc_hub *hub = ((struct ss_inproc_end *)link)->hub;
    pthread_mutex_lock(&hub->mutex);
    enum ss_status status = meet(hub);
    pthread_mutex_unlock(&hub->mutex);
    return status;
}
