/* mpirun -np N link_mpi: the suite over processes, with two links open at once. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "tests/contract/link_suite.h"

static struct ss_link *open_link(const struct ss_link_options *options)
{
    struct ss_link *link;
    CHECK(ss_link_open_mpi(options, &link) == SS_OK, "open");
    CHECK(strcmp(link->table->name, "mpi") == 0, "%s", link->table->name);
    return link;
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
    link->table->destroy(link); /* the first one finalises */
    int finalized = 0;
    MPI_Finalized(&finalized);
    CHECK(finalized, "rank %d: who initialises finalises", rank);
    if (rank == 0)
        puts("link over mpi: ok");
    return 0;
}
