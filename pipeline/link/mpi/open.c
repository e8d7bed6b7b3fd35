#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "pipeline/link/mpi/mpi_link.h"

static enum ss_status mpi_initialise(bool *initialised)
{
    int have = 0;
    int level = MPI_THREAD_SINGLE;
    if (MPI_Initialized(&have) != MPI_SUCCESS)
        return ss_fail(SS_IO, "link: MPI does not answer");
    if (have) {
        MPI_Query_thread(&level);
    } else {
        if (MPI_Init_thread(0, 0, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS)
            return ss_fail(SS_IO, "link: MPI_Init_thread failed; start with mpirun");
        *initialised = true;
    }
    if (level < MPI_THREAD_MULTIPLE)
        return ss_fail(SS_UNSUPPORTED,
                       "link: this MPI offers thread level %d; MPI_THREAD_MULTIPLE (%d) is needed",
                       level, MPI_THREAD_MULTIPLE);
    return SS_OK;
}

static enum ss_status peer_allocate(struct ss_mpi_link *link, struct ss_mpi_peer *peer)
{
    size_t credits = (size_t)link->options.credits;
    enum ss_status status = ss_alloc(&peer->sent, credits, sizeof(void *), "a link's sends");
    if (status == SS_OK)
        status = ss_alloc(&peer->sends, credits, sizeof(MPI_Request), "a link's sends");
    if (status == SS_OK)
        status = ss_alloc(&peer->receives, credits, sizeof(MPI_Request), "a link's receives");
    if (status == SS_OK)
        status = ss_alloc(&peer->buffers, credits, link->options.message_bytes_max,
                          "a link's receive buffers");
    if (status != SS_OK)
        return status;
    for (size_t i = 0; i < credits; i++)
        peer->sends[i] = peer->receives[i] = MPI_REQUEST_NULL;
    return SS_OK;
}

static enum ss_status allocate(struct ss_mpi_link *link)
{
    size_t ranks = (size_t)link->link.ranks;
    enum ss_status status = ss_alloc(&link->peers, ranks, sizeof *link->peers, "a link's peers");
    if (status == SS_OK)
        status = ss_alloc(&link->asked, 2 * ranks, sizeof *link->asked, "a link's requests");
    if (status == SS_OK)
        status = ss_alloc(&link->statuses, 2 * ranks, sizeof *link->statuses, "a link's statuses");
    if (status == SS_OK)
        status = ss_alloc(&link->done, 2 * ranks, sizeof *link->done, "a link's requests");
    for (size_t i = 0; i < 2 * ranks && status == SS_OK; i++)
        link->asked[i] = MPI_REQUEST_NULL;
    for (size_t i = 0; i < ranks && status == SS_OK; i++) {
        link->peers[i].credit_send = MPI_REQUEST_NULL;
        status = peer_allocate(link, &link->peers[i]);
    }
    return status;
}

static void release(struct ss_mpi_link *link)
{
    ss_mpi_node_close(link);
    for (int i = 0; link->peers && i < link->link.ranks; i++) {
        struct ss_mpi_peer *peer = &link->peers[i];
        ss_message_clear(&peer->waiting);
        ss_free(peer->sent);
        ss_free(peer->sends);
        ss_free(peer->receives);
        ss_free(peer->buffers);
    }
    ss_free(link->peers);
    ss_free(link->asked);
    ss_free(link->statuses);
    ss_free(link->done);
    pthread_mutex_destroy(&link->mutex);
    ss_free(link);
}

/* Ranks with other limits would overrun each other's buffers or wait for credits for ever. */
static enum ss_status check_same(struct ss_mpi_link *link, enum ss_status status)
{
    struct card {
        uint64_t status, message_bytes_max, credits, queue_max;
    } mine, *cards;
    memset(&mine, 0, sizeof mine);
    mine.status = status;
    mine.message_bytes_max = link->options.message_bytes_max;
    mine.credits = (uint64_t)link->options.credits;
    mine.queue_max = (uint64_t)link->options.queue_max;
    enum ss_status own = ss_alloc(&cards, (size_t)link->link.ranks, sizeof mine, "a link's cards");
    if (own != SS_OK)
        return own;
    own = ss_mpi_all_gather(&link->link, &mine, sizeof mine, cards);
    for (int rank = 0; rank < link->link.ranks && own == SS_OK && status == SS_OK; rank++) {
        const struct card *card = &cards[rank];
        if (card->status != SS_OK)
            own = ss_fail(SS_PEER_LOST, "link: rank %d could not open its end (%s)", rank,
                          ss_status_name((enum ss_status)card->status));
        else if (memcmp(card, &mine, sizeof mine) != 0)
            own = ss_fail(SS_INVALID,
                          "link: rank %d has message_bytes_max %llu, credits %llu, queue_max %llu; "
                          "rank %d has %llu, %llu, %llu; all ranks need the same",
                          rank, (unsigned long long)card->message_bytes_max,
                          (unsigned long long)card->credits, (unsigned long long)card->queue_max,
                          link->link.rank, (unsigned long long)mine.message_bytes_max,
                          (unsigned long long)mine.credits, (unsigned long long)mine.queue_max);
    }
    ss_free(cards);
    return status == SS_OK ? own : status;
}

static enum ss_status open_communicator(struct ss_mpi_link *link)
{
    MPI_Request request;
    if (MPI_Comm_idup(MPI_COMM_WORLD, &link->comm, &request) != MPI_SUCCESS)
        return ss_fail(SS_IO, "link: MPI_Comm_idup failed");
    enum ss_status status = ss_mpi_await(&request, 0, "making a communicator");
    if (status == SS_OK)
        MPI_Comm_set_errhandler(link->comm, MPI_ERRORS_RETURN);
    return status;
}

static void destroy(struct ss_link *base)
{
    struct ss_mpi_link *link = (struct ss_mpi_link *)base;
    struct ss_backoff backoff = {0};
    enum ss_status status = SS_OK;
    for (int peer = 0; peer < base->ranks; peer++)
        ss_message_clear(&link->peers[peer].waiting);
    link->waiting_count = 0;
    /* Every rank keeps its receives until all are here, so no send is cut off. */
    while (link->sending != 0 && (status = ss_mpi_progress(link)) == SS_OK)
        ss_backoff_pause(&backoff, SS_NS_PER_MS);
    if (status == SS_OK)
        status = ss_mpi_barrier(base);
    if (status != SS_OK)
        SS_WARNING("%s", ss_status_message());
    ss_mpi_stop(link);
    MPI_Comm_free(&link->comm);
    bool finalize = link->finalize;
    release(link);
    if (finalize)
        MPI_Finalize();
}

static const struct ss_link_table mpi_table = {
    .name = "mpi",
    .post = ss_mpi_post,
    .receive = ss_mpi_receive,
    .wait = ss_mpi_wait,
    .wake = ss_mpi_wake,
    .flush = ss_mpi_flush,
    .all_gather = ss_mpi_all_gather,
    .barrier = ss_mpi_barrier,
    .same_node = ss_mpi_same_node,
    .destroy = destroy,
};

enum ss_status ss_link_open_mpi(const struct ss_link_options *options, struct ss_link **out)
{
    struct ss_mpi_link *link = 0;
    bool initialised = false;
    enum ss_status status = ss_link_check_options(options);
    if (status != SS_OK)
        return status;
    if (ss_fault(SS_FAULT_LINK))
        return ss_fail(SS_IO, "link: cannot open (planted fault)");
    status = ss_alloc(&link, 1, sizeof *link, "a link");
    if (status != SS_OK)
        return status;
    link->link.table = &mpi_table;
    link->options = *options;
    link->comm = MPI_COMM_NULL;
    link->page_fd = -1;
    pthread_mutex_init(&link->mutex, 0);
    status = mpi_initialise(&initialised);
    if (status != SS_OK)
        goto fail;
    link->finalize = initialised;
    MPI_Comm_rank(MPI_COMM_WORLD, &link->link.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &link->link.ranks);
    status = open_communicator(link);
    if (status != SS_OK)
        goto fail;
    status = check_same(link, allocate(link));
    if (status != SS_OK)
        goto fail;
    status = ss_mpi_node_open(link);
    if (status == SS_OK)
        status = ss_mpi_start(link);
    if (status != SS_OK)
        goto stop;
    *out = &link->link;
    return SS_OK;

stop:
    ss_mpi_stop(link);
fail:
    /* MPI stays up: leaving it is collective, and the other ranks may not have failed. */
    release(link);
    return status;
}
