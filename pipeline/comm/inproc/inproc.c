#include "pipeline/comm/inproc/inproc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "pipeline/comm/host/host.h"

/* As vader, Open MPI's shared-memory transport, has it: longer messages wait for their receiver. */
#define EAGER_BYTES 4096
#define EDGE_PLACES 16

/* A tensor-parallel set in a collective. */
struct set {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t meetings; /* phases that are over */
    int arrived;       /* in the phase under way */
    bool broken;       /* somebody waited too long: no collective works any more */
    char missing[96];  /* for whom */
    const void **in;   /* [tp] */
    bool *here;        /* [tp], in the phase under way */
};

/* What the ranks share; made by rank 0, freed by whoever leaves last. */
struct group {
    _Atomic int users;
    int tp, pp;
    struct set *sets;          /* [pp] */
    struct ss_mailbox **edges; /* [pp * tp], by sender */
};

struct inproc_comm {
    struct ss_host_comm host;
    struct group *group;
};

static void group_destroy(struct group *group)
{
    for (int stage = 0; group->sets && stage < group->pp; stage++) {
        struct set *set = &group->sets[stage];
        if (!set->here)
            break; /* made in order, and this one was not */
        pthread_cond_destroy(&set->changed);
        pthread_mutex_destroy(&set->mutex);
        ss_free(set->in);
        ss_free(set->here);
    }
    for (int rank = 0; group->edges && rank < group->pp * group->tp; rank++)
        ss_mailbox_destroy(group->edges[rank]);
    ss_free(group->sets);
    ss_free(group->edges);
    ss_free(group);
}

static enum ss_status set_init(struct set *set, int tp)
{
    enum ss_status status = ss_alloc(&set->in, (size_t)tp, sizeof *set->in, "a comm's set");
    if (status != SS_OK)
        return status;
    status = ss_alloc(&set->here, (size_t)tp, sizeof *set->here, "a comm's set");
    if (status != SS_OK) {
        ss_free(set->in);
        return status;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&set->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&set->mutex, 0);
    return SS_OK;
}

static enum ss_status group_create(int tp, int pp, struct group **out)
{
    struct group *group;
    enum ss_status status = ss_alloc(&group, 1, sizeof *group, "a comm's group");
    if (status != SS_OK)
        return status;
    group->tp = tp;
    group->pp = pp;
    group->users = tp * pp;
    status = ss_alloc(&group->sets, (size_t)pp, sizeof *group->sets, "a comm's sets");
    for (int stage = 0; stage < pp && status == SS_OK; stage++)
        status = set_init(&group->sets[stage], tp);
    if (status == SS_OK)
        status = ss_alloc(&group->edges, (size_t)pp * (size_t)tp, sizeof(struct ss_mailbox *),
                          "a comm's edges");
    for (int rank = 0; rank < pp * tp && status == SS_OK; rank++)
        status = ss_mailbox_create(EDGE_PLACES, EAGER_BYTES, &group->edges[rank]);
    if (status != SS_OK)
        group_destroy(group);
    else
        *out = group;
    return status;
}

/* Notes the ranks of the set that are not here; with the mutex held. */
static void give_up(struct ss_host_comm *host, struct set *set)
{
    size_t used = 0;
    for (int t = 0; t < host->comm.tp && used + 16 < sizeof set->missing; t++)
        if (!set->here[t])
            used += (size_t)snprintf(set->missing + used, sizeof set->missing - used, "%s%d",
                                     used ? ", " : "", ss_host_comm_peer(host, t));
    set->broken = true;
    pthread_cond_broadcast(&set->changed);
}

/* Returns when the whole set is here; with its mutex held. */
static enum ss_status meet(struct ss_host_comm *host, struct set *set,
                           const struct timespec *deadline)
{
    uint64_t meeting = set->meetings;
    set->here[host->comm.tp_rank] = true;
    if (!set->broken && ++set->arrived == host->comm.tp) {
        memset(set->here, 0, (size_t)host->comm.tp * sizeof *set->here);
        set->arrived = 0;
        set->meetings++;
        pthread_cond_broadcast(&set->changed);
        return SS_OK;
    }
    while (meeting == set->meetings && !set->broken)
        if (pthread_cond_timedwait(&set->changed, &set->mutex, deadline) == ETIMEDOUT &&
            meeting == set->meetings && !set->broken)
            give_up(host, set);
    if (meeting != set->meetings)
        return SS_OK;
    return ss_fail(SS_PEER_LOST, "comm: rank %d waited for rank %s, at most %.3f s", host->rank,
                   set->missing, (double)host->timeout_ns * 1e-9);
}

static enum ss_status gather(struct ss_host_comm *host, const void *in, void *out, size_t bytes)
{
    struct set *set = &((struct inproc_comm *)host)->group->sets[host->comm.stage];
    uint64_t now_ns = ss_now_ns();
    uint64_t deadline_ns =
        host->timeout_ns < UINT64_MAX - now_ns ? now_ns + host->timeout_ns : UINT64_MAX;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
    pthread_mutex_lock(&set->mutex);
    set->in[host->comm.tp_rank] = in;
    enum ss_status status = meet(host, set, &deadline);
    if (status == SS_OK) {
        /* Nobody writes `in` before all have met again. */
        pthread_mutex_unlock(&set->mutex);
        for (int t = 0; t < host->comm.tp; t++)
            memcpy((char *)out + (size_t)t * bytes, set->in[t], bytes);
        pthread_mutex_lock(&set->mutex);
        status = meet(host, set, &deadline);
    }
    pthread_mutex_unlock(&set->mutex);
    return status;
}

static enum ss_status name_edge(struct ss_host_comm *host, enum ss_status status, int from, int to)
{
    if (status == SS_TIMEOUT)
        return ss_fail(SS_PEER_LOST,
                       "comm: edge from rank %d to rank %d: rank %d waited over %.3f s", from, to,
                       host->rank, (double)host->timeout_ns * 1e-9);
    if (status == SS_CANCELLED)
        return ss_fail(SS_PEER_LOST, "comm: edge from rank %d to rank %d: rank %d gave up waiting",
                       from, to, host->rank == from ? to : from);
    return status;
}

static enum ss_status send_edge(struct ss_host_comm *host, const void *data, size_t bytes)
{
    struct ss_mailbox *edge = ((struct inproc_comm *)host)->group->edges[host->rank];
    return name_edge(host, ss_mailbox_send(edge, data, bytes, host->timeout_ns), host->rank,
                     host->next);
}

static enum ss_status receive_edge(struct ss_host_comm *host, void *data, size_t bytes)
{
    struct ss_mailbox *edge = ((struct inproc_comm *)host)->group->edges[host->previous];
    return name_edge(host, ss_mailbox_receive(edge, data, bytes, host->timeout_ns), host->previous,
                     host->rank);
}

static void leave(struct group *group)
{
    if (atomic_fetch_sub(&group->users, 1) == 1)
        group_destroy(group);
}

static void inproc_destroy(struct ss_comm *comm)
{
    struct inproc_comm *inproc = (struct inproc_comm *)comm;
    leave(inproc->group);
    ss_host_comm_release(&inproc->host);
    ss_free(inproc);
}

static const struct ss_comm_table table = {
    .name = "inproc",
    .destroy = inproc_destroy,
    .all_reduce = ss_host_all_reduce,
    .all_gather = ss_host_all_gather,
    .send_next = ss_host_send_next,
    .receive_previous = ss_host_receive_previous,
};

static const struct ss_host_transport transport = {
    .gather = gather,
    .send = send_edge,
    .receive = receive_edge,
};

/* Rank 0's group, known to all; null on all if rank 0 could not make it. */
static enum ss_status share_group(const struct ss_comm_options *options, struct group **out)
{
    struct ss_link *link = options->link;
    struct group *group = 0;
    struct group **all = 0;
    enum ss_status made = SS_OK;
    enum ss_status status = ss_alloc(&all, (size_t)link->ranks, sizeof(struct group *), "a comm");
    /* Whoever fails goes along until all know. */
    if (status == SS_OK && link->rank == 0)
        made = group_create(options->tp, options->pp, &group);
    status = ss_host_comm_agree(link, status == SS_OK ? made : status);
    SS_ASSERT(status != SS_OK || all); /* who failed does not hear that all agree */
    if (status == SS_OK)
        status = link->table->all_gather(link, &group, sizeof(struct group *), all);
    if (status == SS_OK)
        *out = all[0];
    else if (group)
        group_destroy(group);
    ss_free(all);
    return status;
}

enum ss_status ss_comm_create_inproc(const struct ss_comm_options *options, struct ss_comm **out)
{
    struct inproc_comm *inproc = 0;
    struct group *group;
    enum ss_status status = share_group(options, &group);
    if (status != SS_OK)
        return status;
    status = ss_alloc(&inproc, 1, sizeof *inproc, "a comm");
    if (status == SS_OK)
        status = ss_host_comm_init(&inproc->host, options, &table, &transport);
    bool initialised = status == SS_OK;
    status = ss_host_comm_agree(options->link, status);
    if (status != SS_OK) {
        if (initialised)
            ss_host_comm_release(&inproc->host);
        ss_free(inproc);
        leave(group);
        return status;
    }
    SS_ASSERT(inproc);
    inproc->group = group;
    *out = &inproc->host.comm;
    return SS_OK;
}
