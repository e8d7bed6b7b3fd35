/* mpirun -np N comm_mpi [DEVICE]: the comm suite over processes, in every layout of N ranks, on cpu
 * or, with a GPU for each rank, cuda. */
#include <stdio.h>
#include <string.h>

#include "tests/contract/comm_suite.h"

int main(int argc, char **argv)
{
    static const struct ss_link_options usual = {4096, 8, 64};
    struct ss_link *link;
    CHECK(ss_link_open_mpi(&usual, &link) == SS_OK, "open");
    comm_suite_layouts(link, argc > 1 ? argv[1] : "cpu");
    link->table->destroy(link);
    return 0;
}
