#include <sched.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "pipeline/link/mpi/mpi_link.h"

/* How long an idle rank sleeps when everybody who may write to it can ring: the bell is trusted,
 * this is for what nobody thought of. */
#define PROBE_NODE_NS (100 * SS_NS_PER_MS)
/* When some peer cannot ring: a compromise of latency and of the cost of being idle. */
#define PROBE_REMOTE_NS (2 * SS_NS_PER_MS)
/* With sends that MPI has not completed or messages that wait for credits. */
#define PROBE_BUSY_NS (200 * SS_NS_PER_US)

static struct ss_mpi_link *mpi_of(struct ss_link *base)
{
    return (struct ss_mpi_link *)base;
}

/* The address of a thread's own variable names the thread. */
static const void *this_thread(void)
{
    static _Thread_local char name;
    return &name;
}

static void drive(struct ss_mpi_link *link)
{
    atomic_store_explicit(&link->driver, this_thread(), memory_order_relaxed);
}

enum ss_status ss_mpi_post(struct ss_link *base, int peer, const void *data, size_t bytes)
{
    struct ss_mpi_link *link = mpi_of(base);
    struct ss_mpi_peer *to = &link->peers[peer];
    struct ss_message *message;
    enum ss_status status = ss_link_check_post(base, &link->options, peer, bytes);
    if (status != SS_OK)
        return status;
    if (ss_fault(SS_FAULT_LINK))
        return ss_fail(SS_PEER_LOST, "link: rank %d is gone (planted fault)", peer);
    status = ss_message_create(peer, data, bytes, &message);
    if (status != SS_OK)
        return status;
    pthread_mutex_lock(&link->mutex);
    if (to->lost) {
        status = ss_fail(SS_PEER_LOST, "link: rank %d is gone", peer);
    } else if (to->under_way + to->waiting.count >=
               link->options.credits + link->options.queue_max) {
        status = ss_link_full(base, &link->options, peer);
    } else {
        message->order = link->posted++;
        ss_message_push(&to->waiting, message);
        link->waiting_count++;
    }
    pthread_mutex_unlock(&link->mutex);
    if (status != SS_OK)
        ss_free(message);
    /* The driver sends at once; others ask it to. Credits that came back may end a full queue, and
     * the driver has to look for them. */
    if (atomic_load_explicit(&link->driver, memory_order_relaxed) == this_thread()) {
        enum ss_status progress = ss_mpi_progress(link);
        return status == SS_OK ? progress : status;
    }
    ss_doorbell_ring(&link->page->bell);
    return status;
}

/* True where the oldest message to itself is behind no message that has not left. Under the lock.
 */
static bool own_is_due(const struct ss_mpi_link *link)
{
    const struct ss_message *own = link->peers[link->link.rank].waiting.first;
    for (int peer = 0; peer < link->link.ranks && own; peer++) {
        const struct ss_mpi_peer *to = &link->peers[peer];
        const struct ss_message *oldest =
            to->send_count != 0 ? to->sent[to->send_first] : to->waiting.first;
        if (oldest && oldest->order < own->order)
            return false;
    }
    return own != 0;
}

static bool take_own(struct ss_mpi_link *link, void *buffer, size_t *bytes)
{
    struct ss_message *message = 0;
    pthread_mutex_lock(&link->mutex);
    if (own_is_due(link))
        message = ss_message_pop(&link->peers[link->link.rank].waiting);
    if (message)
        link->waiting_count--;
    pthread_mutex_unlock(&link->mutex);
    if (!message)
        return false;
    memcpy(buffer, message->data, message->bytes);
    *bytes = message->bytes;
    ss_free(message);
    return true;
}

/* One round over the peers, beginning behind the one served last. */
static enum ss_status take_any(struct ss_mpi_link *link, int *peer, void *buffer, size_t *bytes)
{
    for (int i = 0; i < link->link.ranks; i++) {
        int from = (link->turn + i) % link->link.ranks;
        enum ss_status status = SS_EMPTY;
        if (from == link->link.rank) {
            if (link->waiting_count != 0 && take_own(link, buffer, bytes))
                status = SS_OK;
        } else if (link->peers[from].ready) {
            if (ss_fault(SS_FAULT_LINK))
                return ss_fail(SS_PEER_LOST, "link: rank %d is gone (planted fault)", from);
            status = ss_mpi_take(link, from, buffer, bytes);
        }
        if (status == SS_EMPTY)
            continue;
        if (status == SS_OK)
            *peer = from;
        link->turn = (from + 1) % link->link.ranks;
        return status;
    }
    return SS_EMPTY;
}

static enum ss_status give_all_credits(struct ss_mpi_link *link)
{
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < link->link.ranks && status == SS_OK; peer++)
        status = ss_mpi_give_credits(link, peer, 1);
    return status;
}

enum ss_status ss_mpi_receive(struct ss_link *base, int *peer, void *buffer, size_t *bytes)
{
    struct ss_mpi_link *link = mpi_of(base);
    drive(link);
    enum ss_status status = ss_mpi_progress(link);
    if (status != SS_OK)
        return status;
    status = take_any(link, peer, buffer, bytes);
    if (status != SS_EMPTY)
        return status;
    status = give_all_credits(link);
    return status == SS_OK ? SS_EMPTY : status;
}

static bool something_to_take(struct ss_mpi_link *link)
{
    for (int peer = 0; peer < link->link.ranks; peer++)
        if (link->peers[peer].ready)
            return true;
    pthread_mutex_lock(&link->mutex);
    bool due = own_is_due(link);
    pthread_mutex_unlock(&link->mutex);
    return due;
}

static void ring_for_unfinished_sends(struct ss_mpi_link *link)
{
    for (int peer = 0; peer < link->link.ranks && link->sending != 0; peer++)
        if (link->peers[peer].send_count != 0 && link->peers[peer].page)
            ss_doorbell_ring(&link->peers[peer].page->bell);
}

static uint64_t nap_ns(struct ss_mpi_link *link, bool busy)
{
    if (link->stirred)
        link->backoff = (struct ss_backoff){0};
    link->stirred = false;
    if (!busy && !link->remote)
        return PROBE_NODE_NS;
    return ss_backoff_next_ns(&link->backoff, busy ? PROBE_BUSY_NS : PROBE_REMOTE_NS);
}

void ss_mpi_wait(struct ss_link *base, uint64_t deadline_ns)
{
    struct ss_mpi_link *link = mpi_of(base);
    struct ss_doorbell *bell = &link->page->bell;
    drive(link);
    uint32_t rings = atomic_load(&bell->rings);
    if (rings != link->seen) {
        link->seen = rings;
        return;
    }
    /* Whoever rang before RINGS was read had sent before: this look finds it. A failure shows
     * again, with its message, in the receive that follows. */
    if (ss_mpi_progress(link) != SS_OK || something_to_take(link) ||
        give_all_credits(link) != SS_OK)
        return;
    bool blocked = link->waiting_count != 0;
    bool busy = blocked || link->sending != 0;
    uint64_t nap = nap_ns(link, busy);
    uint64_t now_ns = ss_now_ns();
    if (now_ns >= deadline_ns)
        return;
    if (nap == 0) {
        sched_yield();
        return;
    }
    if (nap > deadline_ns - now_ns)
        nap = deadline_ns - now_ns;
    ring_for_unfinished_sends(link);
    atomic_store(&link->page->wants, blocked);
    ss_doorbell_sleep(bell, rings, now_ns + nap);
    atomic_store(&link->page->wants, 0);
    link->seen = atomic_load(&bell->rings);
}

void ss_mpi_wake(struct ss_link *base)
{
    ss_doorbell_ring(&mpi_of(base)->page->bell);
}

static int unsent(struct ss_mpi_link *link)
{
    pthread_mutex_lock(&link->mutex);
    int count = link->waiting_count - link->peers[link->link.rank].waiting.count;
    pthread_mutex_unlock(&link->mutex);
    return count + link->sending;
}

enum ss_status ss_mpi_flush(struct ss_link *base, uint64_t timeout_ns)
{
    struct ss_mpi_link *link = mpi_of(base);
    uint64_t start_ns = ss_now_ns();
    struct ss_backoff backoff = {0};
    drive(link);
    for (;;) {
        enum ss_status status = ss_mpi_progress(link);
        if (status == SS_OK)
            status = give_all_credits(link);
        if (status != SS_OK)
            return status;
        int left = unsent(link);
        if (left == 0)
            return SS_OK;
        if (ss_now_ns() - start_ns > timeout_ns)
            return ss_fail(SS_TIMEOUT, "link: rank %d: %d messages have not left within %.3f s",
                           base->rank, left, (double)timeout_ns * 1e-9);
        ring_for_unfinished_sends(link);
        ss_backoff_pause(&backoff, PROBE_BUSY_NS);
    }
}

int ss_mpi_same_node(struct ss_link *base, int peer)
{
    SS_ASSERT(peer >= 0 && peer < base->ranks);
    return peer == base->rank || mpi_of(base)->peers[peer].page != 0;
}
