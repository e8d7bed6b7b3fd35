/* Links, lanes and compute of simulated ranks, by their times. A chunk has 64 MB. */
#include <criterion/criterion.h>

#include "tests/unit/sim_bench.h"

#define END 1000000000ull

static struct bench bench; /* each test has a process of its own */

static void close_ranks(void)
{
    bench_close(&bench);
}

TestSuite(sim_ranks, .fini = close_ranks);

static void open_ranks(int tp, int pp)
{
    bench_set(&bench, tp, pp);
    bench_open(&bench);
}

/* Model 0 to its end. */
static uint64_t load_all(void)
{
    uint64_t number = bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, END);
    return number;
}

static uint64_t near(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* RANK's first report of KIND about entry NUMBER comes at AT_NS, WITHIN_NS. */
static void comes(enum ss_report_kind kind, uint64_t number, uint32_t rank, uint64_t at_ns,
                  uint64_t within_ns)
{
    uint64_t when_ns = bench_when(&bench, kind, number, rank);
    cr_assert_leq(near(when_ns, at_ns), within_ns, "rank %u, entry %d: %d ns, expected %d", rank,
                  (int)number, (int)when_ns, (int)at_ns);
}

Test(sim_ranks, one_link_alone_has_its_own_rate)
{
    open_ranks(1, 1);
    uint64_t load = load_all();
    comes(SS_REPORT_CHUNKS, load, 0, 1280000, 1);
    comes(SS_REPORT_LOAD_ENDED, load, 0, 2560000, 2);
}

Test(sim_ranks, four_links_share_the_host_memory)
{
    open_ranks(2, 2);
    uint64_t load = load_all();
    for (uint32_t rank = 0; rank < 4; rank++)
        cr_assert_leq(near(bench_when(&bench, SS_REPORT_CHUNKS, load, rank), 2560000), 1,
                      "100 GB/s over four");
}

Test(sim_ranks, what_a_slow_link_leaves_is_for_the_others)
{
    open_ranks(4, 1);
    ss_sim_group_set_rate(bench.group, 0, 1);
    uint64_t load = load_all();
    comes(SS_REPORT_CHUNKS, load, 0, 12800000, 1); /* 5 GB/s */
    uint64_t others_ns = (uint64_t)(64e6 * 1e9 / (95e9 / 3));
    for (uint32_t rank = 1; rank < 4; rank++)
        comes(SS_REPORT_CHUNKS, load, rank, others_ns, 1);
}

/* Model 0 goes back to the host while model 1 comes; when each is through, from END on. */
static void exchange(uint64_t back_ns, uint64_t load_ns)
{
    const struct ss_placement chunks[] = {{.chunk = 0}, {.chunk = 1, .page = BENCH_PAGES}};
    bench_open(&bench);
    load_all();
    uint64_t drop = bench_send(&bench, (struct ss_entry){.kind = SS_ENTRY_DROP,
                                                         .copy_back = true,
                                                         .placements = chunks,
                                                         .placement_count = 2});
    uint64_t load = bench_load(&bench, 1, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, 2 * END);
    comes(SS_REPORT_DONE, drop, 0, END + back_ns, 2);
    comes(SS_REPORT_LOAD_ENDED, load, 0, END + load_ns, 2);
}

Test(sim_ranks, one_link_carries_less_both_ways)
{
    bench_set(&bench, 1, 1);
    bench.options.costs.both_bytes_per_s = 80e9;
    exchange(3200000, 3200000);
}

Test(sim_ranks, copies_to_the_host_have_their_share_of_a_link)
{
    bench_set(&bench, 1, 1);
    bench.options.costs.both_bytes_per_s = 60e9;
    bench.options.costs.to_host_share = 2;
    /* 40 and 20 GB/s; then the load's other half alone. */
    exchange(3200000, 3200000 + 1280000);
}

Test(sim_ranks, copies_to_the_host_have_their_share_of_the_hosts_memory)
{
    bench_set(&bench, 1, 1);
    bench.options.costs.link_total_bytes_per_s = 60e9;
    bench.options.costs.to_host_total_bytes_per_s = 60e9;
    bench.options.costs.to_host_share = 2;
    exchange(3200000, 3200000 + 1280000);
}

Test(sim_ranks, a_link_speeds_up_when_others_end)
{
    bench_set(&bench, 4, 1);
    bench.options.costs.link_total_bytes_per_s = 50e9;
    bench_open(&bench);
    /* Rank 0 at a tenth: the others have 15 GB/s each, then it goes on at its own 5. */
    ss_sim_group_set_rate(bench.group, 0, 1);
    uint64_t load = bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, 20000000);
    ss_sim_group_set_rate(bench.group, 0, 10); /* 100 MB of 128 moved; alone now: 50 GB/s */
    bench_run_until(&bench, END);
    uint64_t end_ns = bench_when(&bench, SS_REPORT_LOAD_ENDED, load, 0);
    cr_assert_gt(end_ns, 20000000);
    cr_assert_lt(end_ns, 25600000, "at a tenth it would end here");
}

Test(sim_ranks, pieces_cost_their_latency)
{
    bench_set(&bench, 1, 1);
    bench.options.costs.piece_latency_ns = 10000;
    bench_open(&bench);
    uint64_t load = load_all();
    comes(SS_REPORT_CHUNKS, load, 0, 1280000 + 4 * 10000, 1);
}

Test(sim_ranks, a_demand_waits_for_one_piece_of_a_prefetch)
{
    open_ranks(1, 1);
    uint64_t guess = bench_load(&bench, 0, SS_ENTRY_LANE_PREFETCH);
    bench_run_until(&bench, 100000);
    uint64_t demand = bench_load(&bench, 1, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, END);
    /* A piece takes 320 us, a load 2560. */
    comes(SS_REPORT_LOAD_ENDED, demand, 0, 320000 + 2560000, 4);
    comes(SS_REPORT_LOAD_ENDED, guess, 0, 2 * 2560000, 8);
}

Test(sim_ranks, a_promoted_load_goes_before_other_guesses)
{
    open_ranks(1, 1);
    uint64_t first = bench_load(&bench, 0, SS_ENTRY_LANE_PREFETCH);
    uint64_t second = bench_load(&bench, 1, SS_ENTRY_LANE_PREFETCH);
    bench_run_until(&bench, 400000); /* in the second piece */
    bench_send(&bench, (struct ss_entry){.kind = SS_ENTRY_PROMOTE, .target = second});
    bench_run_until(&bench, END);
    comes(SS_REPORT_LOAD_ENDED, second, 0, 640000 + 2560000, 4);
    comes(SS_REPORT_LOAD_ENDED, first, 0, 2 * 2560000, 8);
}

Test(sim_ranks, a_cancel_stops_between_pieces)
{
    open_ranks(1, 1);
    uint64_t load = bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, 1700000); /* the second chunk's second piece: 1600 to 1920 us */
    bench_send(&bench, (struct ss_entry){.kind = SS_ENTRY_CANCEL, .target = load});
    bench_run_until(&bench, END);
    comes(SS_REPORT_LOAD_ENDED, load, 0, 1920000, 3);
    cr_assert_eq(bench.seen[bench.seen_count - 1].count, 1, "one whole chunk");
    cr_assert_eq(ss_sim_group_loaded_bytes(bench.group), 6 * 16000000);
}

Test(sim_ranks, ranks_of_a_stage_compute_in_lockstep)
{
    bench_set(&bench, 2, 1);
    bench.options.costs.link_total_bytes_per_s = 0;
    bench.chunks[0].fixed_ns = bench.chunks[1].fixed_ns = 50000;
    bench_open(&bench);
    ss_sim_group_set_rate(bench.group, 1, 5);
    bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    uint64_t batch = bench_batch(&bench, 0);
    bench_run_until(&bench, END);
    /* The slow rank has its second chunk at 5120 us: both compute it then. */
    for (uint32_t rank = 0; rank < 2; rank++)
        comes(SS_REPORT_DONE, batch, rank, 5120000 + 50000, 4);
}

Test(sim_ranks, a_step_takes_what_its_cost_says)
{
    bench_set(&bench, 1, 2);
    bench.options.costs.edge_ns = 7000;
    bench.costs[0].edge_row_ns = 500;
    bench.chunks[0] = (struct ss_step_cost){.fixed_ns = 1000, .weights_ns = 20000, .row_ns = 3000};
    bench.chunks[1] = (struct ss_step_cost){.weights_ns = 1, .row_ns = 9000, .context_ns = 10};
    bench_open(&bench);
    bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    bench_run_until(&bench, 10000000);
    uint64_t batch = bench_batch(&bench, 0);
    bench_run_until(&bench, END);
    /* Four rows over four tokens: 1 + 20 us (the floor), then 36 us and 40 ns. */
    uint64_t stage_ns = 1000 + 20000 + 36000 + 40;
    cr_assert_eq(bench_when(&bench, SS_REPORT_DONE, batch, 0), 10000000 + stage_ns);
    cr_assert_eq(bench_when(&bench, SS_REPORT_TOKENS, batch, 1),
                 10000000 + 2 * stage_ns + 7000 + 4 * 500);
}

Test(sim_ranks, tokens_stay_where_the_last_stage_is_the_first)
{
    bench_set(&bench, 1, 1);
    bench.options.costs.edge_ns = 7000;
    bench.chunks[0].fixed_ns = 50000;
    bench_open(&bench);
    load_all();
    uint64_t first = bench_batch(&bench, 0);
    struct ss_batch_sequence again = {
        .request = 100, .flags = SS_SEQUENCE_SAMPLE, .position = 4, .count = 1};
    uint64_t second = bench_send(
        &bench,
        (struct ss_entry){.kind = SS_ENTRY_BATCH, .sequence_count = 1, .sequences = &again});
    bench_run_until(&bench, 2 * END);
    uint64_t ends_ns = bench_when(&bench, SS_REPORT_DONE, first, 0);
    comes(SS_REPORT_DONE, second, 0, ends_ns + 50000, 0);
}

Test(sim_ranks, compute_and_load_are_counted_where_they_overlap)
{
    struct ss_sim_rank_times times;
    bench_set(&bench, 1, 1);
    bench.chunks[0].fixed_ns = 1000000;
    bench.chunks[1].fixed_ns = 500000;
    bench_open(&bench);
    bench_load(&bench, 0, SS_ENTRY_LANE_DEMAND);
    bench_batch(&bench, 0);
    bench_run_until(&bench, END);
    ss_sim_group_times(bench.group, 0, &times);
    cr_assert_leq(near(times.load_ns, 2560000), 2);
    cr_assert_eq(times.compute_ns, 1500000);
    cr_assert_eq(times.hidden_ns, 1000000, "the first chunk beside the second's way");
}
