/* Whole runs, of a controller and its simulated ranks: the same again, and nothing left behind. */
#include <criterion/criterion.h>

#include "engine/base/random.h"
#include "tests/unit/sim_bench.h"

#define REQUESTS 3000

struct trace {
    uint64_t hash, events, at_ns;
    size_t live, live_max;
    uint64_t answered;
};

static void mix(struct trace *trace, uint64_t value)
{
    trace->hash = ss_random_u64(trace->hash, value);
}

static struct trace run(uint64_t seed, bool check)
{
    struct bench bench;
    struct trace trace = {0};
    struct ss_sim_event event;
    bench_set(&bench, 2, 2);
    bench.options.controller.pool_pages[0] = bench.options.controller.pool_pages[1] =
        5 * BENCH_PAGES; /* two models of four */
    bench.options.controller.limits.requests_max = REQUESTS;
    bench.options.costs.report_ns = 1000;
    bench.options.costs.report_jitter_ns = 500;
    bench.chunks[0].fixed_ns = bench.chunks[1].fixed_ns = 20000;
    bench.options.seed = seed;
    bench.options.check = check;
    bench.options.lets = 0;
    bench_open(&bench);
    for (uint64_t request = 0; request < REQUESTS; request++) {
        uint64_t at_ns = request * 400000;
        while (ss_sim_queue_first(&bench.queue) &&
               ss_sim_queue_first(&bench.queue)->at_ns <= at_ns &&
               ss_sim_queue_take(&bench.queue, &event)) {
            mix(&trace, event.at_ns);
            mix(&trace, event.kind);
            ss_sim_group_happen(bench.group, &event);
        }
        ss_sim_group_feed(bench.group, at_ns,
                          &(struct ss_event){.kind = SS_EVENT_ARRIVED,
                                             .class = SS_CLASS_NORMAL,
                                             .request = 1 + request,
                                             .model = (uint16_t)(ss_random_u64(seed, request) % 4),
                                             .prompt_tokens = 4,
                                             .max_tokens = 2},
                          1);
    }
    while (ss_sim_queue_take(&bench.queue, &event)) {
        mix(&trace, event.at_ns);
        ss_sim_group_happen(bench.group, &event);
        trace.at_ns = event.at_ns;
    }
    cr_assert_null(ss_sim_group_failure(bench.group), "%s", ss_sim_group_failure(bench.group));
    struct ss_controller_view view;
    ss_controller_view(ss_sim_group_controller(bench.group), &view);
    trace.answered = view.answered;
    trace.events = ss_sim_group_events(bench.group);
    trace.live = ss_sim_group_live(bench.group);
    trace.live_max = bench.group->store.live_max;
    bench_close(&bench);
    return trace;
}

Test(sim_runs, nothing_is_left_and_little_lives_at_once)
{
    struct trace trace = run(1, false);
    cr_assert_eq(trace.answered, REQUESTS);
    cr_assert_eq(trace.live, 0, "%zu objects live at rest", trace.live);
    cr_assert_lt(trace.live_max, 200, "%zu objects at once for a handful of entries",
                 trace.live_max);
}

Test(sim_runs, the_same_seed_gives_the_same_run)
{
    struct trace first = run(7, false), again = run(7, false), other = run(8, false);
    cr_assert_eq(first.hash, again.hash);
    cr_assert_eq(first.events, again.events);
    cr_assert_neq(first.hash, other.hash);
}

Test(sim_runs, the_audit_changes_nothing)
{
    struct trace with = run(3, true), without = run(3, false);
    cr_assert_eq(with.hash, without.hash);
    cr_assert_eq(with.at_ns, without.at_ns);
    cr_assert_eq(with.live, 0);
}

#define CROWD        400
#define CROWD_TOKENS 10
#define STEP_NS      (BENCH_CHUNKS * 20000ull) /* of a stage */

/* How long CROWD requests take that come at once, to MODELS models in turn with room for all. */
static uint64_t crowd_ns(uint16_t models, uint64_t overdue_ns)
{
    struct bench bench;
    struct ss_sim_event event;
    uint64_t end_ns = 0;
    bench_set(&bench, 1, 2);
    bench.tokens_max = CROWD_TOKENS;
    struct ss_controller_limits *limits = &bench.options.controller.limits;
    limits->requests_max = limits->slots_max = CROWD;
    limits->batches_in_flight = 3; /* what a server takes: one more than stages */
    limits->overdue_ns = overdue_ns;
    limits->quantum_ns = 4 * STEP_NS;
    bench.chunks[0].fixed_ns = bench.chunks[1].fixed_ns = STEP_NS / BENCH_CHUNKS;
    bench.options.lets = 0;
    bench_open(&bench);
    for (uint64_t request = 0; request < CROWD; request++)
        ss_sim_group_feed(bench.group, 0,
                          &(struct ss_event){.kind = SS_EVENT_ARRIVED,
                                             .class = SS_CLASS_NORMAL,
                                             .request = 1 + request,
                                             .model = (uint16_t)(request % models),
                                             .prompt_tokens = 4,
                                             .max_tokens = CROWD_TOKENS},
                          1);
    while (ss_sim_queue_take(&bench.queue, &event)) {
        ss_sim_group_happen(bench.group, &event);
        struct ss_controller_view view;
        ss_controller_view(ss_sim_group_controller(bench.group), &view);
        if (view.answered == CROWD) {
            end_ns = event.at_ns;
            break;
        }
    }
    cr_assert_null(ss_sim_group_failure(bench.group), "%s", ss_sim_group_failure(bench.group));
    bench_close(&bench);
    return end_ns;
}

Test(sim_runs, a_crowd_fills_the_batches_of_every_stage)
{
    uint64_t least_ns = CROWD * CROWD_TOKENS / 8 * STEP_NS;
    cr_assert_lt(crowd_ns(1, 0), 1.25 * (double)least_ns);
    cr_assert_lt(crowd_ns(2, 0), 1.25 * (double)least_ns);
    cr_assert_lt(crowd_ns(2, 20 * STEP_NS), 1.25 * (double)least_ns, "turns leave no stage idle");
}

Test(sim_runs, events_of_one_time_come_in_the_order_they_were_added)
{
    struct ss_sim_queue queue = {0};
    struct ss_sim_event event;
    for (uint32_t i = 0; i < 1000; i++)
        ss_sim_queue_add(&queue, (struct ss_sim_event){.at_ns = ss_random_u64(1, i) % 50, .a = i});
    uint64_t at_ns = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert(ss_sim_queue_take(&queue, &event));
        cr_assert(event.at_ns > at_ns || (event.at_ns == at_ns && (i == 0 || event.a > last)));
        at_ns = event.at_ns;
        last = event.a;
    }
    cr_assert_not(ss_sim_queue_take(&queue, &event));
    ss_sim_queue_close(&queue);
}
