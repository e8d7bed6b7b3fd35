#include "tests/contract/comm_suite.h"

#include <string.h>

#include "engine/base/clock.h"
#include "pipeline/link/agree.h"

#define EDGE_BYTES_MAX ((size_t)300 << 10)
#define EDGE_MESSAGES  60u
#define LONG_BYTES     (((size_t)10 << 20) + 13)
#define REDUCES        300u
#define NOTES          500u

/* Sums of these depend on their order: the magnitudes are far apart. */
static float element(int rank, size_t i, uint32_t seed)
{
    uint32_t x = (uint32_t)i * 2654435761u + (uint32_t)rank * 40503u + seed * 97u + 1u;
    x ^= x >> 15;
    x *= 0x2c1b3c6du;
    x ^= x >> 12;
    float scale = (x & 3u) == 0 ? 1e6f : (x & 3u) == 1 ? 1e-3f : 1.0f;
    return scale * ((float)(x >> 8) / 8388608.0f - 1.0f);
}

static void barrier(struct ss_link *link)
{
    CHECK(link->table->barrier(link) == SS_OK, "rank %d: barrier", link->rank);
}

static void check_shape(const struct ss_comm *comm, int rank, int tp, int pp)
{
    CHECK(comm->tp == tp && comm->pp == pp, "%d x %d", comm->tp, comm->pp);
    CHECK(comm->stage * tp + comm->tp_rank == rank && comm->tp_rank < tp, "stage %d, tp rank %d",
          comm->stage, comm->tp_rank);
    CHECK(comm->all_reduce_bytes_max == COMM_REDUCE_BYTES_MAX, "limit");
}

static void test_all_reduce(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    size_t count_max = COMM_REDUCE_BYTES_MAX / sizeof(float);
    static const size_t counts[] = {0, 1, 7, 1000, 1025, 40000};
    float *data = comm_memory(rank, COMM_REDUCE_BYTES_MAX);
    int first = comm->stage * comm->tp;
    for (size_t c = 0; c <= sizeof counts / sizeof counts[0]; c++) {
        size_t count = c < sizeof counts / sizeof counts[0] ? counts[c] : count_max;
        uint32_t seed = (uint32_t)c;
        for (size_t i = 0; i < count; i++)
            data[i] = element(rank->link->rank, i, seed);
        comm_put(rank);
        CHECK(comm->table->all_reduce(comm, rank->compute, comm_address(rank, data), count,
                                      SS_F32) == SS_OK,
              "all_reduce");
        comm_finish(rank, rank->compute);
        comm_get(rank);
        for (size_t i = 0; i < count; i++) {
            float sum = element(first, i, seed);
            for (int t = 1; t < comm->tp; t++)
                sum += element(first + t, i, seed);
            CHECK(memcmp(&sum, &data[i], sizeof sum) == 0,
                  "rank %d: element %zu of %zu: %a, not %a", rank->link->rank, i, count,
                  (double)data[i], (double)sum);
        }
    }
    CHECK(comm->table->all_reduce(comm, rank->compute, comm_address(rank, data), count_max + 1,
                                  SS_F32) == SS_INVALID,
          "more than was announced");
    CHECK(strstr(ss_status_message(), "limit") != 0, "the message says so");
    comm_memory_free(rank, data);
}

/* Halves: small whole numbers, whose sums are exact. */
static void test_all_reduce_16(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    uint16_t *data = comm_memory(rank, 64 * sizeof *data);
    for (int dtype = SS_F16; dtype <= SS_BF16; dtype++) {
        uint16_t one = dtype == SS_F16 ? 0x3c00 : 0x3f80;
        uint16_t two = dtype == SS_F16 ? 0x4000 : 0x4000;
        uint16_t four = dtype == SS_F16 ? 0x4400 : 0x4080;
        for (int i = 0; i < 64; i++)
            data[i] = one;
        comm_put(rank);
        CHECK(comm->table->all_reduce(comm, rank->compute, comm_address(rank, data), 64,
                                      (enum ss_dtype)dtype) == SS_OK,
              "all_reduce");
        comm_finish(rank, rank->compute);
        comm_get(rank);
        uint16_t expected = comm->tp == 1 ? one : comm->tp == 2 ? two : four;
        for (int i = 0; i < 64; i++)
            CHECK(data[i] == expected, "%04x, not %04x", data[i], expected);
    }
    comm_memory_free(rank, data);
}

/* Hundreds in the queue at once; each doubles up on the last. */
static void test_many_all_reduces(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    float *data = comm_memory(rank, 256 * sizeof *data * REDUCES);
    for (uint32_t n = 0; n < REDUCES; n++)
        for (size_t i = 0; i < 256; i++)
            data[n * 256 + i] = (float)(rank->comm->tp_rank + 1) + (float)n;
    comm_put(rank);
    for (uint32_t n = 0; n < REDUCES; n++)
        CHECK(comm->table->all_reduce(comm, rank->compute, comm_address(rank, data + n * 256), 256,
                                      SS_F32) == SS_OK,
              "all_reduce %u", n);
    comm_finish(rank, rank->compute);
    comm_get(rank);
    for (uint32_t n = 0; n < REDUCES; n++) {
        float expected = 0;
        for (int t = 0; t < comm->tp; t++)
            expected += (float)(t + 1) + (float)n;
        CHECK(data[n * 256] == expected && data[n * 256 + 255] == expected, "all_reduce %u", n);
    }
    comm_memory_free(rank, data);
}

static void test_all_gather(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    static const size_t lengths[] = {0, 1, 13, 4096, 100003};
    for (size_t c = 0; c < sizeof lengths / sizeof lengths[0]; c++) {
        size_t bytes = lengths[c];
        unsigned char *in = comm_memory(rank, bytes + 1);
        unsigned char *out = comm_memory(rank, bytes * (size_t)comm->tp + 1);
        for (size_t i = 0; i < bytes; i++)
            in[i] = (unsigned char)(i * 3 + (size_t)rank->link->rank);
        comm_put(rank);
        CHECK(comm->table->all_gather(comm, rank->compute, comm_address(rank, in),
                                      comm_address(rank, out), bytes) == SS_OK,
              "all_gather");
        comm_finish(rank, rank->compute);
        comm_get(rank);
        for (int t = 0; t < comm->tp; t++)
            for (size_t i = 0; i < bytes; i++)
                CHECK(out[(size_t)t * bytes + i] ==
                          (unsigned char)(i * 3 + (size_t)(comm->stage * comm->tp + t)),
                      "part %d, byte %zu", t, i);
        comm_memory_free(rank, in);
        comm_memory_free(rank, out);
    }
}

static size_t edge_length(uint32_t n)
{
    return n % 4 == 0 ? EDGE_BYTES_MAX - n : n % 4 == 1 ? 4 : (size_t)n * 173;
}

static unsigned char edge_byte(int sender, uint32_t n, size_t i)
{
    return (unsigned char)(i * 7 + n * 11 + (uint32_t)sender * 101);
}

/* Every edge carries messages, short and long, in both directions where there are two stages, while
 * the compute stream sums and the link's thread passes notes around. */
static void test_edges(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    int me = rank->link->rank;
    int previous = (comm->stage + comm->pp - 1) % comm->pp * comm->tp + comm->tp_rank;
    unsigned char *out = comm_memory(rank, EDGE_MESSAGES * EDGE_BYTES_MAX);
    unsigned char *in = comm_memory(rank, EDGE_MESSAGES * EDGE_BYTES_MAX);
    float *sums = comm_memory(rank, EDGE_MESSAGES * sizeof *sums);
    for (uint32_t n = 0; n < EDGE_MESSAGES; n++) {
        sums[n] = 1.0f;
        for (size_t i = 0; i < edge_length(n); i++)
            out[n * EDGE_BYTES_MAX + i] = edge_byte(me, n, i);
    }
    comm_put(rank);
    for (uint32_t n = 0; n < EDGE_MESSAGES; n++) {
        CHECK(comm->table->receive_previous(comm, rank->in,
                                            comm_address(rank, in + n * EDGE_BYTES_MAX),
                                            edge_length(n)) == SS_OK,
              "receive %u", n);
        CHECK(comm->table->send_next(comm, rank->out, comm_address(rank, out + n * EDGE_BYTES_MAX),
                                     edge_length(n)) == SS_OK,
              "send %u", n);
        CHECK(comm->table->all_reduce(comm, rank->compute, comm_address(rank, &sums[n]), 1,
                                      SS_F32) == SS_OK,
              "all_reduce %u", n);
    }
    int neighbour = (me + 1) % rank->link->ranks;
    for (uint32_t n = 0; n < NOTES; n++) {
        unsigned char buffer[256];
        int from;
        size_t bytes;
        link_post(rank->link, neighbour, &n, sizeof n);
        link_take(rank->link, &from, buffer, &bytes);
        CHECK(bytes == sizeof n && memcmp(buffer, &n, sizeof n) == 0, "note %u", n);
    }
    CHECK(rank->link->table->flush(rank->link, 20 * SS_NS_PER_S) == SS_OK, "flush");
    comm_finish(rank, rank->out);
    comm_finish(rank, rank->in);
    comm_finish(rank, rank->compute);
    comm_get(rank);
    for (uint32_t n = 0; n < EDGE_MESSAGES; n++) {
        CHECK(sums[n] == (float)comm->tp, "sum %u", n);
        for (size_t i = 0; i < edge_length(n); i++)
            CHECK(in[n * EDGE_BYTES_MAX + i] == edge_byte(previous, n, i),
                  "rank %d: message %u, byte %zu", me, n, i);
    }
    comm_memory_free(rank, sums);
    comm_memory_free(rank, out);
    comm_memory_free(rank, in);
}

/* A message longer than what a comm may move in one go, and one behind it. */
static void test_long_edge(struct comm_rank *rank)
{
    static const size_t lengths[] = {LONG_BYTES, 100};
    struct ss_comm *comm = rank->comm;
    int me = rank->link->rank;
    int previous = (comm->stage + comm->pp - 1) % comm->pp * comm->tp + comm->tp_rank;
    unsigned char *out = comm_memory(rank, LONG_BYTES + 100);
    unsigned char *in = comm_memory(rank, LONG_BYTES + 100);
    for (size_t i = 0; i < LONG_BYTES + 100; i++)
        out[i] = edge_byte(me, 0, i);
    comm_put(rank);
    for (size_t n = 0, at = 0; n < 2; at += lengths[n++]) {
        CHECK(comm->table->receive_previous(comm, rank->in, comm_address(rank, in + at),
                                            lengths[n]) == SS_OK,
              "receive %zu", n);
        CHECK(comm->table->send_next(comm, rank->out, comm_address(rank, out + at), lengths[n]) ==
                  SS_OK,
              "send %zu", n);
    }
    comm_finish(rank, rank->out);
    comm_finish(rank, rank->in);
    comm_get(rank);
    for (size_t i = 0; i < LONG_BYTES + 100; i++)
        CHECK(in[i] == edge_byte(previous, 0, i), "rank %d: byte %zu of long messages", me, i);
    comm_memory_free(rank, out);
    comm_memory_free(rank, in);
}

/* A lone stage may send to itself and receive on one stream; NCCL's has no edge, and says so. */
static void test_self_edge(struct comm_rank *rank)
{
    struct ss_comm *comm = rank->comm;
    if (comm->pp > 1)
        return;
    uint32_t *data = comm_memory(rank, 4 * sizeof *data);
    for (uint32_t n = 0; n < 3; n++)
        data[n] = n + 100;
    comm_put(rank);
    if (strcmp(comm->table->name, "nccl") == 0) {
        CHECK(comm->table->send_next(comm, rank->out, comm_address(rank, data), 4) ==
                  SS_UNSUPPORTED,
              "send");
        CHECK(comm->table->receive_previous(comm, rank->out, comm_address(rank, data), 4) ==
                  SS_UNSUPPORTED,
              "receive");
        comm_memory_free(rank, data);
        return;
    }
    for (uint32_t n = 0; n < 3; n++)
        CHECK(comm->table->send_next(comm, rank->out, comm_address(rank, &data[n]), 4) == SS_OK,
              "send");
    for (uint32_t n = 0; n < 3; n++) {
        CHECK(comm->table->receive_previous(comm, rank->out, comm_address(rank, &data[3]), 4) ==
                  SS_OK,
              "receive");
        comm_finish(rank, rank->out);
        comm_get(rank);
        CHECK(data[3] == n + 100, "message %u", n);
    }
    comm_memory_free(rank, data);
}

static void test_refusals(struct comm_rank *rank, int tp, int pp)
{
    struct ss_comm *comm = 0;
    CHECK(ss_comm_create(rank->link, rank->device, tp + 1, pp, 16, SS_NS_PER_S, &comm) ==
                  SS_INVALID &&
              !comm,
          "a layout that does not fit");
    CHECK(strstr(ss_status_message(), "ranks") != 0, "the message says why");
    CHECK(ss_comm_create(rank->link, rank->device, tp, 0, 16, SS_NS_PER_S, &comm) == SS_INVALID,
          "no stage");
}

void comm_suite(struct ss_link *link, const char *device, int tp, int pp)
{
    struct comm_rank rank;
    comm_rank_open(&rank, link, device, tp, pp, 30 * SS_NS_PER_S);
    check_shape(rank.comm, link->rank, tp, pp);
    CHECK(ss_link_place(link) == link->rank, "all ranks are on one node");
    test_refusals(&rank, tp, pp);
    test_all_reduce(&rank);
    test_all_reduce_16(&rank);
    test_many_all_reduces(&rank);
    test_all_gather(&rank);
    if (pp > 1 || strcmp(device, "cpu") == 0) {
        test_edges(&rank);
        test_long_edge(&rank);
    }
    test_self_edge(&rank);
    barrier(link);
    comm_rank_close(&rank);
    barrier(link);
}

void comm_suite_layouts(struct ss_link *link, const char *device)
{
    static const int layouts[][2] = {{1, 1}, {2, 1}, {4, 1}, {1, 2}, {1, 4}, {2, 2}};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        int tp = layouts[i][0];
        int pp = layouts[i][1];
        if (tp * pp != link->ranks)
            continue;
        comm_suite(link, device, tp, pp);
        comm_suite_lost(link, device, tp, pp);
        if (link->rank == 0)
            printf("comm %s, %s (%d, %d): ok\n", link->table->name, device, tp, pp);
    }
}
