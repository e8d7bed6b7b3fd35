/* The suite over threads, and what only this transport can show: faults and ranks that leave. */
#include <stdio.h>
#include <string.h>

#include "engine/base/fault.h"
#include "tests/contract/link_suite.h"

static const struct ss_link_options usual = {65536, 8, 64};
static const struct ss_link_options tight = {300, 1, 0};

/* Every allocation of an open fails once; nothing leaks and nothing is half open. */
static void test_open_faults(void)
{
    struct ss_link *links[3] = {0};
    struct ss_link_options none = {100, 0, 1};
    CHECK(ss_link_open_inproc(&none, 3, links) == SS_INVALID, "no credits");
    CHECK(strstr(ss_status_message(), "credits") != 0, "the message says which");
    ss_fault_arm(SS_FAULT_LINK, 1);
    CHECK(ss_link_open_inproc(&usual, 3, links) == SS_IO && !links[0], "planted fault");
    ss_fault_arm(SS_FAULT_LINK, 0);
    int failures = 0;
    for (uint64_t nth = 1;; nth++) {
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = ss_link_open_inproc(&usual, 3, links);
        ss_fault_arm(SS_FAULT_ALLOC, 0);
        if (status == SS_OK)
            break;
        CHECK(status == SS_NO_MEMORY && !links[0], "allocation %llu", (unsigned long long)nth);
        failures++;
    }
    CHECK(failures == 6, "%d allocations failed", failures);
    for (int rank = 0; rank < 3; rank++)
        links[rank]->table->destroy(links[rank]);
}

static void test_post_and_receive_faults(void)
{
    struct ss_link *links[2];
    char buffer[300];
    int from;
    size_t bytes;
    CHECK(ss_link_open_inproc(&tight, 2, links) == SS_OK, "open");
    ss_fault_arm(SS_FAULT_LINK, 1);
    CHECK(links[0]->table->post(links[0], 1, "a", 1) == SS_PEER_LOST, "planted fault");
    CHECK(links[1]->table->receive(links[1], &from, buffer, &bytes) == SS_EMPTY, "not sent");
    CHECK(links[0]->table->post(links[0], 1, "b", 1) == SS_OK, "the next one");
    ss_fault_arm(SS_FAULT_LINK, 1);
    CHECK(links[1]->table->receive(links[1], &from, buffer, &bytes) == SS_PEER_LOST, "planted");
    CHECK(links[1]->table->receive(links[1], &from, buffer, &bytes) == SS_OK && from == 0 &&
              bytes == 1 && buffer[0] == 'b',
          "a failed receive loses nothing");
    ss_fault_arm(SS_FAULT_LINK, 0);
    links[0]->table->destroy(links[0]);
    links[1]->table->destroy(links[1]);
}

/* Rank 2 leaves; the others learn it from whatever they do with it. */
static void leave(struct ss_link *link, const struct ss_link_options *options)
{
    (void)options;
    CHECK(link->table->barrier(link) == SS_OK, "barrier");
    if (link->rank == 2)
        return;
    CHECK(link->table->barrier(link) == SS_PEER_LOST, "rank %d: a barrier of two of three",
          link->rank);
    CHECK(link->table->post(link, 2, "x", 1) == SS_PEER_LOST, "rank %d: post", link->rank);
    CHECK(link->table->post(link, 1 - link->rank, "y", 1) == SS_OK, "rank %d: post", link->rank);
    char buffer[300];
    int from;
    size_t bytes;
    link_take(link, &from, buffer, &bytes);
    CHECK(from == 1 - link->rank && bytes == 1 && buffer[0] == 'y', "the two go on");
    CHECK(link->table->barrier(link) == SS_PEER_LOST, "rank %d: still lost", link->rank);
}

int main(void)
{
    test_open_faults();
    test_post_and_receive_faults();
    link_run_threads(&tight, 3, leave);
    for (int ranks = 1; ranks <= 4; ranks *= 2)
        link_run_threads(&usual, ranks, link_suite);
    link_run_threads(&tight, 4, link_suite);
    puts("link over inproc: ok");
    return 0;
}
