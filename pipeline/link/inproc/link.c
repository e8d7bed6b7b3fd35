#include <errno.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "pipeline/link/inproc/inproc.h"

static struct ss_inproc_end *end_of(struct ss_link *link)
{
    return (struct ss_inproc_end *)link;
}

static enum ss_status inproc_post(struct ss_link *link, int peer, const void *data, size_t bytes)
{
    struct ss_inproc_hub *hub = end_of(link)->hub;
    struct ss_message *message;
    enum ss_status status = ss_link_check_post(link, &hub->options, peer, bytes);
    if (status != SS_OK)
        return status;
    if (ss_fault(SS_FAULT_LINK))
        return ss_fail(SS_PEER_LOST, "link: rank %d is gone (planted fault)", peer);
    status = ss_message_create(link->rank, data, bytes, &message);
    if (status != SS_OK)
        return status;

    struct ss_inproc_end *to = &hub->ends[peer];
    pthread_mutex_lock(&to->mutex);
    if (to->closed) {
        status = ss_fail(SS_PEER_LOST, "link: rank %d has closed its end", peer);
    } else if (to->untaken[link->rank] >= hub->options.credits + hub->options.queue_max) {
        status = ss_link_full(link, &hub->options, peer);
    } else {
        to->untaken[link->rank]++;
        ss_message_push(&to->inbox, message);
    }
    pthread_mutex_unlock(&to->mutex);
    if (status != SS_OK)
        ss_free(message);
    else
        ss_doorbell_ring(&to->bell);
    return status;
}

static enum ss_status inproc_receive(struct ss_link *link, int *peer, void *buffer, size_t *bytes)
{
    struct ss_inproc_end *end = end_of(link);
    enum ss_status status = SS_EMPTY;
    struct ss_message *message = 0;
    pthread_mutex_lock(&end->mutex);
    if (end->inbox.count != 0 && ss_fault(SS_FAULT_LINK))
        status =
            ss_fail(SS_PEER_LOST, "link: rank %d is gone (planted fault)", end->inbox.first->peer);
    else
        message = ss_message_pop(&end->inbox);
    if (message) {
        end->untaken[message->peer]--;
        pthread_cond_broadcast(&end->taken);
    }
    pthread_mutex_unlock(&end->mutex);
    if (!message)
        return status;
    memcpy(buffer, message->data, message->bytes);
    *peer = message->peer;
    *bytes = message->bytes;
    ss_free(message);
    return SS_OK;
}

static void inproc_wait(struct ss_link *link, uint64_t deadline_ns)
{
    struct ss_inproc_end *end = end_of(link);
    if (atomic_load(&end->bell.rings) == end->seen)
        ss_doorbell_sleep(&end->bell, end->seen, deadline_ns);
    end->seen = atomic_load(&end->bell.rings);
}

static void inproc_wake(struct ss_link *link)
{
    ss_doorbell_ring(&end_of(link)->bell);
}

/* Between processes a message has left when a credit carried it off: all but the last `credits`
 * untaken ones are still in the queue. */
static enum ss_status flush_to(struct ss_link *link, int peer, const struct timespec *until)
{
    struct ss_inproc_hub *hub = end_of(link)->hub;
    struct ss_inproc_end *to = &hub->ends[peer];
    enum ss_status status = SS_OK;
    pthread_mutex_lock(&to->mutex);
    while (status == SS_OK && to->untaken[link->rank] > hub->options.credits) {
        if (to->closed)
            status = ss_fail(SS_PEER_LOST, "link: rank %d has closed its end", peer);
        else if (pthread_cond_timedwait(&to->taken, &to->mutex, until) == ETIMEDOUT)
            status = ss_fail(SS_TIMEOUT, "link: %d messages to rank %d have not left in time",
                             to->untaken[link->rank] - hub->options.credits, peer);
    }
    pthread_mutex_unlock(&to->mutex);
    return status;
}

static enum ss_status inproc_flush(struct ss_link *link, uint64_t timeout_ns)
{
    uint64_t now_ns = ss_now_ns();
    uint64_t deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < link->ranks && status == SS_OK; peer++)
        if (peer != link->rank)
            status = flush_to(link, peer, &until);
    return status;
}

static int inproc_same_node(struct ss_link *link, int peer)
{
    SS_ASSERT(peer >= 0 && peer < link->ranks);
    return 1;
}

static void hub_free(struct ss_inproc_hub *hub)
{
    for (int rank = 0; rank < hub->ranks; rank++) {
        pthread_cond_destroy(&hub->ends[rank].taken);
        pthread_mutex_destroy(&hub->ends[rank].mutex);
        ss_free(hub->ends[rank].untaken);
    }
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->mutex);
    ss_free(hub->inputs);
    ss_free(hub->ends);
    ss_free(hub);
}

static void inproc_destroy(struct ss_link *link)
{
    struct ss_inproc_end *end = end_of(link);
    struct ss_inproc_hub *hub = end->hub;
    pthread_mutex_lock(&end->mutex);
    end->closed = true;
    ss_message_clear(&end->inbox);
    pthread_cond_broadcast(&end->taken);
    pthread_mutex_unlock(&end->mutex);

    pthread_mutex_lock(&hub->mutex);
    int left = --hub->open;
    pthread_cond_broadcast(&hub->changed);
    pthread_mutex_unlock(&hub->mutex);
    if (left == 0)
        hub_free(hub);
}

static const struct ss_link_table table = {
    .name = "inproc",
    .post = inproc_post,
    .receive = inproc_receive,
    .wait = inproc_wait,
    .wake = inproc_wake,
    .flush = inproc_flush,
    .all_gather = ss_inproc_all_gather,
    .barrier = ss_inproc_barrier,
    .same_node = inproc_same_node,
    .destroy = inproc_destroy,
};

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* the clock of ss_now_ns() */
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum ss_status ss_link_open_inproc(const struct ss_link_options *options, int ranks,
                                   struct ss_link **out)
{
    struct ss_inproc_hub *hub = 0;
    enum ss_status status = ss_link_check_options(options);
    if (status != SS_OK)
        return status;
    SS_ASSERT(ranks > 0);
    if (ss_fault(SS_FAULT_LINK))
        return ss_fail(SS_IO, "link: cannot open %d ends (planted fault)", ranks);
    status = ss_alloc(&hub, 1, sizeof *hub, "a link");
    if (status != SS_OK)
        return status;
    status = ss_alloc(&hub->inputs, (size_t)ranks, sizeof *hub->inputs, "a link");
    if (status != SS_OK)
        goto free_hub;
    status = ss_alloc(&hub->ends, (size_t)ranks, sizeof *hub->ends, "a link's ends");
    if (status != SS_OK)
        goto free_inputs;
    for (int rank = 0; rank < ranks && status == SS_OK; rank++)
        status = ss_alloc(&hub->ends[rank].untaken, (size_t)ranks, sizeof(int), "a link's counts");
    if (status != SS_OK)
        goto free_ends;

    hub->options = *options;
    hub->ranks = hub->open = ranks;
    pthread_mutex_init(&hub->mutex, 0);
    condition_init(&hub->changed);
    for (int rank = 0; rank < ranks; rank++) {
        struct ss_inproc_end *end = &hub->ends[rank];
        end->link = (struct ss_link){.table = &table, .rank = rank, .ranks = ranks};
        end->hub = hub;
        pthread_mutex_init(&end->mutex, 0);
        condition_init(&end->taken);
        out[rank] = &end->link;
    }
    return SS_OK;

free_ends:
    for (int rank = 0; rank < ranks; rank++)
        ss_free(hub->ends[rank].untaken);
    ss_free(hub->ends);
free_inputs:
    ss_free(hub->inputs);
free_hub:
    ss_free(hub);
    return status;
}
