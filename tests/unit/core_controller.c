/* The controller: the door, batches, ends. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "tests/unit/controller_bench.h"

TestSuite(core_controller, .init = setup, .fini = teardown);

Test(core_controller, a_first_batch_goes_right_behind_its_load)
{
    open_controller();
    arrive(1, 0, 5, 3);
    const struct ss_entry *load = sent(SS_ENTRY_LOAD, 0), *batch = sent(SS_ENTRY_BATCH, 0);
    cr_assert_eq(load->number, 1);
    cr_assert_eq(load->placement_count, 2);
    cr_assert_eq(load->placements[1].chunk, 1);
    cr_assert_eq(load->placements[1].page, CHUNK_PAGES);
    cr_assert_eq(batch->number, 2);
    cr_assert_eq(batch->sequences[0].flags, SS_SEQUENCE_OPEN | SS_SEQUENCE_SAMPLE);
    cr_assert_eq(batch->sequences[0].count, 5);
    cr_assert_eq(batch->sequences[0].new_blocks, 2);
    cr_assert_eq(batch->page_count, 2);
    cr_assert_eq(batch->pages[0], 2 * MODEL_PAGES + 7, "KV from the high end");
}

Test(core_controller, one_step_is_issued_ahead_and_none_past_the_end)
{
    open_controller();
    arrive(1, 0, 5, 3);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 1)->sequences[0].position, 5);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 1)->sequences[0].count, 1);
    cr_assert_null(sent(SS_ENTRY_BATCH, 2), "two are queued at most");
    end_batch(2, SS_ENDING_NONE, 1, 0);
    cr_assert_eq(acted(SS_ACTION_TOKEN, 1)->token, 7);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].position, 6);
    end_batch(3, SS_ENDING_NONE, 1, 0);
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "the third token is the last");
    end_batch(4, SS_ENDING_LENGTH, 1, 0);
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_LENGTH);
    cr_assert_eq(acted(SS_ACTION_END, 1)->count, 3);
    cr_assert(acted(SS_ACTION_END, 1)->cold);
    cr_assert_eq(sent(SS_ENTRY_CLOSE, 0)->slots[0], 0);
}

Test(core_controller, a_token_past_the_end_is_discarded)
{
    open_controller();
    arrive(1, 0, 5, 9);
    end_batch(2, SS_ENDING_EOS, 1, 0);
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_EOS);
    end_batch(3, SS_ENDING_NONE, 1, 0);
    cr_assert_null(acted(SS_ACTION_TOKEN, 1));
    cr_assert_eq(view().answered, 1);
}

Test(core_controller, wait_whole_load_waits_for_all_ranks)
{
    options.emulate.wait_whole_load = true;
    open_controller();
    arrive(1, 0, 5, 3);
    cr_assert(sent(SS_ENTRY_LOAD, 0));
    cr_assert_null(sent(SS_ENTRY_BATCH, 0));
    report(SS_REPORT_LOAD_ENDED, 0, 1, 2);
    report(SS_REPORT_CHUNKS, 1, 1, 2);
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "rank 1 has the chunks, but did not say it is over");
    report(SS_REPORT_LOAD_ENDED, 1, 1, 2);
    cr_assert(sent(SS_ENTRY_BATCH, 0));
}

Test(core_controller, a_batch_behind_a_load_does_not_stall_others)
{
    options.stall_max_ns = 1000;
    open_controller();
    warm(0, 1);
    arrive(2, 0, 5, 9); /* model a has work */
    now_ns += 10000;
    arrive(3, 1, 5, 9);
    cr_assert(sent(SS_ENTRY_LOAD, 0));
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "nothing of the load has arrived");
    uint64_t step_of_a = logged(SS_ENTRY_BATCH)->number;
    end_batch(step_of_a - 1, SS_ENDING_NONE, 1, 0);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->model, 0, "a goes on");
    cancel(2);
    end_batch(step_of_a, SS_ENDING_NONE, 1, 0);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 3, "nobody else has work now");
}

Test(core_controller, a_batch_follows_once_the_rest_of_its_load_is_short)
{
    options.stall_max_ns = 1000;
    options.limits.batches_in_flight = 8;
    open_controller();
    warm(0, 1);
    arrive(2, 0, 5, 9);
    arrive(3, 1, 5, 9);
    uint64_t load = sent(SS_ENTRY_LOAD, 0)->number;
    now_ns += 5000;
    report(SS_REPORT_CHUNKS, 0, load, 1);
    report(SS_REPORT_CHUNKS, 1, load, 1);
    report(SS_REPORT_DONE, 1, logged(SS_ENTRY_BATCH)->number - 1, 0);
    report(SS_REPORT_DONE, 0, logged(SS_ENTRY_BATCH)->number - 1, 0);
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "5000 ns are left, and a waits for its token");
    timer_ns = acted(SS_ACTION_TIMER, 0)->at_ns;
    cr_assert(timer_ns >= now_ns + 3990 && timer_ns <= now_ns + 4000);
    now_ns = timer_ns;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->model, 1);
}

Test(core_controller, poll_decides_at_ticks)
{
    options.emulate.poll = true;
    open_controller();
    now_ns = 3 * SS_NS_PER_MS;
    arrive(1, 0, 5, 3);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0));
    cr_assert_eq(acted(SS_ACTION_TIMER, 0)->at_ns, 10 * SS_NS_PER_MS);
    now_ns = 10 * SS_NS_PER_MS;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert(sent(SS_ENTRY_LOAD, 0));
    now_ns = 11 * SS_NS_PER_MS;
    end_load(1);
    cr_assert_eq(residency(0), SS_LOADING, "acknowledged at the next tick of 20 ms");
    now_ns = 20 * SS_NS_PER_MS;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(residency(0), SS_RESIDENT);
}

Test(core_controller, requests_are_refused_at_the_door_with_a_reason)
{
    options.limits.requests_max = 2;
    open_controller();
    arrive(1, 0, 10, 7);
    cr_assert_eq(acted(SS_ACTION_REFUSE, 1)->reason, SS_END_TOO_LONG);
    step(&(struct ss_event){.kind = SS_EVENT_ARRIVED,
                            .class = SS_CLASS_NORMAL,
                            .request = 2,
                            .prompt_tokens = 1,
                            .max_tokens = 1,
                            .deadline_ns = now_ns});
    cr_assert_eq(acted(SS_ACTION_REFUSE, 2)->reason, SS_END_DEADLINE);
    arrive(3, 0, 10, 6);
    arrive(4, 0, 1, 1);
    arrive(5, 0, 1, 1);
    cr_assert_eq(acted(SS_ACTION_REFUSE, 5)->reason, SS_END_OVERLOADED);
    cr_assert_eq(view().accepted, 2);
    cr_assert_eq(view().refused, 3);
}

Test(core_controller, a_deadline_ends_a_request)
{
    open_controller();
    step(&(struct ss_event){.kind = SS_EVENT_ARRIVED,
                            .class = SS_CLASS_NORMAL,
                            .request = 1,
                            .prompt_tokens = 1,
                            .max_tokens = 9,
                            .deadline_ns = now_ns + 500});
    cr_assert_eq(acted(SS_ACTION_TIMER, 0)->at_ns, now_ns + 500);
    now_ns += 500;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_DEADLINE);
}

Test(core_controller, a_drain_answers_what_was_accepted)
{
    open_controller();
    arrive(1, 0, 5, 1);
    step(&(struct ss_event){.kind = SS_EVENT_DRAIN});
    cr_assert_null(acted(SS_ACTION_DRAINED, 0));
    arrive(2, 0, 1, 1);
    cr_assert_eq(acted(SS_ACTION_REFUSE, 2)->reason, SS_END_DRAINING);
    end_batch(2, SS_ENDING_LENGTH, 1, 0);
    cr_assert(acted(SS_ACTION_END, 1));
    cr_assert(acted(SS_ACTION_DRAINED, 0));
    step(&(struct ss_event){.kind = SS_EVENT_DRAIN});
    cr_assert_eq(action_count, 0, "it is said once");
}

Test(core_controller, a_lost_rank_ends_all_once)
{
    open_controller();
    arrive(1, 0, 5, 9);
    arrive(2, 1, 5, 9);
    step(&(struct ss_event){.kind = SS_EVENT_RANK_LOST, .rank = 1});
    cr_assert_eq(acted(SS_ACTION_END, 1)->reason, SS_END_RANK_LOST);
    cr_assert_eq(acted(SS_ACTION_END, 2)->reason, SS_END_RANK_LOST);
    step(&(struct ss_event){.kind = SS_EVENT_RANK_LOST, .rank = 0});
    cancel(1);
    cr_assert_eq(action_count, 0);
    arrive(3, 0, 1, 1);
    cr_assert_eq(acted(SS_ACTION_REFUSE, 3)->reason, SS_END_RANK_LOST);
}

Test(core_controller, cancelled_while_queued_is_forgotten)
{
    options.limits.slots_max = 1;
    open_controller();
    arrive(1, 0, 5, 9);
    arrive(2, 0, 5, 9);
    cr_assert_eq(view().queued, 1);
    cancel(2);
    cr_assert_eq(acted(SS_ACTION_END, 2)->reason, SS_END_CANCELLED);
    cr_assert_eq(acted(SS_ACTION_END, 2)->first_scheduled_ns, 0);
    cr_assert_null(sent(SS_ENTRY_CLOSE, 0));
    cancel(2);
    cr_assert_eq(action_count, 0, "its end and a second cancel cross");
}

Test(core_controller, cancelled_while_running_closes_its_slot)
{
    open_controller();
    arrive(1, 0, 5, 9);
    uint32_t used = view().pool_pages_used[0];
    cancel(1);
    cr_assert_eq(sent(SS_ENTRY_CLOSE, 0)->slot_count, 1);
    cr_assert_eq(view().pool_pages_used[0], used - 2);
}

Test(core_controller, prompts_are_sliced_where_they_are_longer_than_a_step)
{
    options.limits.step_tokens_max = 4;
    open_controller();
    arrive(1, 0, 9, 1);
    const struct ss_batch_sequence *part = sent(SS_ENTRY_BATCH, 0)->sequences;
    cr_assert_eq(part->count, 4);
    cr_assert_eq(part->flags, SS_SEQUENCE_OPEN);
    part = sent(SS_ENTRY_BATCH, 1)->sequences;
    cr_assert_eq(part->position, 4);
    cr_assert_eq(part->flags, 0);
    report(SS_REPORT_DONE, 0, 2, 0);
    report(SS_REPORT_DONE, 1, 2, 0);
    part = sent(SS_ENTRY_BATCH, 0)->sequences;
    cr_assert_eq(part->position, 8);
    cr_assert_eq(part->count, 1);
    cr_assert_eq(part->flags, SS_SEQUENCE_SAMPLE);
}

Test(core_controller, nothing_is_lost_where_the_actions_fill_up)
{
    options.limits.requests_max = 300;
    open_controller();
    for (uint64_t i = 0; i < 250; i++)
        arrive(i, 0, 1, 2);
    struct ss_event lost = {.kind = SS_EVENT_RANK_LOST};
    uint32_t ends = 0, made = ss_controller_step(controller, now_ns, &lost, 1, actions, 16);
    while (made > 0) {
        for (uint32_t i = 0; i < made; i++)
            ends += actions[i].kind == SS_ACTION_END;
        if (made < 16)
            break;
        made = ss_controller_step(controller, now_ns, 0, 0, actions, 16);
    }
    cr_assert_eq(ends, 250);
}

Test(core_controller, create_survives_every_failed_allocation)
{
    options.spill_blocks = 4;
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth++) {
        ss_fault_arm(SS_FAULT_ALLOC, nth);
        enum ss_status status = ss_controller_create(&options, &controller);
        ss_fault_arm(SS_FAULT_ALLOC, 0);
        if (status == SS_OK)
            break;
        cr_assert_eq(status, SS_NO_MEMORY);
        failures++;
    }
    cr_assert_gt(failures, 15);
}
