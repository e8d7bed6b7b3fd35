/* mpirun -np N link_mpi: the suite over processes, with two links open at once. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "tests/contract/link_suite.h"

static struct ss_link *open_link(const struct ss_link_options *options)
{
    struct ss_link *link;
    CHECK(ss_link_open_mpi(options, &link) == SS_OK, "open");
    CHECK(strcmp(link->table->name, "mpi") == 0, "%s", link->table->name);
    return link;
}

/* The others sleep over what rank 0 posts to them (as many messages of BYTES as COUNT) and then to
 * itself: when that one comes, nothing is left to be sent. */
static void test_own_comes_last(struct ss_link *link, int count, size_t bytes)
{
    unsigned char *data = calloc(1, bytes);
    CHECK(data, "memory");
    CHECK(link->table->barrier(link) == SS_OK, "barrier");
    int from = link->rank;
    size_t found;
    if (link->rank == 0) {
        for (int n = 0; n < count; n++)
            for (int peer = 1; peer < link->ranks; peer++)
                link_post(link, peer, data, bytes);
        link_post(link, 0, data, 1);
        link_take(link, &from, data, &found);
        CHECK(from == 0 && found == 1, "%zu bytes from %d", found, from);
        CHECK(link->table->flush(link, 0) == SS_OK, "before what was posted earlier had left");
    } else {
        ss_sleep_until_ns(ss_now_ns() + 200 * SS_NS_PER_MS);
        for (int n = 0; n < count; n++)
            link_take(link, &from, data, &found);
    }
    free(data);
    CHECK(link->table->barrier(link) == SS_OK, "barrier");
}

int main(void)
{
    static const struct ss_link_options usual = {65536, 8, 64};
    static const struct ss_link_options tight = {300, 1, 0};
    static const struct ss_link_options none = {300, 0, 0};
    struct ss_link *link = 0;
    CHECK(ss_link_open_mpi(&none, &link) == SS_INVALID && !link, "no credits");
    link = open_link(&usual); /* initialises MPI */
    int rank = link->rank;

    struct ss_link *second = open_link(&tight);
    link_suite(second, &tight);
    second->table->destroy(second);

    /* Limits that differ are found by all ranks. */
    struct ss_link_options own = usual;
    own.credits += link->rank;
    if (link->ranks > 1) {
        CHECK(ss_link_open_mpi(&own, &second) == SS_INVALID, "rank %d: other credits", rank);
        CHECK(strstr(ss_status_message(), "credits") != 0, "the message says which");
    }

    link_suite(link, &usual);
    test_own_comes_last(link, 1, usual.message_bytes_max);
    test_own_comes_last(link, usual.credits + 3, 8);
    link->table->destroy(link); /* the first one finalises */
    int finalized = 0;
    MPI_Finalized(&finalized);
    CHECK(finalized, "rank %d: who initialises finalises", rank);
    if (rank == 0)
        puts("link over mpi: ok");
    return 0;
}
