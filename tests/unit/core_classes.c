/* Realtime, normal, batch: who goes first, what makes room, what is left to others. */
#include "engine/base/random.h"
#include "tests/unit/controller_bench.h"

TestSuite(core_classes, .init = setup, .fini = teardown, .timeout = 20);

/* A and B are resident; request 10 of A, of the class batch, generates for long, with two steps
 * queued. */
static void run_batch(void)
{
    open_controller();
    warm(0, 1);
    warm(1, 2);
    arrive_as(SS_CLASS_BATCH, 10, 0, 4, 12);
}

/* Ends the older of the two steps that are queued. */
static void end_step(void)
{
    for (uint32_t i = 0; i < log_count; i++)
        if (log_entries[i].kind == SS_ENTRY_BATCH && !log_entries[i].answered) {
            answer(&log_entries[i]);
            return;
        }
    cr_assert(false, "no step is queued");
}

Test(core_classes, a_realtime_request_has_the_next_step_of_its_model)
{
    run_batch();
    arrive_as(SS_CLASS_REALTIME, 11, 0, 3, 2);
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "two steps are queued");
    end_step();
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 11);
}

Test(core_classes, a_realtime_request_has_the_next_step_before_another_model)
{
    run_batch();
    arrive_as(SS_CLASS_BATCH, 12, 0, 4, 12);
    arrive_as(SS_CLASS_NORMAL, 13, 0, 4, 12);
    arrive_as(SS_CLASS_REALTIME, 11, 1, 3, 2);
    end_step();
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 11);
    end_step();
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 11, "and the one after");
    end_step();
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 13, "then the normal one");
}

Test(core_classes, a_realtime_request_has_a_place_beside_those_at_work)
{
    models[0].batch_max = 1;
    run_batch();
    arrive_as(SS_CLASS_BATCH, 12, 0, 4, 2);
    arrive_as(SS_CLASS_REALTIME, 11, 0, 4, 1);
    end_step();
    const struct logged_entry *batch = logged(SS_ENTRY_BATCH);
    cr_assert_eq(batch->count, 1);
    cr_assert_eq(batch->sequences[0].request, 11);
    answer_all();
    cr_assert_eq(view().answered, 5);
}

Test(core_classes, a_batch_request_is_set_aside_for_room_and_goes_on)
{
    options.pool_pages[0] = MODEL_PAGES + 4;
    options.spill_blocks = 8;
    open_controller();
    warm(0, 1);
    arrive_as(SS_CLASS_BATCH, 10, 0, 12, 4); /* all four blocks at its end */
    end_step();
    arrive_as(SS_CLASS_REALTIME, 11, 0, 12, 4);
    answer_until(SS_ENTRY_SPILL);
    answer_all();
    cr_assert(logged(SS_ENTRY_SPILL)->block_count > 0);
    cr_assert(logged(SS_ENTRY_RESTORE));
    cr_assert_gt(resumed(10)->position, 0, "it goes on where it was");
    cr_assert_eq(view().answered, 3);
}

Test(core_classes, without_room_on_the_host_it_is_computed_again)
{
    options.pool_pages[0] = MODEL_PAGES + 4;
    open_controller();
    warm(0, 1);
    arrive_as(SS_CLASS_BATCH, 10, 0, 12, 4);
    end_step();
    arrive_as(SS_CLASS_REALTIME, 11, 0, 12, 4);
    answer_until(SS_ENTRY_SPILL);
    answer_all();
    cr_assert_eq(logged(SS_ENTRY_SPILL)->block_count, 0);
    cr_assert_eq(resumed(10)->position, 0);
    cr_assert_eq(view().answered, 3);
}

static uint32_t requests_of(uint16_t model)
{
    struct ss_model_view made;
    ss_controller_view_model(controller, model, &made);
    return made.queued + made.running;
}

/* Of 400 steps, the part that A has for realtime requests, while there are always three of them and
 * three of OTHER, to B. */
static double share_of_realtime(enum ss_class other)
{
    uint32_t of_realtime = 0, steps = 0;
    uint64_t next = 100;
    options.pool_pages[0] = 2 * MODEL_PAGES + 6 * 4; /* room for all */
    open_controller();
    warm(0, 1);
    warm(1, 2);
    while (steps < 400) {
        while (requests_of(0) < 3)
            arrive_as(SS_CLASS_REALTIME, next++, 0, 2, 14);
        while (requests_of(1) < 3)
            arrive_as(other, 10000 + next++, 1, 2, 14);
        now_ns += SS_NS_PER_MS;
        for (uint32_t at = 0; at < log_count; at++)
            if (log_entries[at].kind == SS_ENTRY_BATCH && !log_entries[at].answered) {
                of_realtime += log_entries[at].sequences[0].request < 10000;
                steps++;
                answer(&log_entries[at]);
                break;
            }
    }
    return of_realtime / (double)steps;
}

Test(core_classes, realtime_holds_no_more_than_its_share)
{
    options.limits.realtime_share = 0.75;
    options.limits.quantum_ns = 20 * SS_NS_PER_MS;
    double share = share_of_realtime(SS_CLASS_NORMAL);
    cr_assert_float_eq(share, 0.75, 0.05, "%f", share);
}

Test(core_classes, batch_requests_have_their_part_too)
{
    options.limits.realtime_share = 0.9;
    options.limits.quantum_ns = 20 * SS_NS_PER_MS;
    double share = share_of_realtime(SS_CLASS_BATCH);
    cr_assert_float_eq(share, 0.9, 0.05, "%f", share);
}

#define STAGES 3

/* STAGES of a rank each; A and B are resident, and each request has batches of its own. */
static void open_stages(void)
{
    options.tp = 1;
    options.pp = STAGES;
    options.limits.batches_in_flight = STAGES + 1;
    for (int i = 0; i < MODELS; i++) {
        for (int stage = 0; stage < STAGES; stage++) {
            options.pool_pages[stage] = 2 * MODEL_PAGES + 6 * 32;
            models[i].chunk_count[stage] = 2;
            models[i].chunk_pages[stage] = chunk_pages;
            models[i].chunk_bytes[stage] = chunk_bytes;
            models[i].kv_block_pages[stage] = 1;
        }
        models[i].batch_max = 1;
        models[i].context_max = 128;
    }
    open_controller();
    warm(0, 1);
    warm(1, 2);
}

/* The oldest batch that STAGE has not done, and the one before has; null: none. */
static struct logged_entry *batch_at(uint16_t stage, const bool done[STAGES][1024])
{
    for (uint32_t i = 0; i < log_count; i++)
        if (log_entries[i].kind == SS_ENTRY_BATCH && !log_entries[i].answered && !done[stage][i] &&
            (stage == 0 || done[stage - 1][i]))
            return &log_entries[i];
    return 0;
}

/* Whoever of 10, 12 and 14 has no step under way had to have its step before a normal request. */
static void check_overtaking(uint32_t from)
{
    for (uint32_t i = from; i < log_count; i++) {
        bool free[] = {true, true, true};
        if (log_entries[i].kind != SS_ENTRY_BATCH || log_entries[i].sequences[0].request % 2 == 0)
            continue;
        for (uint32_t j = 0; j < i; j++)
            if (log_entries[j].kind == SS_ENTRY_BATCH && !log_entries[j].answered &&
                log_entries[j].sequences[0].request % 2 == 0)
                free[(log_entries[j].sequences[0].request - 10) / 2] = false;
        cr_assert_not(free[0] || free[1] || free[2], "a step of %lu goes before realtime ones",
                      log_entries[i].sequences[0].request);
    }
}

/* No two batches of realtime request 10 follow each other while a normal one could go between. */
static void check_filling(uint32_t from)
{
    for (uint32_t i = from > 0 ? from : 1; i < log_count; i++) {
        bool ready[] = {true, true, true, true};
        if (log_entries[i].sequences[0].request != 10 ||
            log_entries[i - 1].sequences[0].request != 10 || log_entries[i - 1].answered)
            continue;
        for (uint32_t j = 0; j < i; j++)
            if (!log_entries[j].answered && log_entries[j].sequences[0].request > 10)
                ready[log_entries[j].sequences[0].request - 11] = false;
        cr_assert_not(ready[0] || ready[1] || ready[2] || ready[3], "a stage waits for tokens");
    }
}

/* Ends steps of the stages in a random order; CHECK is told from where on the log is new. */
static void run_stages(void (*check)(uint32_t from))
{
    bool done[STAGES][1024] = {0};
    for (uint64_t tick = 0; tick < 400; tick++) {
        uint16_t stage = ss_random_u64(1, tick) % STAGES;
        struct logged_entry *entry = batch_at(stage, done);
        uint32_t before = log_count;
        if (!entry)
            continue;
        done[stage][entry - log_entries] = true;
        if (stage < STAGES - 1)
            report(SS_REPORT_DONE, stage, entry->number, 0);
        else
            answer(entry);
        check(before);
    }
    cr_assert_gt(log_count, 100);
}

Test(core_classes, a_model_does_not_go_first_for_a_step_that_is_under_way)
{
    open_stages();
    for (uint64_t request = 10; request < 16; request++)
        arrive_as(request % 2 ? SS_CLASS_NORMAL : SS_CLASS_REALTIME, request,
                  request == 12 || request == 14, 4, 124);
    run_stages(check_overtaking);
}

Test(core_classes, stages_that_a_realtime_request_leaves_idle_are_filled)
{
    open_stages();
    for (uint64_t request = 10; request < 15; request++)
        arrive_as(request > 10 ? SS_CLASS_NORMAL : SS_CLASS_REALTIME, request, request > 10, 4,
                  124);
    run_stages(check_filling);
}

Test(core_classes, what_fills_a_stage_does_not_hold_a_realtime_request_up)
{
    for (int stage = 0; stage < STAGES; stage++)
        models[1].cost[stage] = (struct ss_step_cost){.weights_ns = 1000, .row_ns = 100};
    open_stages();
    arrive_as(SS_CLASS_REALTIME, 10, 0, 4, 124);
    arrive_as(SS_CLASS_NORMAL, 11, 1, 100, 4);
    answer(&log_entries[log_count - 2]); /* one step of request 10 is left under way */
    const struct ss_batch_sequence *part = logged(SS_ENTRY_BATCH)->sequences;
    cr_assert_eq(part->request, 11);
    cr_assert_eq(part->count, 10, "rows that hide behind the reading of the weights: %u",
                 part->count);
}
