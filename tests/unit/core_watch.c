/* The controller notices by itself when a rank can no longer be relied on. */
#include "tests/unit/controller_bench.h"

TestSuite(core_watch, .init = setup, .fini = teardown);

static void numbered(uint64_t serial, enum ss_report_kind kind, uint16_t rank, uint64_t number,
                     uint32_t count)
{
    struct ss_report made = {
        .kind = kind, .rank = rank, .serial = serial, .number = number, .count = count};
    step(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &made});
}

static const struct ss_action *loss(void)
{
    for (uint32_t i = 0; i < action_count; i++)
        if (actions[i].kind == SS_ACTION_LOST)
            return &actions[i];
    return 0;
}

Test(core_watch, a_missing_report_loses_the_group)
{
    open_controller();
    arrive(1, 0, 5, 3);
    numbered(1, SS_REPORT_CHUNKS, 1, 1, 1);
    numbered(1, SS_REPORT_CHUNKS, 0, 1, 1);
    cr_assert_null(loss(), "each rank counts its own");
    numbered(3, SS_REPORT_DONE, 1, 2, 0);
    cr_assert_eq(loss()->loss, SS_LOSS_GAP);
    cr_assert_eq(loss()->rank, 1);
    cr_assert_eq(loss()->number, 2);
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_RANK_LOST);
    cr_assert_lt(acted(SS_ACTION_END, 1), loss(), "all is answered before the loss is told");
    arrive(2, 0, 5, 3);
    cr_assert_eq(acted(SS_ACTION_REFUSE, 2)->reason, SS_END_RANK_LOST);
    cr_assert_null(loss(), "told once");
}

Test(core_watch, a_report_that_comes_again_is_left_alone)
{
    open_controller();
    arrive(1, 0, 5, 3);
    numbered(1, SS_REPORT_CHUNKS, 0, 1, 1);
    numbered(2, SS_REPORT_LOAD_ENDED, 0, 1, 2);
    numbered(1, SS_REPORT_CHUNKS, 0, 1, 1);
    numbered(2, SS_REPORT_LOAD_ENDED, 0, 1, 2);
    cr_assert_null(loss());
    cr_assert_eq(residency(0), SS_LOADING);
    numbered(1, SS_REPORT_LOAD_ENDED, 1, 1, 2);
    cr_assert_eq(residency(0), SS_RESIDENT);
}

Test(core_watch, silence_is_bounded_while_something_is_owed)
{
    options.silence_max_ns = 1000;
    open_controller();
    now_ns = 5000;
    arrive(1, 0, 5, 1);
    cr_assert_eq(acted(SS_ACTION_TIMER, 0)->at_ns, 6000, "counted from the first entry");
    now_ns = 5900;
    numbered(1, SS_REPORT_CHUNKS, 0, 1, 1);
    now_ns = 6000;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_null(loss());
    cr_assert_eq(acted(SS_ACTION_TIMER, 0)->at_ns, 6900);
    now_ns = 6899;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_null(loss());
    numbered(2, SS_REPORT_LOAD_ENDED, 0, 1, 2);
    now_ns = 7899;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(loss()->loss, SS_LOSS_SILENCE);
    cr_assert_eq(loss()->rank, 1, "rank 0 has ended the load");
    cr_assert_eq(loss()->number, 1);
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_RANK_LOST);
}

Test(core_watch, of_tensor_parallel_peers_the_last_is_blamed)
{
    options.silence_max_ns = 1000;
    open_controller();
    now_ns = 5000;
    arrive(1, 0, 5, 1);
    now_ns = 6000;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(loss()->rank, 1, "both owe the load; rank 0, where the controller is, lives");
}

Test(core_watch, an_idle_group_may_be_silent)
{
    options.silence_max_ns = 1000;
    open_controller();
    arrive(1, 0, 5, 1);
    answer_all();
    cr_assert_eq(view().answered, 1);
    now_ns += 1000000;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_null(loss());
    arrive(2, 0, 5, 1);
    cr_assert_null(loss(), "what is owed from now on is due from now on");
}

Test(core_watch, a_load_that_falls_short_names_its_rank)
{
    open_controller();
    arrive(1, 0, 5, 1);
    report(SS_REPORT_LOAD_ENDED, 0, 1, 2);
    report(SS_REPORT_LOAD_ENDED, 1, 1, 1);
    cr_assert_eq(loss()->loss, SS_LOSS_LOAD);
    cr_assert_eq(loss()->rank, 1);
}

Test(core_watch, a_batch_without_its_token_loses_the_group)
{
    open_controller();
    arrive(1, 0, 5, 1);
    report(SS_REPORT_TOKENS, 0, 2, 0);
    cr_assert_eq(loss()->loss, SS_LOSS_TOKEN);
    cr_assert_eq(loss()->number, 2);
}

Test(core_watch, a_rank_that_failed_is_told_with_its_reason)
{
    open_controller();
    arrive(1, 0, 5, 1);
    report(SS_REPORT_FAILED, 1, 2, 0);
    cr_assert_eq(loss()->loss, SS_LOSS_FAILED);
    cr_assert_eq(loss()->rank, 1);
    step(&(struct ss_event){.kind = SS_EVENT_RANK_LOST, .rank = 1});
    cr_assert_null(loss());
}
