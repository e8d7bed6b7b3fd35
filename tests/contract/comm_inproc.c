/* The comm suite over threads, in six layouts. */
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "tests/contract/comm_suite.h"

static const struct ss_link_options usual = {4096, 8, 64};

/* Any rank's any allocation fails once: all ranks learn it, and none keeps anything. */
static void create_with_faults(struct ss_link *link, const struct ss_link_options *options)
{
    static const struct ss_device_options device_options = {.kind = "cpu", .memory_bytes = 1 << 20};
    struct ss_device *device;
    struct ss_comm *comm = 0;
    (void)options;
    CHECK(ss_device_create(&device_options, &device) == SS_OK, "device");
    int failures = 0;
    CHECK(link->table->barrier(link) == SS_OK, "barrier"); /* faults count over all threads */
    for (uint64_t nth = 1; !comm; nth++) {
        if (link->rank == 0)
            ss_fault_arm(SS_FAULT_ALLOC, nth);
        CHECK(link->table->barrier(link) == SS_OK, "barrier");
        enum ss_status status = ss_comm_create(link, device, 2, 2, 4096, SS_NS_PER_S, &comm);
        CHECK(status == SS_OK || status == SS_NO_MEMORY || status == SS_PEER_LOST,
              "rank %d, allocation %llu: %s", link->rank, (unsigned long long)nth,
              ss_status_name(status));
        CHECK((status == SS_OK) == (comm != 0), "out is set on success only");
        failures += status != SS_OK;
        CHECK(link->table->barrier(link) == SS_OK, "barrier");
    }
    CHECK(failures > 10, "only %d allocations failed", failures);
    if (link->rank == 0)
        ss_fault_arm(SS_FAULT_ALLOC, 0);
    comm->table->destroy(comm);
    device->ops->destroy(device);
}

static void suite(struct ss_link *link, const struct ss_link_options *options)
{
    (void)options;
    comm_suite_layouts(link, "cpu");
}

int main(void)
{
    link_run_threads(&usual, 4, create_with_faults);
    for (int ranks = 1; ranks <= 4; ranks *= 2)
        link_run_threads(&usual, ranks, suite);
    return 0;
}
