/* mpirun -np N link_timing [SECONDS]: what links and comms cost; fails when a job at rest uses 5%
 * of a core or more.
 *
 * The processor time is that of all ranks, with Open MPI's own threads, over SECONDS (3) at rest.
 * Delays are from before the post to after the receive; both ranks read the same clock. */
#include <string.h>
#include <sys/resource.h>

#include "engine/base/clock.h"
#include "tests/contract/comm_suite.h"

#define MESSAGE_BYTES 256
#define KNOCKS        60u
#define PINGS         2000u
#define STREAM        50000u
#define REDUCES       200u
#define REST_SHARE    0.05

static const struct ss_link_options options = {4096, 16, 256};

static void barrier(struct ss_link *link)
{
    CHECK(link->table->barrier(link) == SS_OK, "rank %d: barrier", link->rank);
}

static double processor_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_delays(const char *what, double *delays_us, size_t count)
{
    qsort(delays_us, count, sizeof *delays_us, compare);
    printf("%-44s median %8.1f us, p90 %8.1f us, max %8.1f us\n", what, delays_us[count / 2],
           delays_us[count * 9 / 10], delays_us[count - 1]);
}

static void rest(struct ss_link *link, double seconds)
{
    double *all = calloc((size_t)link->ranks, sizeof *all);
    CHECK(all, "memory");
    barrier(link);
    uint64_t end_ns = ss_now_ns() + (uint64_t)(seconds * 1e9);
    double used_s = -processor_s();
    while (ss_now_ns() < end_ns)
        link->table->wait(link, end_ns);
    used_s += processor_s();
    CHECK(link->table->all_gather(link, &used_s, sizeof used_s, all) == SS_OK, "gather");
    used_s = 0;
    for (int rank = 0; rank < link->ranks; rank++)
        used_s += all[rank];
    if (link->rank == 0)
        printf("at rest: %d ranks used %.4f s of processor time in %.1f s, %.2f%% of a core\n",
               link->ranks, used_s, seconds, 100 * used_s / seconds);
    CHECK(used_s < REST_SHARE * seconds, "too busy at rest");
    free(all);
}

/* Rank 0 writes to the last rank, every 5 ms: the receiver sleeps. */
static void knock(struct ss_link *link)
{
    double delays_us[KNOCKS];
    unsigned char buffer[4096] = {0};
    for (uint32_t n = 0; n < KNOCKS; n++) {
        if (link->rank == 0) {
            ss_sleep_until_ns(ss_now_ns() + 5 * SS_NS_PER_MS);
            uint64_t now_ns = ss_now_ns();
            memcpy(buffer, &now_ns, sizeof now_ns);
            link_post(link, link->ranks - 1, buffer, MESSAGE_BYTES);
            CHECK(link->table->flush(link, SS_NS_PER_S) == SS_OK, "flush");
        }
        if (link->rank == link->ranks - 1) {
            int from;
            size_t bytes;
            uint64_t then_ns;
            link_take(link, &from, buffer, &bytes);
            memcpy(&then_ns, buffer, sizeof then_ns);
            delays_us[n] = (double)(ss_now_ns() - then_ns) * 1e-3;
        }
    }
    if (link->rank == link->ranks - 1)
        print_delays("256 bytes to a sleeping rank, one way:", delays_us, KNOCKS);
    fflush(stdout);
    barrier(link);
}

/* There and back between rank 0 and the last one; half of it is one way. */
static void ping(struct ss_link *link)
{
    double *delays_us = calloc(PINGS, sizeof *delays_us);
    unsigned char buffer[4096] = {0};
    int other = link->rank == 0 ? link->ranks - 1 : 0;
    int from;
    size_t bytes;
    CHECK(delays_us, "memory");
    for (uint32_t n = 0; n < PINGS && link->rank == 0; n++) {
        uint64_t start_ns = ss_now_ns();
        link_post(link, other, buffer, MESSAGE_BYTES);
        link_take(link, &from, buffer, &bytes);
        delays_us[n] = (double)(ss_now_ns() - start_ns) * 0.5e-3;
    }
    for (uint32_t n = 0; n < PINGS && link->rank == link->ranks - 1 && other == 0; n++) {
        link_take(link, &from, buffer, &bytes);
        link_post(link, other, buffer, MESSAGE_BYTES);
    }
    if (link->rank == 0)
        print_delays("256 bytes back and forth, one way:", delays_us, PINGS);
    CHECK(link->table->flush(link, SS_NS_PER_S) == SS_OK, "flush");
    free(delays_us);
    barrier(link);
}

/* As fast as the credits allow. */
static void stream(struct ss_link *link)
{
    unsigned char buffer[4096] = {0};
    uint64_t start_ns = ss_now_ns();
    double used_s = -processor_s();
    for (uint32_t n = 0; n < STREAM && link->rank == 0; n++)
        link_post(link, link->ranks - 1, buffer, MESSAGE_BYTES);
    for (uint32_t n = 0; n < STREAM && link->rank == link->ranks - 1; n++) {
        int from;
        size_t bytes;
        link_take(link, &from, buffer, &bytes);
    }
    CHECK(link->table->flush(link, SS_NS_PER_S) == SS_OK, "flush");
    used_s += processor_s();
    if (link->rank == link->ranks - 1)
        printf("256 bytes in a stream: %.2f us a message, %.2f us of the receiver's processor\n",
               (double)(ss_now_ns() - start_ns) * 1e-3 / STREAM, used_s * 1e6 / STREAM);
    fflush(stdout);
    barrier(link);
}

static void reduces(struct ss_link *link)
{
    static const size_t counts[] = {256, 4096, 65536, 262144};
    struct comm_rank rank;
    comm_rank_open(&rank, link, "cpu", link->ranks, 1, 30 * SS_NS_PER_S);
    float *data = comm_memory(&rank, COMM_REDUCE_BYTES_MAX);
    comm_put(&rank);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        barrier(link);
        uint64_t start_ns = ss_now_ns();
        for (uint32_t n = 0; n < REDUCES; n++)
            CHECK(rank.comm->table->all_reduce(rank.comm, rank.compute, comm_address(&rank, data),
                                               counts[c], SS_F32) == SS_OK,
                  "all_reduce");
        comm_finish(&rank, rank.compute);
        if (link->rank == 0)
            printf("all_reduce of %7zu bytes over %d ranks: %8.1f us\n", counts[c] * sizeof *data,
                   link->ranks, (double)(ss_now_ns() - start_ns) * 1e-3 / REDUCES);
    }
    comm_memory_free(&rank, data);
    barrier(link);
    comm_rank_close(&rank);
}

int main(int argc, char **argv)
{
    struct ss_link *link;
    double seconds = argc > 1 ? strtod(argv[1], 0) : 3.0;
    CHECK(ss_link_open_mpi(&options, &link) == SS_OK, "open");
    rest(link, seconds);
    if (link->ranks > 1) {
        knock(link);
        ping(link);
        stream(link);
        reduces(link);
        rest(link, seconds); /* and again after work */
    }
    link->table->destroy(link);
    return 0;
}
