/* Peers that do not come: what waits for them fails after the comm's time, and names them. */
#include <string.h>

#include "engine/base/clock.h"
#include "tests/contract/comm_suite.h"

/* Forming NCCL's communicators has to fit into it too. */
#define TIMEOUT_NS(device) ((strcmp(device, "cuda") == 0 ? 2000 : 500) * SS_NS_PER_MS)
#define PROMPT_NS          (5 * SS_NS_PER_S)

static void barrier(struct ss_link *link)
{
    CHECK(link->table->barrier(link) == SS_OK, "rank %d: barrier", link->rank);
}

/* Waits for the failure of what was queued on STREAM; its message must hold NAME. */
static void expect_lost(struct comm_rank *rank, struct ss_stream *stream, const char *name)
{
    const struct ss_device_ops *ops = rank->device->ops;
    uint64_t start_ns = ss_now_ns();
    enum ss_status status = SS_OK;
    CHECK(ops->signal(stream, rank->timeline, ++rank->value) == SS_OK, "signal");
    while (ops->timeline_value(rank->timeline) < rank->value) {
        CHECK(ss_now_ns() - start_ns < PROMPT_NS, "rank %d: it hangs", rank->link->rank);
        ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_MS);
    }
    status = ops->health(rank->device);
    CHECK(status == SS_PEER_LOST, "rank %d: %s", rank->link->rank, ss_status_name(status));
    CHECK(strstr(ss_status_message(), name) != 0, "the message names %s", name);
}

/* The last rank of each set stays away from a collective. */
static void test_collective(struct ss_link *link, const char *device, int tp, int pp)
{
    struct comm_rank rank;
    comm_rank_open(&rank, link, device, tp, pp, TIMEOUT_NS(device));
    struct ss_comm *comm = rank.comm;
    char name[32];
    float *data = comm_memory(&rank, 64 << 10);
    void *gathered = comm_memory(&rank, 64 * (size_t)tp);
    comm_put(&rank);
    if (comm->tp_rank != tp - 1) {
        CHECK(comm->table->all_reduce(comm, rank.compute, comm_address(&rank, data), 16 << 10,
                                      SS_F32) == SS_OK,
              "all_reduce");
        CHECK(comm->table->all_gather(comm, rank.compute, comm_address(&rank, data),
                                      comm_address(&rank, gathered), 64) == SS_OK,
              "all_gather");
        /* NCCL does not say who is missing. */
        if (strcmp(comm->table->name, "nccl") == 0)
            snprintf(name, sizeof name, "set of stage %d,", comm->stage);
        else
            snprintf(name, sizeof name, "for rank %d,", comm->stage * tp + tp - 1);
        expect_lost(&rank, rank.compute, name);
    }
    barrier(link);
    comm_rank_close(&rank);
    barrier(link);
}

/* The same in a recording, which stays: whoever calls next is told at once. */
static void test_recorded(struct ss_link *link, const char *device, int tp, int pp)
{
    struct comm_rank rank;
    struct ss_recording *recording = 0;
    comm_rank_open(&rank, link, device, tp, pp, TIMEOUT_NS(device));
    struct ss_comm *comm = rank.comm;
    const struct ss_device_ops *ops = rank.device->ops;
    void *data = comm_memory(&rank, 64), *gathered = comm_memory(&rank, 64 * (size_t)tp);
    ss_device_address in = comm_address(&rank, data), out = comm_address(&rank, gathered);
    comm_put(&rank);
    CHECK(ops->record_begin(rank.compute) == SS_OK, "record");
    CHECK(comm->table->all_gather(comm, rank.compute, in, out, 64) == SS_OK, "all_gather");
    CHECK(ops->record_end(rank.compute, &recording) == SS_OK, "record");
    for (int i = 0; i < 2; i++) {
        if (i == 1 && comm->tp_rank == tp - 1)
            break;
        CHECK(ops->play(rank.compute, recording) == SS_OK, "play");
        if (comm->table->end_pass)
            CHECK(comm->table->end_pass(comm, rank.compute) == SS_OK, "end of the pass");
        if (i == 0)
            comm_finish(&rank, rank.compute);
    }
    if (comm->tp_rank != tp - 1) {
        bool nccl = strcmp(comm->table->name, "nccl") == 0;
        expect_lost(&rank, rank.compute, "rank ");
        uint64_t start_ns = ss_now_ns();
        enum ss_status status = comm->table->all_gather(comm, rank.compute, in, out, 64);
        CHECK(ss_now_ns() - start_ns < PROMPT_NS, "the next call hangs");
        CHECK(!nccl || status == SS_PEER_LOST, "the next call: %s", ss_status_name(status));
    }
    barrier(link);
    ops->recording_destroy(rank.device, recording);
    comm_rank_close(&rank);
    barrier(link);
}

/* Nobody sends. */
static void test_receive(struct ss_link *link, const char *device, int tp, int pp)
{
    struct comm_rank rank;
    comm_rank_open(&rank, link, device, tp, pp, TIMEOUT_NS(device));
    struct ss_comm *comm = rank.comm;
    char name[32];
    int previous = (comm->stage + pp - 1) % pp * tp + comm->tp_rank;
    void *data = comm_memory(&rank, 64 << 10);
    CHECK(comm->table->receive_previous(comm, rank.in, comm_address(&rank, data), 64 << 10) ==
              SS_OK,
          "receive");
    snprintf(name, sizeof name, "rank %d", previous);
    expect_lost(&rank, rank.in, name);
    barrier(link);
    comm_rank_close(&rank);
    barrier(link);
}

/* Longer than any comm sends ahead. */
#define LONG_BYTES ((size_t)24 << 20)

/* Nobody takes a message. */
static void test_send(struct ss_link *link, const char *device, int tp, int pp)
{
    struct comm_rank rank;
    comm_rank_open(&rank, link, device, tp, pp, TIMEOUT_NS(device));
    struct ss_comm *comm = rank.comm;
    char name[32];
    int next = (comm->stage + 1) % pp * tp + comm->tp_rank;
    void *data = comm_memory(&rank, LONG_BYTES);
    CHECK(comm->table->send_next(comm, rank.out, comm_address(&rank, data), LONG_BYTES) == SS_OK,
          "send");
    snprintf(name, sizeof name, "rank %d", next);
    expect_lost(&rank, rank.out, name);
    barrier(link);
    comm_rank_close(&rank);
    barrier(link);
}

void comm_suite_lost(struct ss_link *link, const char *device, int tp, int pp)
{
    if (tp > 1)
        test_collective(link, device, tp, pp);
    if (tp > 1)
        test_recorded(link, device, tp, pp);
    if (pp > 1 || strcmp(device, "cpu") == 0)
        test_receive(link, device, tp, pp);
    if (pp > 1) /* the edge of a stage to itself copies */
        test_send(link, device, tp, pp);
}
