/* The hidden share of loads, on timelines whose answers are known. */
#include "engine/serve/hiding.h"

#include <criterion/criterion.h>

#include "engine/base/clock.h"

static struct ss_hiding *create(int ranks)
{
    struct ss_hiding *hiding;
    cr_assert_eq(ss_hiding_create(ranks, &hiding), SS_OK);
    return hiding;
}

/* The totals are these; destroys HIDING. */
static void check(struct ss_hiding *hiding, uint64_t load, uint64_t hidden)
{
    uint64_t load_ns = 7, hidden_ns = 7;
    ss_hiding_totals(hiding, &load_ns, &hidden_ns);
    cr_assert_eq(load_ns, load, "load %llu, not %llu", (unsigned long long)load_ns,
                 (unsigned long long)load);
    cr_assert_eq(hidden_ns, hidden, "hidden %llu, not %llu", (unsigned long long)hidden_ns,
                 (unsigned long long)hidden);
    ss_hiding_destroy(hiding);
}

Test(serve_hiding, nothing_happened)
{
    check(create(4), 0, 0);
}

Test(serve_hiding, work_inside_a_load)
{
    struct ss_hiding *hiding = create(1);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 0, 1200, 1700, 0);
    ss_hiding_load_ended(hiding, 1, 2000);
    check(hiding, 1000, 500);
}

Test(serve_hiding, only_the_overlap_counts)
{
    struct ss_hiding *hiding = create(1);
    ss_hiding_busy(hiding, 0, 500, 900, 0); /* before */
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 0, 900, 1100, 0); /* 100 of it inside */
    ss_hiding_load_ended(hiding, 1, 2000);
    ss_hiding_busy(hiding, 0, 1950, 2500, 0); /* 50, reported after the load's end */
    ss_hiding_busy(hiding, 0, 2500, 2600, 0);
    check(hiding, 1000, 150);
}

Test(serve_hiding, work_all_along_hides_it_all)
{
    struct ss_hiding *hiding = create(2);
    ss_hiding_load_sent(hiding, 1, 1000);
    for (int rank = 0; rank < 2; rank++)
        ss_hiding_busy(hiding, rank, 0, 5000, 0);
    ss_hiding_load_ended(hiding, 1, 1500);
    ss_hiding_load_ended(hiding, 1, 2000);
    check(hiding, 1000, 1000);
}

Test(serve_hiding, waits_are_not_work)
{
    struct ss_hiding *hiding = create(1);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 0, 1100, 1900, 600);
    ss_hiding_load_ended(hiding, 1, 2000);
    check(hiding, 1000, 200);
    /* A wait longer than what lies inside takes no more than that. */
    hiding = create(1);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 0, 1900, 3000, 1050);
    ss_hiding_load_ended(hiding, 1, 2000);
    check(hiding, 1000, 0);
}

Test(serve_hiding, the_worst_rank_counts)
{
    struct ss_hiding *hiding = create(3);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 0, 1000, 2000, 0);
    ss_hiding_busy(hiding, 1, 1000, 1300, 0);
    ss_hiding_busy(hiding, 2, 1500, 2000, 0);
    for (uint64_t rank = 0; rank < 3; rank++)
        ss_hiding_load_ended(hiding, 1, 1800 + 100 * rank);
    check(hiding, 1000, 300);
    /* One that did nothing hides nothing. */
    hiding = create(2);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_busy(hiding, 1, 1000, 2000, 0);
    ss_hiding_load_ended(hiding, 1, 2000);
    ss_hiding_load_ended(hiding, 1, 1500);
    check(hiding, 1000, 0);
}

Test(serve_hiding, a_load_counts_when_all_ranks_ended_it)
{
    struct ss_hiding *hiding = create(2);
    ss_hiding_load_sent(hiding, 4, 1000);
    ss_hiding_load_ended(hiding, 4, 1500);
    ss_hiding_load_ended(hiding, 9, 9999); /* of no load known */
    uint64_t load, hidden;
    ss_hiding_totals(hiding, &load, &hidden);
    cr_assert_eq(load, 0);
    ss_hiding_load_ended(hiding, 4, 1400);
    check(hiding, 500, 0);
}

Test(serve_hiding, one_batch_beside_two_loads)
{
    struct ss_hiding *hiding = create(1);
    ss_hiding_load_sent(hiding, 1, 1000);
    ss_hiding_load_sent(hiding, 2, 1500);
    ss_hiding_busy(hiding, 0, 1400, 2200, 0);
    ss_hiding_load_ended(hiding, 1, 2000); /* 600 of 1000 */
    ss_hiding_load_ended(hiding, 2, 2500); /* 700 of 1000 */
    check(hiding, 2000, 1300);
}

Test(serve_hiding, more_batches_than_are_remembered)
{
    struct ss_hiding *hiding = create(2);
    ss_hiding_busy(hiding, 0, 0, 900, 0);
    ss_hiding_load_sent(hiding, 1, 1000);
    for (uint64_t i = 0; i < 5000; i++)
        for (int rank = 0; rank < 2; rank++)
            ss_hiding_busy(hiding, rank, 1000 + 10 * i, 1007 + 10 * i, rank ? 1 : 2);
    ss_hiding_load_ended(hiding, 1, 51000);
    ss_hiding_load_ended(hiding, 1, 51000);
    /* Rank 0 worked 5 of every 10. */
    uint64_t load, hidden;
    ss_hiding_totals(hiding, &load, &hidden);
    cr_assert(load == 50000 && hidden == 25000, "%llu", (unsigned long long)hidden);
    /* Later batches change nothing of a load that is over. */
    for (uint64_t i = 0; i < 3000; i++)
        for (int rank = 0; rank < 2; rank++)
            ss_hiding_busy(hiding, rank, 51000 + 10 * i, 51010 + 10 * i, 0);
    check(hiding, 50000, 25000);
}

Test(serve_hiding, more_loads_than_are_remembered)
{
    struct ss_hiding *hiding = create(1);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t at = 1000 * (i + 1);
        ss_hiding_load_sent(hiding, i + 1, at);
        ss_hiding_busy(hiding, 0, at + 10, at + 40, 0);
        ss_hiding_load_ended(hiding, i + 1, at + 100);
    }
    check(hiding, 100000, 30000);
}

Test(serve_hiding, loads_that_never_end_are_forgotten)
{
    struct ss_hiding *hiding = create(1);
    for (uint64_t i = 0; i < 600; i++)
        ss_hiding_load_sent(hiding, i + 1, 1000 + i);
    ss_hiding_load_ended(hiding, 1, 5000); /* left the ring */
    ss_hiding_load_ended(hiding, 600, 5000);
    check(hiding, 5000 - 1599, 0);
}

Test(serve_hiding, busy_share_of_the_last_seconds)
{
    struct ss_hiding *hiding = create(2);
    const uint64_t s = SS_NS_PER_S;
    cr_assert_eq(ss_hiding_busy_share(hiding, 0, 0), 0);
    ss_hiding_busy(hiding, 1, s, 2 * s, 0);
    cr_assert_float_eq(ss_hiding_busy_share(hiding, 1, 2 * s), 0.5, 1e-9);
    cr_assert_eq(ss_hiding_busy_share(hiding, 0, 2 * s), 0);
    ss_hiding_busy(hiding, 1, 18 * s, 20 * s, s / 2);
    cr_assert_float_eq(ss_hiding_busy_share(hiding, 1, 20 * s), 0.3, 1e-9);
    cr_assert_eq(ss_hiding_busy_share(hiding, 1, 100 * s), 0);
    ss_hiding_destroy(hiding);
}
