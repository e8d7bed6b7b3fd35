/* Ranks as threads of one process. Inside pipeline/link/inproc only.
 *
 * Every rank has an end: an inbox that its peers put messages into, and a doorbell. A sender counts
 * as `credits` under way and `queue_max` behind them all its messages that the receiver has not
 * taken, so the limits bite as they do between processes. */
#ifndef SS_PIPELINE_LINK_INPROC_H
#define SS_PIPELINE_LINK_INPROC_H

#include <pthread.h>
#include <stdbool.h>

#include "pipeline/link/doorbell.h"
#include "pipeline/link/link.h"
#include "pipeline/link/message.h"

struct ss_inproc_end {
    struct ss_link link;
    struct ss_inproc_hub *hub;
    struct ss_doorbell bell;
    uint32_t seen; /* rings that its own thread has answered */

    pthread_mutex_t mutex;         /* guards all below; never held together with another */
    pthread_cond_t taken;          /* a message left the inbox, or the end was closed */
    struct ss_message_queue inbox; /* in order of arrival */
    int *untaken;                  /* [ranks]: messages in the inbox, by sender */
    bool closed;
};

struct ss_inproc_hub {
    struct ss_link_options options;
    int ranks;
    struct ss_inproc_end *ends; /* [ranks] */

    pthread_mutex_t mutex;  /* guards all below */
    pthread_cond_t changed; /* a collective moved on, or an end was closed */
    int open;               /* ends not destroyed yet; the last one frees the hub */
    int arrived;            /* ranks in the collective under way */
    uint64_t meetings;      /* collectives' phases that are over */
    const void **inputs;    /* [ranks], of the collective under way */
};

enum ss_status ss_inproc_all_gather(struct ss_link *link, const void *in, size_t bytes, void *out);
enum ss_status ss_inproc_barrier(struct ss_link *link);

#endif
