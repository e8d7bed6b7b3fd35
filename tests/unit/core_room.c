/* The controller: who gets room, and who makes it. */
#include <string.h>

#include "engine/core/room.h"
#include "tests/unit/controller_bench.h"

TestSuite(core_room, .init = setup, .fini = teardown);

Test(core_room, the_least_recently_used_model_makes_room_at_once)
{
    open_controller();
    warm(0, 1);
    now_ns += 10;
    warm(1, 2);
    now_ns += 10;
    arrive(3, 2, 5, 3);
    const struct ss_entry *drop = sent(SS_ENTRY_DROP, 0), *load = sent(SS_ENTRY_LOAD, 0);
    cr_assert_eq(drop->model, 0);
    cr_assert_not(drop->copy_back);
    cr_assert_eq(drop->placement_count, 2);
    cr_assert_eq(load->model, 2);
    cr_assert_eq(load->placements[0].page, drop->placements[0].page, "its pages are free now");
    cr_assert_eq(view().drops, 1);
}

/* An operator does. */
static void ask(enum ss_event_kind kind, uint64_t request, uint16_t model)
{
    step(&(struct ss_event){.kind = kind, .request = request, .model = model});
}

/* Two stages of one rank; only the second is short of pages, where model a has none. */
Test(core_room, who_has_no_pages_where_they_are_short_stays)
{
    options.tp = 1;
    options.pp = 2;
    options.pool_pages[0] = 4 * MODEL_PAGES;
    options.pool_pages[1] = MODEL_PAGES + 4;
    for (int i = 0; i < MODELS; i++) {
        models[i].chunk_count[i > 0] = 2;
        models[i].chunk_pages[1] = chunk_pages;
        models[i].chunk_bytes[1] = chunk_bytes;
        models[i].kv_block_pages[1] = 1;
    }
    open_controller();
    for (uint16_t i = 0; i < 2; i++, now_ns += 10) {
        ask(SS_EVENT_WANT_LOAD, 90 + i, i);
        end_load(sent(SS_ENTRY_LOAD, 0)->number);
    }
    ask(SS_EVENT_WANT_LOAD, 92, 2);
    cr_assert_eq(sent(SS_ENTRY_DROP, 0)->model, 1, "though model 0 was not used for longer");
    cr_assert_eq(view().drops, 1);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 2);
}

Test(core_room, nothing_is_dropped_for_a_guess_that_finds_no_room_even_so)
{
    uint32_t pages[SS_STAGES_MAX];
    open_controller();
    warm(0, 1);
    warm(1, 2);
    struct ss_claim claim = {.order = SS_NO_ORDER, .model = 2, .need = {3 * MODEL_PAGES + 1}};
    ss_room_make_cheaply(controller, &claim, 1, pages);
    cr_assert_eq(view().drops, 0);
    cr_assert_eq(pages[0], 8, "what is free");
}

Test(core_room, copy_back_waits_for_the_copy)
{
    options.emulate.copy_back = true;
    open_controller();
    warm(0, 1);
    warm(1, 2);
    arrive(3, 2, 5, 3);
    uint64_t drop = sent(SS_ENTRY_DROP, 0)->number;
    cr_assert(sent(SS_ENTRY_DROP, 0)->copy_back);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0));
    report(SS_REPORT_DONE, 0, drop, 0);
    report(SS_REPORT_DONE, 0, drop, 0); /* twice */
    cr_assert_null(sent(SS_ENTRY_LOAD, 0), "rank 1 still copies");
    report(SS_REPORT_DONE, 1, drop, 0);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 2);
}

Test(core_room, counting_models_drops_one_for_each_that_comes)
{
    options.emulate.copy_back = true;
    options.emulate.models_max = 2;
    options.pool_pages[0] = 3 * MODEL_PAGES + 8;
    open_controller();
    warm(0, 1);
    warm(1, 2);
    arrive(3, 2, 5, 3);
    cr_assert_eq(sent(SS_ENTRY_DROP, 0)->model, 0, "there is room, but two are in");
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 2, "while the copy back goes on");
    cr_assert_eq(view().drops, 1);
}

/* Loads nobody wants stop where another model waits; a chunk that one rank lacks counts for none.
 */
Test(core_room, an_unwanted_load_is_cancelled_and_what_is_not_whole_is_dropped)
{
    options.emulate.wait_whole_load = true; /* so that no batch waits for the chunks */
    options.limits.loads_in_flight = 1;
    open_controller();
    arrive(1, 0, 5, 9);
    arrive(2, 1, 5, 9);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0), "one load at a time");
    cancel(1);
    cr_assert_eq(sent(SS_ENTRY_CANCEL, 0)->target, 1);
    report(SS_REPORT_LOAD_ENDED, 0, 1, 2);
    report(SS_REPORT_LOAD_ENDED, 1, 1, 1);
    const struct ss_entry *drop = sent(SS_ENTRY_DROP, 0);
    cr_assert_eq(drop->placement_count, 1);
    cr_assert_eq(drop->placements[0].chunk, 1);
    cr_assert_eq(residency(0), SS_PARTIAL);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 1);
}

Test(core_room, a_returning_model_loads_what_is_missing)
{
    options.emulate.wait_whole_load = true;
    options.limits.loads_in_flight = 1;
    open_controller();
    arrive(1, 0, 5, 9);
    arrive(2, 1, 5, 9);
    cancel(1);
    report(SS_REPORT_LOAD_ENDED, 0, 1, 1);
    report(SS_REPORT_LOAD_ENDED, 1, 1, 1);
    end_load(sent(SS_ENTRY_LOAD, 0)->number);
    arrive(3, 0, 5, 9);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->placement_count, 1);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->placements[0].chunk, 1);
}

Test(core_room, an_older_request_takes_the_place_of_a_younger_model)
{
    options.pool_pages[0] = MODEL_PAGES + 4; /* one model, and one sequence of full length */
    open_controller();
    arrive(1, 0, 2, 2); /* a serves ... */
    arrive(2, 1, 2, 2); /* ... b waits ... */
    arrive(3, 0, 2, 9); /* ... and a has younger work */
    cr_assert_null(sent(SS_ENTRY_LOAD, 0));
    end_load(1);
    end_batch(2, SS_ENDING_NONE, 1, 0);
    end_batch(3, SS_ENDING_LENGTH, 1, 0);
    cr_assert(acted(SS_ACTION_END, 1));
    const struct ss_entry *drop = sent(SS_ENTRY_DROP, 0);
    cr_assert(drop, "request 2 is older than 3");
    cr_assert_eq(drop->model, 0);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 1);
}

/* The number of the batch in which the request got its slot. */
static uint64_t opened_at(uint64_t request)
{
    for (uint32_t i = 0; i < log_count; i++)
        for (uint32_t j = 0; j < log_entries[i].count; j++)
            if (log_entries[i].sequences[j].request == request)
                return log_entries[i].number;
    cr_assert(false, "request %lu never ran", request);
    return 0;
}

/* What is free would not do for the load, which must wait until the model leaves. */
Test(core_room, a_model_that_must_leave_for_a_load_serves_younger_requests_meanwhile)
{
    options.pool_pages[0] = MODEL_PAGES + 4;
    open_controller();
    warm(0, 1);
    arrive(2, 0, 2, 6);
    arrive(3, 1, 2, 2);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0));
    arrive(4, 0, 2, 6);
    answer(&log_entries[log_count - 1]);
    opened_at(4); /* beside request 2 */
    cr_assert_not(acted(SS_ACTION_END, 2));
    answer_all();
    cr_assert_eq(view().answered, 4);
}

/* The load would find its pages free now, but not beside what both sequences still take. */
Test(core_room, a_load_leaves_what_sequences_at_work_need_to_finish)
{
    options.pool_pages[0] = 2 * MODEL_PAGES + 6;
    options.limits.overdue_ns = SS_NS_PER_S;
    open_controller();
    arrive(1, 0, 2, 14);
    arrive(2, 0, 2, 14);
    answer(&log_entries[0]);
    answer(&log_entries[1]);
    arrive(3, 1, 2, 2);
    cr_assert_eq(view().loads, 1);
    answer_all();
    cr_assert_eq(view().answered, 3);
    cr_assert_eq(view().recomputed + view().spilled, 0);
}

/* Model 0 stays; four pages are left beside it and another. */
static void open_beside_a_pinned_model(void)
{
    models[0].pinned = true;
    options.pool_pages[0] = 2 * MODEL_PAGES + 4;
    options.limits.overdue_ns = SS_NS_PER_S;
    open_controller();
    answer_all();
}

/* The model cannot go, and what its sequence holds is just what the load lacks. */
Test(core_room, a_load_sets_nobody_aside_before_its_turn)
{
    open_beside_a_pinned_model();
    arrive_as(SS_CLASS_BATCH, 1, 0, 10, 4);
    arrive(2, 1, 2, 6);
    cr_assert_null(logged(SS_ENTRY_SPILL), "though it goes before");
    cr_assert_eq(view().loads, 1);
    answer(&log_entries[log_count - 1]);
    cr_assert_null(logged(SS_ENTRY_SPILL));
    now_ns += SS_NS_PER_S;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    answer_until(SS_ENTRY_SPILL);
    answer_all();
    cr_assert_eq(view().answered, 2);
}

/* One long answer was granted, but answers are short. */
Test(core_room, what_a_sequence_will_need_is_learnt_from_answers)
{
    open_beside_a_pinned_model();
    warm(0, 1);
    arrive_as(SS_CLASS_BATCH, 2, 0, 2, 14);
    arrive(3, 1, 2, 2);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 1);
}

Test(core_room, an_answer_that_was_cut_was_not_short)
{
    open_beside_a_pinned_model();
    arrive(1, 0, 2, 14);
    cancel(1);
    answer_all();
    cr_assert_eq(view().answered, 1);
    arrive_as(SS_CLASS_BATCH, 2, 0, 2, 14);
    arrive(3, 1, 2, 2);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0));
}

/* Two models at work, four blocks for three sequences: request 12 is the youngest, and has two when
 * request 11 wants its second. */
static void crowd(uint32_t spill_blocks)
{
    options.pool_pages[0] = 2 * MODEL_PAGES + 4;
    options.spill_blocks = spill_blocks;
    options.limits.batches_in_flight = 1;
    open_controller();
    warm(0, 1);
    warm(1, 2);
    arrive(10, 0, 1, 3);
    arrive(11, 0, 4, 12);
    arrive(12, 1, 4, 12);
    answer_until(SS_ENTRY_SPILL);
}

Test(core_room, the_youngest_is_set_aside_and_computed_again)
{
    crowd(0);
    cr_assert_eq(view().recomputed, 1);
    cr_assert_eq(logged(SS_ENTRY_SPILL)->block_count, 0);
    const struct logged_entry *batch = logged(SS_ENTRY_BATCH);
    cr_assert_eq(batch->number, logged(SS_ENTRY_SPILL)->number + 1, "its pages serve at once");
    cr_assert_eq(batch->sequences[1].request, 11);
    cr_assert_eq(batch->sequences[1].new_blocks, 1);
    answer_all();
    cr_assert_eq(view().answered, 5);
    const struct ss_batch_sequence *part = resumed(12);
    cr_assert_eq(part->position, 0);
    cr_assert_eq(part->count, 6, "its prompt and the two tokens that it had");
    cr_assert(part->flags == SS_SEQUENCE_SAMPLE, "the ranks still have its prompt");
}

Test(core_room, the_youngest_is_spilled_where_there_is_room_and_goes_on)
{
    crowd(8);
    cr_assert_eq(view().spilled, 1);
    cr_assert_eq(view().recomputed, 0);
    cr_assert_eq(logged(SS_ENTRY_SPILL)->block_count, 2);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->count, 1, "its pages are read until all ranks are done");
    answer_all();
    cr_assert_eq(view().answered, 5);
    cr_assert_eq(logged(SS_ENTRY_RESTORE)->block_count, 2);
    cr_assert_eq(resumed(12)->position, 5);
    cr_assert_eq(resumed(12)->count, 1);
}

Test(core_room, cancelled_while_set_aside_or_on_the_way_there)
{
    crowd(8);
    cancel(12);
    cr_assert(acted(SS_ACTION_END, 12));
    cr_assert_null(sent(SS_ENTRY_CLOSE, 0), "the ranks still copy its blocks");
    answer_all();
    cr_assert_eq(view().answered, 5);
    cr_assert_eq(view().pool_pages_used[0], 2 * MODEL_PAGES, "nothing is left of it");
}

Test(core_room, cancelled_after_it_was_forgotten)
{
    crowd(0);
    cancel(12);
    cr_assert(sent(SS_ENTRY_CLOSE, 0));
    answer_all();
    cr_assert_eq(view().pool_pages_used[0], 2 * MODEL_PAGES);
}

Test(core_room, scattered_pages_are_joined_for_a_load)
{
    static const uint32_t long_chunk[] = {12};
    static const uint64_t bytes[] = {1200};
    models[2].chunk_count[0] = 1;
    models[2].chunk_pages[0] = long_chunk;
    models[2].chunk_bytes[0] = bytes;
    open_controller();
    warm(0, 1);
    now_ns++;
    warm(1, 2);
    arrive(3, 2, 2, 1);
    const struct ss_entry *move = sent(SS_ENTRY_MOVE, 0), *load = sent(SS_ENTRY_LOAD, 0);
    cr_assert_eq(sent(SS_ENTRY_DROP, 0)->model, 0);
    cr_assert_eq(move->move_count, 2);
    cr_assert_eq(move->moves[0].model, 1);
    cr_assert_eq(move->moves[0].slot, SS_NO_SLOT);
    cr_assert_eq(move->moves[0].from, MODEL_PAGES);
    cr_assert_eq(move->moves[0].to, 0);
    cr_assert_eq(load->placements[0].page, MODEL_PAGES);
    cr_assert_lt(move->number, load->number);
}

Test(core_room, the_last_slot_is_kept_for_the_oldest_that_waits)
{
    options.limits.slots_max = 2;
    options.limits.batches_in_flight = 1;
    options.emulate.wait_whole_load = true;
    open_controller();
    warm(0, 1);
    arrive(2, 1, 2, 2); /* waits for its load */
    uint64_t load = sent(SS_ENTRY_LOAD, 0)->number;
    arrive(3, 0, 2, 2);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].request, 3);
    uint64_t batch = sent(SS_ENTRY_BATCH, 0)->number;
    int slot = sent(SS_ENTRY_BATCH, 0)->sequences[0].slot;
    arrive(4, 0, 2, 9);
    end_batch(batch, SS_ENDING_NONE, 1, slot);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequence_count, 1, "not request 4");
    end_batch(sent(SS_ENTRY_BATCH, 0)->number, SS_ENDING_LENGTH, 1, slot);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].request, 4, "two are free now");
    end_load(load);
    end_batch(logged(SS_ENTRY_BATCH)->number, SS_ENDING_NONE, 1, slot);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->sequences[0].request, 2);
}

/* Three requests of A, of which two have the slots, then one of B. */
static void hold_all_slots(void)
{
    options.limits.slots_max = 2;
    open_controller();
    warm(0, 1);
    warm(1, 2);
    arrive(10, 0, 2, 6);
    arrive(11, 0, 2, 9);
    for (uint32_t i = 0; i < log_count && view().running < 2; i++)
        if (!log_entries[i].answered)
            answer(&log_entries[i]);
    cr_assert_eq(view().running, 2);
    arrive(12, 0, 2, 9);
    now_ns += 10;
    arrive(14, 1, 2, 1);
}

Test(core_room, a_model_without_a_slot_has_the_next_one)
{
    hold_all_slots();
    answer_all();
    cr_assert_lt(opened_at(14), opened_at(12));
}

Test(core_room, a_turn_leaves_a_model_without_a_slot_the_next_one)
{
    options.limits.overdue_ns = 1000;
    options.limits.quantum_ns = SS_NS_PER_S;
    hold_all_slots();
    now_ns += 2000; /* all are overdue; it is A's turn */
    answer_all();
    cr_assert_lt(opened_at(14), opened_at(12));
}

Test(core_room, operators_load_and_drop)
{
    open_controller();
    ask(SS_EVENT_WANT_LOAD, 90, 1);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 1);
    cr_assert_null(acted(SS_ACTION_CONTROL_DONE, 90));
    end_load(1);
    cr_assert(acted(SS_ACTION_CONTROL_DONE, 90)->ok);
    ask(SS_EVENT_WANT_DROP, 91, 1);
    cr_assert_eq(sent(SS_ENTRY_DROP, 0)->model, 1);
    cr_assert(acted(SS_ACTION_CONTROL_DONE, 91)->ok);
    cr_assert_eq(residency(1), SS_ABSENT);
    arrive(1, 0, 5, 9);
    ask(SS_EVENT_WANT_DROP, 92, 0);
    cr_assert_not(acted(SS_ACTION_CONTROL_DONE, 92)->ok, "it has work");
}

Test(core_room, operators_loads_over_the_most_are_told_so)
{
    uint64_t refused = 0;
    open_controller();
    for (uint64_t handle = 100; handle < 300 && refused == 0; handle++) {
        ask(SS_EVENT_WANT_LOAD, handle, 1);
        if (acted(SS_ACTION_CONTROL_DONE, handle))
            refused = handle;
    }
    cr_assert_neq(refused, 0);
    cr_assert_not(acted(SS_ACTION_CONTROL_DONE, refused)->ok);
    cr_assert_eq(acted(SS_ACTION_CONTROL_DONE, refused)->reason, SS_END_OVERLOADED);
    end_load(1);
    cr_assert(acted(SS_ACTION_CONTROL_DONE, 100)->ok);
    cr_assert(acted(SS_ACTION_CONTROL_DONE, refused - 1)->ok);
}

Test(core_room, pinned_models_are_loaded_at_start_and_stay)
{
    models[0].pinned = true;
    open_controller();
    step(0);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 0);
    end_load(1);
    warm(1, 1);
    arrive(2, 2, 5, 3);
    cr_assert_eq(sent(SS_ENTRY_DROP, 0)->model, 1, "it is younger, but the other is pinned");
    ask(SS_EVENT_WANT_DROP, 90, 0);
    cr_assert_not(acted(SS_ACTION_CONTROL_DONE, 90)->ok);
}

Test(core_room, what_cannot_fit_is_refused_with_the_numbers)
{
    options.pool_pages[0] = MODEL_PAGES + 3;
    cr_assert_eq(ss_controller_create(&options, &controller), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "model a: on stage 0 its shard takes 8 pages"), "%s",
              ss_status_message());
    cr_assert(strstr(ss_status_message(), "the pool has 11 pages"), "%s", ss_status_message());
    options.pool_pages[0] = 2 * MODEL_PAGES + 3;
    models[0].pinned = true;
    cr_assert_eq(ss_controller_create(&options, &controller), SS_INVALID);
    cr_assert(strstr(ss_status_message(), "model b"), "%s", ss_status_message());
    controller = 0;
}
