/* What is counted of a run's requests, and who serves whom. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/serve/costs.h"
#include "engine/swapsim/assignment.h"
#include "engine/swapsim/live_requests.h"
#include "engine/swapsim/metrics.h"

#define S 1000000000ull

struct bed {
    struct ss_config *config;
    struct ss_catalog *catalog;
    struct ss_metrics metrics;
};

static void open_bed(struct bed *bed)
{
    *bed = (struct bed){0};
    cr_assert_eq(ss_config_read("configs/simulate.yaml", stderr, &bed->config), SS_OK);
    cr_assert_eq(ss_catalog_open(bed->config, stderr, &bed->catalog), SS_OK);
    cr_assert_eq(ss_metrics_open(bed->catalog, 5, 0, &bed->metrics), SS_OK);
}

static void close_bed(struct bed *bed)
{
    ss_metrics_close(&bed->metrics);
    ss_catalog_close(bed->catalog);
    ss_config_destroy(bed->config);
}

/* OPT-13B over (2,2): its largest shard at a fourth of what all links have together, a step through
 * both stages, and one more for each further token. */
Test(swapsim_metrics, cold_latency)
{
    struct bed bed;
    open_bed(&bed);
    uint64_t one = ss_cold_latency_ns(&bed.metrics, 0, 8, 1);
    uint64_t three = ss_cold_latency_ns(&bed.metrics, 0, 8, 3);
    uint64_t step_ns = 0;
    for (int stage = 0; stage < 2; stage++) {
        struct ss_step_cost cost;
        ss_costs_of_stage(bed.catalog, 0, stage, &cost);
        step_ns += ss_step_cost_ns(&cost, 1, 9);
    }
    double rate = bed.catalog->profile->link.total_bytes_per_s / 4;
    double load_s = (double)bed.catalog->models[0].images[0].bytes / rate;
    cr_assert_float_eq((double)one / 1e9, load_s + (double)step_ns / 1e9, 1e-6);
    cr_assert(rate > 40e9 && rate < 55e9, "%g", rate);
    cr_assert_eq(three - one, 2 * step_ns);
    close_bed(&bed);
}

/* One that a deadline cut off after some tokens counts neither in the latencies nor in their bound.
 */
Test(swapsim_metrics, what_is_an_answer)
{
    struct ss_outcome outcome = {.tokens = 3, .reason = SS_END_LENGTH};
    cr_assert(ss_outcome_is_answer(&outcome));
    outcome.reason = SS_END_STOP;
    cr_assert(ss_outcome_is_answer(&outcome));
    outcome.reason = SS_END_DEADLINE;
    cr_assert_not(ss_outcome_is_answer(&outcome));
    outcome = (struct ss_outcome){.reason = SS_END_LENGTH, .refused = true};
    cr_assert_not(ss_outcome_is_answer(&outcome));
}

/* Of five that arrived two are in time, one is late, one refused, one cancelled. */
Test(swapsim_metrics, counts)
{
    struct bed bed;
    open_bed(&bed);
    uint64_t cold_ns = ss_cold_latency_ns(&bed.metrics, 1, 8, 1);
    const struct ss_outcome outcomes[] = {
        {.arrival_ns = S, .first_ns = S + 100, .end_ns = S + 100, .tokens = 1, .cold = true},
        {.arrival_ns = 2 * S, .first_ns = 2 * S + 300, .end_ns = 2 * S + 5 * cold_ns, .tokens = 1},
        {.arrival_ns = 4 * S,
         .first_ns = 4 * S + 500,
         .end_ns = 4 * S + 5 * cold_ns + 1,
         .tokens = 1},
        {.arrival_ns = 5 * S, .end_ns = 5 * S, .refused = true, .reason = SS_END_OVERLOADED},
        {.arrival_ns = 6 * S, .end_ns = 9 * S, .tokens = 7, .reason = SS_END_CANCELLED},
    };
    for (size_t i = 0; i < 5; i++) {
        struct ss_outcome outcome = outcomes[i];
        outcome.model = 1;
        outcome.prompt_tokens = 8;
        outcome.output_tokens = 1;
        outcome.class = SS_CLASS_BATCH;
        ss_metrics_arrival(&bed.metrics, 1, outcome.arrival_ns);
        cr_assert_eq(ss_metrics_outcome(&bed.metrics, &outcome), SS_OK);
    }
    const struct ss_metrics *metrics = &bed.metrics;
    cr_assert_eq(metrics->arrivals, 5);
    cr_assert_eq(metrics->answered, 3);
    cr_assert_eq(metrics->in_time, 2);
    cr_assert_eq(metrics->cold, 1);
    cr_assert_eq(metrics->tokens, 10);
    cr_assert_eq(metrics->ends[SS_END_LENGTH], 3);
    cr_assert_eq(metrics->ends[SS_END_CANCELLED], 1);
    cr_assert_eq(metrics->refusals[SS_END_OVERLOADED], 1);
    cr_assert_eq(metrics->last_end_ns, 9 * S);
    cr_assert_eq(metrics->first_token.count, 3);
    cr_assert_eq(metrics->first_token.sum_ns, 900);
    cr_assert_eq(metrics->class_latency[SS_CLASS_BATCH].count, 3);
    cr_assert_eq(metrics->class_latency[SS_CLASS_NORMAL].count, 0);
    cr_assert_eq(metrics->models[1].arrivals, 5);
    cr_assert_float_eq(metrics->models[1].gap_sum, 5, 1e-12);
    cr_assert_float_eq(metrics->models[1].gap_square_sum, 1 + 4 + 1 + 1, 1e-12);
    close_bed(&bed);
}

Test(swapsim_metrics, every_reason_has_a_name)
{
    for (int end = 0; end < SS_END_KINDS; end++) {
        cr_assert_neq(ss_end_text((enum ss_end)end), 0, "reason %d", end);
        for (int other = 0; other < end; other++)
            cr_assert_str_neq(ss_end_text((enum ss_end)end), ss_end_text((enum ss_end)other));
    }
}

/* Every model has one place; groups differ by one model at most; the seed changes the deal. */
Test(swapsim_metrics, assignment)
{
    struct ss_assignment made, other;
    bool taken[3][40] = {{false}};
    int moved = 0;
    cr_assert_eq(ss_assignment_make(100, 3, 1, &made), SS_OK);
    cr_assert_eq(ss_assignment_make(100, 3, 2, &other), SS_OK);
    cr_assert_eq(made.count[0] + made.count[1] + made.count[2], 100);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_lt(made.group[i], 3);
        cr_assert_lt(made.local[i], made.count[made.group[i]]);
        cr_assert_not(taken[made.group[i]][made.local[i]]);
        taken[made.group[i]][made.local[i]] = true;
        moved += made.group[i] != other.group[i];
    }
    cr_assert_eq(made.count[0], 34);
    cr_assert_gt(moved, 30);
    ss_assignment_release(&made);
    ss_assignment_release(&other);
    cr_assert_eq(ss_assignment_make(5, 1, 1, &made), SS_OK);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(made.local[i], i);
    ss_assignment_release(&made);
}

/* Records come back, but not before FREE_MIN others did; handles never. */
Test(swapsim_metrics, live_requests)
{
    struct ss_live_requests requests;
    struct ss_live_request *request, *first = 0;
    uint64_t last_handle = 0;
    uint32_t reused = 0;
    ss_live_requests_open(10, &requests);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(ss_live_requests_add(&requests, &request), SS_OK);
        cr_assert_eq(ss_live_requests_find(&requests, request->plan.handle), request);
        cr_assert_gt(request->plan.handle, last_handle);
        cr_assert_eq(request->plan.prompt, 0);
        last_handle = request->plan.handle;
        first = first ? first : request;
        if (i > 0 && request == first && ++reused == 1)
            cr_assert_eq(i, 11);
        request->plan.prompt = 7;
        ss_live_requests_end(&requests, request);
    }
    cr_assert_eq(reused, 9);
    cr_assert_eq(requests.live, 0);
    cr_assert_eq(requests.live_max, 1);
    cr_assert_eq(requests.block_count, 1);
    ss_live_requests_close(&requests);
}
