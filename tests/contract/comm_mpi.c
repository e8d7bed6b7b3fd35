/* mpirun -np N comm_mpi: the comm suite over processes, in every layout of N ranks. */
#include <stdio.h>
#include <string.h>

#include "tests/contract/comm_suite.h"

int main(void)
{
    static const struct ss_link_options usual = {4096, 8, 64};
    struct ss_link *link;
    CHECK(ss_link_open_mpi(&usual, &link) == SS_OK, "open");
    comm_suite_layouts(link, &usual);
    link->table->destroy(link);
    return 0;
}
