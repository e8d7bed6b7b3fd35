/* What goes into a step, by tokens and by time; what it is known to take; deadlines by that. */
#include "engine/core/cost.h"
#include "tests/unit/controller_bench.h"

TestSuite(core_steps, .init = setup, .fini = teardown, .timeout = 20);

#define MS SS_NS_PER_MS

static void cost_of_a(uint64_t fixed_ns, uint64_t weights_ns, double row_ns)
{
    models[0].cost[0] =
        (struct ss_step_cost){.fixed_ns = fixed_ns, .weights_ns = weights_ns, .row_ns = row_ns};
}

Test(core_steps, a_step_costs_the_weights_or_the_arithmetic)
{
    struct ss_step_cost cost = {.fixed_ns = 5, .weights_ns = 100, .row_ns = 2, .context_ns = 0.5};
    cr_assert_eq(ss_step_cost_ns(&cost, 1, 0), 105);
    cr_assert_eq(ss_step_cost_ns(&cost, 50, 0), 105);
    cr_assert_eq(ss_step_cost_ns(&cost, 60, 10), 130);
    cr_assert_not(ss_step_cost_is_known(&(struct ss_step_cost){0}));
}

Test(core_steps, prompts_are_sliced_by_time)
{
    options.limits.step_time_max_ns = 7 * MS;
    cost_of_a(MS, 0, MS);
    open_controller();
    warm(0, 1);
    arrive(2, 0, 13, 2);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].count, 6);
    answer_all();
    cr_assert_eq(view().answered, 2);
}

Test(core_steps, rows_below_the_reading_of_the_weights_are_free)
{
    options.limits.step_time_max_ns = 7 * MS;
    cost_of_a(MS, 12 * MS, MS);
    open_controller();
    warm(0, 1);
    arrive(2, 0, 14, 2);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].count, 12);
}

Test(core_steps, decodes_below_the_reading_of_the_weights_share_a_step)
{
    options.limits.step_time_max_ns = 7 * MS;
    cost_of_a(MS, 12 * MS, MS);
    open_controller();
    warm(0, 1);
    arrive(2, 0, 2, 10);
    arrive(3, 0, 2, 10);
    arrive(4, 0, 2, 10);
    answer_all();
    cr_assert_eq(view().answered, 4);
    uint32_t shared = 0;
    for (uint32_t i = 0; i < log_count; i++)
        shared += log_entries[i].kind == SS_ENTRY_BATCH && log_entries[i].count >= 2;
    cr_assert_geq(shared, 9);
}

Test(core_steps, decodes_have_their_rows_beside_a_prompt)
{
    options.limits.step_tokens_max = 8;
    open_controller();
    warm(0, 1);
    arrive(2, 0, 2, 10);
    arrive(3, 0, 2, 10);
    for (uint32_t i = 0; i < 2; i++)
        answer_until(SS_ENTRY_BATCH);
    arrive(4, 0, 15, 1);
    for (uint32_t i = 0; i < log_count; i++) {
        const struct logged_entry *entry = &log_entries[i];
        uint32_t rows = 0;
        for (uint32_t j = 0; j < entry->count; j++) {
            rows += entry->sequences[j].count;
            if (entry->sequences[j].request == 4)
                cr_assert_leq(entry->sequences[j].count, 8 - (entry->count - 1));
        }
        cr_assert_leq(rows, 8);
        if (!log_entries[i].answered)
            answer(&log_entries[i]);
    }
    cr_assert_eq(view().answered, 4);
}

/* A batch is over on both ranks after TOOK_NS of compute. */
static void end_timed(uint64_t took_ns)
{
    struct logged_entry *entry = &log_entries[log_count - 1];
    while (entry->kind != SS_ENTRY_BATCH || entry->answered)
        entry--;
    for (uint16_t rank = 0; rank < 2; rank++) {
        struct ss_report made = {.kind = SS_REPORT_DONE,
                                 .rank = rank,
                                 .number = entry->number,
                                 .started_ns = 100,
                                 .waited_ns = 50,
                                 .at_ns = 150 + took_ns};
        step(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &made});
    }
    answer(entry);
}

Test(core_steps, what_steps_take_is_learnt)
{
    options.limits.step_time_max_ns = 6 * MS;
    open_controller();
    arrive(1, 0, 12, 1);
    end_load(1);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].count, 12, "nothing is known");
    end_timed(12 * MS);
    arrive(2, 0, 12, 1);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].count, 6, "a row takes a millisecond");
}

static enum ss_end refusal_of(uint64_t deadline_ns, uint32_t min_tokens, uint64_t *least_ns)
{
    static uint64_t request = 50;
    step(&(struct ss_event){.kind = SS_EVENT_ARRIVED,
                            .class = SS_CLASS_NORMAL,
                            .request = ++request,
                            .prompt_tokens = 4,
                            .max_tokens = 10,
                            .min_tokens = min_tokens,
                            .deadline_ns = now_ns + deadline_ns});
    const struct ss_action *action = acted(SS_ACTION_REFUSE, request);
    if (!action)
        return SS_END_KINDS;
    *least_ns = action->least_ns;
    return action->reason;
}

Test(core_steps, deadlines_that_cannot_be_met_are_refused_at_the_door)
{
    uint64_t least_ns = 0;
    cost_of_a(0, 2 * MS, MS);
    options.link_bytes_per_s = 80000; /* 800 bytes of A: 10 ms */
    options.limits.requests_max = 3;
    open_controller();
    cr_assert_eq(refusal_of(9 * MS, 0, &least_ns), SS_END_DEADLINE, "the prompt hides in the load");
    cr_assert_eq(least_ns, 10 * MS);
    cr_assert_eq(refusal_of(11 * MS, 0, &least_ns), SS_END_KINDS);
    cr_assert_eq(refusal_of(27 * MS, 10, &least_ns), SS_END_DEADLINE, "and nine tokens more");
    cr_assert_eq(least_ns, 28 * MS);
    cr_assert_eq(refusal_of(29 * MS, 10, &least_ns), SS_END_KINDS);
}
