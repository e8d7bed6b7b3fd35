#include <sched.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "pipeline/link/mpi/mpi_link.h"

enum { TAG_DATA = 1, TAG_CREDIT = 2 };

enum ss_status ss_mpi_error(struct ss_mpi_link *link, int peer, int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    int class = MPI_ERR_UNKNOWN;
    MPI_Error_string(error, text, &length);
    MPI_Error_class(error, &class);
    pthread_mutex_lock(&link->mutex);
    link->peers[peer].lost = true;
    pthread_mutex_unlock(&link->mutex);
    return ss_fail(SS_PEER_LOST, "link: rank %d: %s rank %d failed: %s", link->link.rank, what,
                   peer, text);
}

static void ring(struct ss_mpi_link *link, int peer)
{
    if (link->peers[peer].page)
        ss_doorbell_ring(&link->peers[peer].page->bell);
}

static enum ss_status post_receive(struct ss_mpi_link *link, int peer, int place)
{
    struct ss_mpi_peer *from = &link->peers[peer];
    size_t bytes = link->options.message_bytes_max;
    int error = MPI_Irecv(from->buffers + (size_t)place * bytes, (int)bytes, MPI_BYTE, peer,
                          TAG_DATA, link->comm, &from->receives[place]);
    if (error != MPI_SUCCESS)
        return ss_mpi_error(link, peer, error, "a receive from");
    return SS_OK;
}

static enum ss_status post_credit_receive(struct ss_mpi_link *link, int peer)
{
    int error = MPI_Irecv(&link->peers[peer].credits_in, sizeof(uint32_t), MPI_BYTE, peer,
                          TAG_CREDIT, link->comm, &link->asked[link->link.ranks + peer]);
    if (error != MPI_SUCCESS)
        return ss_mpi_error(link, peer, error, "a credit receive from");
    return SS_OK;
}

/* Moves the oldest receive's request to where MPI_Testsome asks for it. */
static void ask_for_oldest(struct ss_mpi_link *link, int peer)
{
    struct ss_mpi_peer *from = &link->peers[peer];
    link->asked[peer] = from->receives[from->receive_first];
    from->receives[from->receive_first] = MPI_REQUEST_NULL;
}

enum ss_status ss_mpi_start(struct ss_mpi_link *link)
{
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < link->link.ranks && status == SS_OK; peer++) {
        if (peer == link->link.rank)
            continue;
        for (int place = 0; place < link->options.credits && status == SS_OK; place++)
            status = post_receive(link, peer, place);
        if (status == SS_OK)
            status = post_credit_receive(link, peer);
        ask_for_oldest(link, peer);
    }
    return status;
}

static void withdraw(MPI_Request *request)
{
    if (*request == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(request);
    /* A withdrawn receive is complete: nobody else takes part. */
    for (int done = 0; !done && MPI_Test(request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS;)
        sched_yield();
}

void ss_mpi_stop(struct ss_mpi_link *link)
{
    for (int peer = 0; peer < link->link.ranks; peer++) {
        for (int place = 0; place < link->options.credits; place++)
            withdraw(&link->peers[peer].receives[place]);
        withdraw(&link->asked[peer]);
        withdraw(&link->asked[link->link.ranks + peer]);
        if (link->peers[peer].credit_send != MPI_REQUEST_NULL)
            MPI_Request_free(&link->peers[peer].credit_send);
    }
}

/* Hands MESSAGE to MPI, which keeps it until the send is complete. */
static enum ss_status send_message(struct ss_mpi_link *link, int peer, struct ss_message *message)
{
    struct ss_mpi_peer *to = &link->peers[peer];
    int place = (to->send_first + to->send_count) % link->options.credits;
    SS_ASSERT(to->send_count < link->options.credits);
    int error = MPI_Isend(message->data, (int)message->bytes, MPI_BYTE, peer, TAG_DATA, link->comm,
                          &to->sends[place]);
    if (error != MPI_SUCCESS) {
        ss_free(message);
        return ss_mpi_error(link, peer, error, "a send to");
    }
    to->sent[place] = message;
    to->send_count++;
    link->sending++;
    link->stirred = true;
    ring(link, peer);
    return SS_OK;
}

static enum ss_status send_waiting(struct ss_mpi_link *link)
{
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < link->link.ranks && status == SS_OK; peer++) {
        struct ss_mpi_peer *to = &link->peers[peer];
        while (peer != link->link.rank && status == SS_OK &&
               to->send_count < link->options.credits) {
            struct ss_message *message = 0;
            pthread_mutex_lock(&link->mutex);
            if (to->under_way < link->options.credits)
                message = ss_message_pop(&to->waiting);
            if (message) {
                to->under_way++;
                link->waiting_count--;
            }
            pthread_mutex_unlock(&link->mutex);
            if (!message)
                break;
            status = send_message(link, peer, message);
        }
    }
    return status;
}

static enum ss_status complete_sends(struct ss_mpi_link *link)
{
    for (int peer = 0; peer < link->link.ranks && link->sending != 0; peer++) {
        struct ss_mpi_peer *to = &link->peers[peer];
        while (to->send_count != 0) {
            int done = 0;
            int error = MPI_Test(&to->sends[to->send_first], &done, MPI_STATUS_IGNORE);
            if (error != MPI_SUCCESS)
                return ss_mpi_error(link, peer, error, "a send to");
            if (!done)
                break;
            ss_free(to->sent[to->send_first]);
            to->sent[to->send_first] = 0;
            to->send_first = (to->send_first + 1) % link->options.credits;
            to->send_count--;
            link->sending--;
            link->stirred = true;
            /* The last part of a large message goes as the send completes: its receiver may have
             * gone back to sleep. */
            ring(link, peer);
        }
    }
    return SS_OK;
}

static enum ss_status arrived(struct ss_mpi_link *link, int index, MPI_Status *mpi_status)
{
    int ranks = link->link.ranks;
    int peer = index % ranks;
    struct ss_mpi_peer *from = &link->peers[peer];
    int bytes = 0;
    link->stirred = true;
    MPI_Get_count(mpi_status, MPI_BYTE, &bytes);
    if (index < ranks) {
        from->ready = true;
        from->ready_bytes = (size_t)bytes;
        return SS_OK;
    }
    uint32_t credits = from->credits_in;
    pthread_mutex_lock(&link->mutex);
    bool sane = bytes == sizeof credits && credits <= (uint32_t)from->under_way;
    if (sane)
        from->under_way -= (int)credits;
    pthread_mutex_unlock(&link->mutex);
    if (!sane)
        return ss_fail(SS_INTERNAL, "link: rank %d gave back %u credits and has fewer", peer,
                       credits);
    return post_credit_receive(link, peer);
}

enum ss_status ss_mpi_progress(struct ss_mpi_link *link)
{
    enum ss_status status = SS_OK;
    int count = 0;
    if (link->waiting_count != 0 && (status = send_waiting(link)) != SS_OK)
        return status;
    int error = MPI_Testsome(2 * link->link.ranks, link->asked, &count, link->done, link->statuses);
    if (error != MPI_SUCCESS && error != MPI_ERR_IN_STATUS)
        return ss_mpi_error(link, link->link.rank, error, "progress at");
    for (int i = 0; i < count && count != MPI_UNDEFINED; i++) {
        int peer = link->done[i] % link->link.ranks;
        if (error == MPI_ERR_IN_STATUS && link->statuses[i].MPI_ERROR != MPI_SUCCESS)
            return ss_mpi_error(link, peer, link->statuses[i].MPI_ERROR, "a receive from");
        status = arrived(link, link->done[i], &link->statuses[i]);
        if (status != SS_OK)
            return status;
    }
    if (link->waiting_count != 0 && count > 0)
        status = send_waiting(link);
    if (status == SS_OK && link->sending != 0)
        status = complete_sends(link);
    return status;
}

enum ss_status ss_mpi_take(struct ss_mpi_link *link, int peer, void *buffer, size_t *bytes)
{
    struct ss_mpi_peer *from = &link->peers[peer];
    int place = from->receive_first;
    size_t length = from->ready_bytes;
    memcpy(buffer, from->buffers + (size_t)place * link->options.message_bytes_max, length);
    from->ready = false;
    from->credits_owed++;
    from->receive_first = (place + 1) % link->options.credits;
    enum ss_status status = post_receive(link, peer, place);
    ask_for_oldest(link, peer);
    if (status == SS_OK)
        status = ss_mpi_give_credits(link, peer, (uint32_t)(link->options.credits + 1) / 2);
    if (status == SS_OK)
        *bytes = length;
    return status;
}

enum ss_status ss_mpi_give_credits(struct ss_mpi_link *link, int peer, uint32_t least)
{
    struct ss_mpi_peer *to = &link->peers[peer];
    int done = 1;
    if (to->credits_owed == 0 || to->credits_owed < least)
        return SS_OK;
    if (to->credit_send != MPI_REQUEST_NULL)
        MPI_Test(&to->credit_send, &done, MPI_STATUS_IGNORE);
    if (!done)
        return SS_OK; /* they go with the next */
    to->credits_out = to->credits_owed;
    to->credits_owed = 0;
    int error = MPI_Isend(&to->credits_out, sizeof to->credits_out, MPI_BYTE, peer, TAG_CREDIT,
                          link->comm, &to->credit_send);
    if (error != MPI_SUCCESS)
        return ss_mpi_error(link, peer, error, "a credit to");
    MPI_Test(&to->credit_send, &done, MPI_STATUS_IGNORE);
    if (to->page && atomic_load(&to->page->wants))
        ring(link, peer);
    return SS_OK;
}
