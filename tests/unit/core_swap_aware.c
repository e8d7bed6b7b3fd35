/* The rules of swap_aware: its prices alone, and a controller that follows them, driven by hand. */
#include "engine/core/state.h"
#include "engine/core/trust.h"
#include "tests/unit/controller_bench.h"

TestSuite(core_swap_aware, .init = setup, .fini = teardown);

#define SECOND 1000000000ull

/* Arrivals a second apart, the latest at 100 s. */
static struct ss_arrivals every_second(int count)
{
    struct ss_arrivals made = {0};
    for (int i = count - 1; i >= 0; i--)
        ss_arrivals_note(&made, 71 * SECOND, 100 * SECOND - (uint64_t)i * SECOND);
    return made;
}

Test(core_swap_aware, regular_arrivals_are_expected_when_they_are_due)
{
    struct ss_arrivals regular = every_second(30);
    double gap_ns = SECOND, soon = 0.3 * SECOND;
    double just_served =
        ss_arrivals_within(&regular, 100 * SECOND + SECOND / 10, gap_ns, soon).chance;
    double due = ss_arrivals_within(&regular, 100 * SECOND + 8 * SECOND / 10, gap_ns, soon).chance;
    cr_assert_lt(just_served, 0.1);
    cr_assert_gt(due, 0.8);
}

Test(core_swap_aware, a_silent_model_is_slowly_given_up)
{
    struct ss_arrivals regular = every_second(30);
    double last = 1;
    for (uint64_t idle = 2; idle < 200; idle *= 3) {
        double chance = ss_arrivals_within(&regular, (100 + idle) * SECOND, SECOND, SECOND).chance;
        cr_assert_lt(chance, last);
        last = chance;
    }
    cr_assert_lt(last, 0.05);
}

Test(core_swap_aware, who_came_late_comes_seldom)
{
    struct ss_arrivals early = {0}, late = {0};
    ss_arrivals_note(&early, 0, SECOND);
    ss_arrivals_note(&late, 0, 100 * SECOND);
    double of_early = ss_arrivals_within(&early, 2 * SECOND, SECOND, SECOND).chance;
    double of_late = ss_arrivals_within(&late, 101 * SECOND, SECOND, SECOND).chance;
    cr_assert_gt(of_early, 10 * of_late, "both a second ago, for the first time");
}

Test(core_swap_aware, nothing_is_expected_where_nothing_ever_came)
{
    struct ss_arrivals none = {0};
    cr_assert_eq(ss_arrivals_within(&none, SECOND, SECOND, 1e12).chance, 0);
}

static struct ss_policy_context context_with(struct ss_swap_aware on)
{
    return (struct ss_policy_context){.on = on,
                                      .now_ns = 100 * SECOND,
                                      .stages = 1,
                                      .page_ns = {1e6},
                                      .typical_gap_ns = SECOND,
                                      .horizon_ns = SECOND};
}

Test(core_swap_aware, who_waits_for_little_is_loaded_first)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.price = true});
    struct ss_policy_model old = {
        .oldest_order = 1, .weight = 1, .oldest_ns = 100 * SECOND - 1000, .missing_pages = {100}};
    struct ss_policy_model small = old, many = old;
    small.oldest_order = many.oldest_order = 2;
    small.missing_pages[0] = 10;
    small.resident_pages[0] = 90;
    many.weight = 8;
    cr_assert(ss_policy_swap_aware.loads_before(&context, &small, &old));
    cr_assert(ss_policy_swap_aware.loads_before(&context, &many, &old));
    old.oldest_ns = 90 * SECOND;
    cr_assert(ss_policy_swap_aware.loads_before(&context, &old, &many), "it has waited for long");
    context.on.price = false;
    cr_assert(ss_policy_swap_aware.loads_before(&context, &old, &small), "as lru does");
}

Test(core_swap_aware, who_is_expected_costs_more_to_drop)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.price = true});
    struct ss_arrivals hot = every_second(30), rare = {0};
    ss_arrivals_note(&rare, SECOND, SECOND);
    ss_arrivals_note(&rare, SECOND, 60 * SECOND);
    context.now_ns += 8 * SECOND / 10;
    struct ss_policy_model a = {.oldest_order = SS_NO_ORDER,
                                .resident_pages = {100},
                                .arrivals = &hot},
                           b = a;
    b.arrivals = &rare;
    struct ss_policy_claim claim = {.short_of = {50}, .link_ns = 1e8};
    ss_policy_swap_aware.appraise(&context, &a, &claim);
    ss_policy_swap_aware.appraise(&context, &b, &claim);
    cr_assert_gt(a.price, 2 * b.price);
    cr_assert(ss_policy_swap_aware.drops_before(&context, &b, &a));
    cr_assert_eq(b.share, 1, "whole models go, without partial");
    context.on.partial = true;
    ss_policy_swap_aware.appraise(&context, &b, &claim);
    cr_assert_leq(b.share, 0.5);
    claim.short_of[0] = 95;
    b.missing_pages[0] = 0;
    context.on.price = false;
    ss_policy_swap_aware.appraise(&context, &b, &claim);
    cr_assert_eq(b.share, 1, "a rest of a twentieth is not worth keeping");
}

Test(core_swap_aware, of_those_not_due_for_long_the_last_goes)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.price = true});
    struct ss_arrivals sooner = {0}, later = {0};
    for (uint64_t i = 0; i < 30; i++) {
        ss_arrivals_note(&sooner, 0, 5 * SECOND + i * 10 * SECOND);
        ss_arrivals_note(&later, 0, 9 * SECOND + i * 10 * SECOND);
    }
    context.now_ns = 300 * SECOND;
    struct ss_policy_model a = {.oldest_order = SS_NO_ORDER,
                                .resident_pages = {100},
                                .arrivals = &sooner,
                                .last_used_ns = 295 * SECOND},
                           b = a;
    b.arrivals = &later;
    b.last_used_ns = 299 * SECOND;
    struct ss_policy_claim claim = {.short_of = {100}, .link_ns = 1e8};
    ss_policy_swap_aware.appraise(&context, &a, &claim);
    ss_policy_swap_aware.appraise(&context, &b, &claim);
    cr_assert(ss_policy_swap_aware.drops_before(&context, &b, &a),
              "neither is due within a second");
}

Test(core_swap_aware, a_model_at_work_earns_its_load_back)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.stay = true});
    struct ss_policy_model at_work = {.oldest_order = 5,
                                      .batches_of_stay = 1,
                                      .load_ns = SECOND,
                                      .loaded_ns = 100 * SECOND - SECOND / 2};
    cr_assert_not(
        ss_policy_swap_aware.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 4}));
    context.now_ns += SECOND / 2;
    cr_assert(
        ss_policy_swap_aware.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 4}));
    cr_assert_not(
        ss_policy_swap_aware.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 6}),
        "it is older");
    at_work.oldest_order = SS_NO_ORDER;
    context.now_ns = at_work.loaded_ns;
    cr_assert(
        ss_policy_swap_aware.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 4}),
        "it is idle");
}

Test(core_swap_aware, a_model_at_work_does_not_go_for_fewer_requests)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.price = true});
    struct ss_policy_model at_work = {
        .oldest_order = 5, .batches_of_stay = 1, .weight = 3, .resident_pages = {100}};
    struct ss_policy_claim claim = {.order = 4, .weight = 2, .whole_ns = 1e8};
    cr_assert_not(ss_policy_swap_aware.may_drop(&context, &at_work, &claim));
    claim.whole_ns = 5e7;
    cr_assert(ss_policy_swap_aware.may_drop(&context, &at_work, &claim), "in half the room");
    claim.weight = 0;
    cr_assert(ss_policy_swap_aware.may_drop(&context, &at_work, &claim), "no turn would come");
    claim = (struct ss_policy_claim){.order = 4, .weight = 2, .whole_ns = 1e8};
    at_work.oldest_order |= UINT64_C(1) << SS_LEVEL_SHIFT;
    cr_assert(ss_policy_swap_aware.may_drop(&context, &at_work, &claim), "class goes before");
}

Test(core_swap_aware, who_answers_soon_does_not_wait_for_long_beside_many)
{
    struct ss_policy_context context = context_with((struct ss_swap_aware){.price = true});
    struct ss_policy_model at_work = {.oldest_order = 5,
                                      .oldest_ns = 100 * SECOND,
                                      .batches_of_stay = 1,
                                      .weight = 30,
                                      .resident_pages = {100}};
    struct ss_policy_claim claim = {.order = 4,
                                    .weight = 1,
                                    .whole_ns = 1e8,
                                    .answer_ns = 1e8,
                                    .oldest_ns = 100 * SECOND - SECOND / 10};
    cr_assert_not(ss_policy_swap_aware.may_drop(&context, &at_work, &claim));
    claim.oldest_ns = 99 * SECOND;
    cr_assert(ss_policy_swap_aware.may_drop(&context, &at_work, &claim));
    claim.answer_ns = 1e9;
    cr_assert_not(ss_policy_swap_aware.may_drop(&context, &at_work, &claim),
                  "it takes long itself");
}

static void use(struct ss_swap_aware rules)
{
    options.policy = SS_POLICY_SWAP_AWARE;
    options.swap_aware = rules;
    open_controller();
}

static uint32_t resident_chunks(uint16_t model)
{
    struct ss_model_view made;
    ss_controller_view_model(controller, model, &made);
    return made.resident_chunks;
}

Test(core_swap_aware, a_victim_loses_its_tail_only)
{
    options.pool_pages[0] = 2 * MODEL_PAGES + 6; /* a chunk, beside a sequence's KV */
    use((struct ss_swap_aware){.partial = true});
    warm(0, 1);
    now_ns++;
    warm(1, 2);
    arrive(3, 2, 2, 1);
    const struct ss_entry *drop = sent(SS_ENTRY_DROP, 0);
    cr_assert(drop);
    cr_assert_eq(drop->model, 0);
    cr_assert_eq(drop->placement_count, 1);
    cr_assert_eq(drop->placements[0].chunk, 1, "from the end");
    answer_all();
    cr_assert_eq(residency(0), SS_PARTIAL);
    cr_assert_eq(resident_chunks(0), 2, "its head, on both ranks");
    arrive(4, 0, 2, 1);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->placement_count, 1, "only what is missing comes back");
    answer_all();
    cr_assert_eq(view().answered, 4);
}

/* A chunk would do for the first of three requests, who would then be alone in each step. */
Test(core_swap_aware, a_victim_leaves_room_for_the_batch)
{
    options.pool_pages[0] = 2 * MODEL_PAGES + 10;
    options.limits.loads_in_flight = 1;
    use((struct ss_swap_aware){.partial = true});
    warm(0, 1);
    now_ns++;
    arrive(2, 1, 2, 1);
    for (uint64_t request = 3; request < 6; request++)
        arrive(request, 2, 2, 14);
    end_load(logged(SS_ENTRY_LOAD)->number);
    const struct ss_entry *drop = sent(SS_ENTRY_DROP, 0);
    cr_assert(drop);
    cr_assert_eq(drop->model, 0);
    cr_assert_eq(drop->placement_count, 2);
    answer_all();
    cr_assert_eq(view().answered, 5);
}

Test(core_swap_aware, loads_follow_each_other)
{
    use((struct ss_swap_aware){.price = true});
    arrive(1, 0, 2, 1);
    arrive(2, 1, 2, 1);
    cr_assert_null(sent(SS_ENTRY_LOAD, 0), "the links are busy with another");
    answer_all();
    cr_assert_eq(view().answered, 2);
}

Test(core_swap_aware, a_batch_waits_for_its_load_so_that_others_pass)
{
    options.link_bytes_per_s = 800; /* a load takes a second */
    use((struct ss_swap_aware){.patience = true});
    warm(0, 1);
    arrive(2, 1, 2, 1);
    cr_assert(sent(SS_ENTRY_LOAD, 0));
    cr_assert_null(sent(SS_ENTRY_BATCH, 0), "model 0 may be asked for any time");
    arrive(3, 0, 2, 1);
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->model, 0);
    answer_all();
    cr_assert_eq(view().answered, 3);
}

/* One long prompt and two short ones: 14 rows, 0.7 s, of a load of one second. */
Test(core_swap_aware, a_batch_is_as_long_as_its_prompts)
{
    options.link_bytes_per_s = 800;
    models[1].cost[0] = (struct ss_step_cost){.row_ns = SECOND / 20};
    use((struct ss_swap_aware){.patience = true});
    warm(0, 1);
    arrive(2, 1, 12, 1);
    arrive(3, 1, 1, 1);
    arrive(4, 1, 1, 1);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 1, "it would stall who comes");
    now_ns += 3 * SECOND / 10;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 2);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->count, 3);
}

Test(core_swap_aware, a_batch_does_not_wait_where_those_who_pass_would_gain_less)
{
    options.link_bytes_per_s = 800 * 1000; /* a millisecond */
    use((struct ss_swap_aware){.patience = true});
    for (uint64_t i = 0; i < 20; i++, now_ns += 2000000)
        warm(0, i);
    arrive(30, 1, 2, 1);
    cr_assert(sent(SS_ENTRY_LOAD, 0));
    cr_assert_eq(sent(SS_ENTRY_BATCH, 0)->model, 1, "another may come, and would not wait long");
}

/* Ten thousand bytes at one nanosecond each; then four, with what every copy takes. */
Test(core_swap_aware, small_chunks_say_little_of_the_link)
{
    static const uint64_t bytes[] = {10000, 4};
    models[0].chunk_bytes[0] = bytes;
    open_controller();
    arrive(1, 0, 2, 1);
    uint64_t load = sent(SS_ENTRY_LOAD, 0)->number;
    now_ns += 10000;
    report(SS_REPORT_CHUNKS, 0, load, 1);
    report(SS_REPORT_CHUNKS, 1, load, 1);
    now_ns += 1000;
    end_load(load);
    cr_assert_gt(controller->byte_ns[0], 1);
    cr_assert_lt(controller->byte_ns[0], 1.3);
}

/* Three models in turn, a second apart, with room for two: then the next is known. A load takes a
 * fifth of that. The controller is called when it asks for it, and not otherwise. */
static void go_on_in_turn(int rounds)
{
    for (int i = 0; i < 3 * rounds; i++) {
        uint64_t next_ns = now_ns + SECOND;
        arrive(100 + (uint64_t)i, (uint16_t)(i % 3), 2, 1);
        answer_all();
        while (timer_ns < next_ns) {
            now_ns = timer_ns;
            timer_ns = UINT64_MAX;
            step(&(struct ss_event){.kind = SS_EVENT_TIMER});
            answer_all();
        }
        now_ns = next_ns;
    }
}

static void in_turn(int rounds)
{
    options.page_bytes = 400000000;
    use((struct ss_swap_aware){.price = true, .partial = true, .prefetch = true});
    go_on_in_turn(rounds);
}

Test(core_swap_aware, what_comes_in_turn_is_there_before_it_is_asked_for)
{
    in_turn(12);
    struct ss_controller_view made = view();
    cr_assert_gt(made.guesses, 0);
    cr_assert_gt(made.guess_hit_bytes, 0);
    cr_assert_leq(made.guess_hit_bytes + made.guess_wasted_bytes, made.guess_bytes);
}

/* Bytes guessed in so many seconds of requests at random, where guesses were always right or wrong.
 */
static uint64_t guessed_at_random(int seconds, bool right)
{
    uint32_t random = 1;
    options.page_bytes = 400000000;
    options.pool_pages[0] = 2 * MODEL_PAGES + 4;
    use((struct ss_swap_aware){.price = true, .partial = true, .prefetch = true});
    for (int i = 0; i < 10 * seconds; i++) {
        for (int j = 0; j < 100; j++)
            ss_trust_judge(controller, &controller->models[0], 800, right);
        random = random * 1664525 + 1013904223;
        if (random >> 28 < 3) {
            arrive(100 + (uint64_t)i, (uint16_t)(random >> 20) % MODELS, 2, 1);
            answer_all();
        }
        now_ns += SECOND / 10;
        step(&(struct ss_event){.kind = SS_EVENT_TIMER});
        answer_all();
    }
    return view().guess_bytes;
}

Test(core_swap_aware, guesses_that_were_wrong_evict_less)
{
    uint64_t trusted = guessed_at_random(40, true);
    teardown();
    setup();
    uint64_t distrusted = guessed_at_random(40, false);
    cr_assert_lt(distrusted, trusted);
}

/* Goes on until a guess was ordered. */
static void guess(void)
{
    in_turn(12);
    bool guessed = false;
    for (uint64_t i = 0; i < 6 && !guessed; i++) {
        uint64_t next_ns = now_ns + SECOND;
        arrive(800 + i, (uint16_t)(i % 3), 2, 1);
        answer_all();
        for (; now_ns + SECOND / 50 < next_ns && !guessed; now_ns += SECOND / 50) {
            step(0);
            guessed = sent(SS_ENTRY_LOAD, 0) != 0;
        }
        now_ns = guessed ? now_ns : next_ns;
    }
    cr_assert(guessed);
}

Test(core_swap_aware, another_request_cancels_a_guess_and_its_own_promotes_it)
{
    guess();
    const struct ss_entry load = *sent(SS_ENTRY_LOAD, 0);
    cr_assert_eq(load.lane, SS_ENTRY_LANE_PREFETCH);
    arrive(900, load.model, 2, 1);
    cr_assert(sent(SS_ENTRY_PROMOTE, 0));
    cr_assert_eq(sent(SS_ENTRY_PROMOTE, 0)->target, load.number);
}

Test(core_swap_aware, what_a_cancelled_guess_had_moved_is_lost)
{
    guess();
    struct ss_controller_view before = view();
    now_ns += SECOND / 1000;
    step(&(struct ss_event){
        .kind = SS_EVENT_WANT_DROP, .request = 90, .model = sent(SS_ENTRY_LOAD, 0)->model});
    cr_assert(sent(SS_ENTRY_CANCEL, 0));
    cr_assert_gt(view().guess_wasted_bytes, before.guess_wasted_bytes);
    cr_assert_eq(view().guess_bytes - before.guess_bytes,
                 view().guess_wasted_bytes - before.guess_wasted_bytes);
}

Test(core_swap_aware, what_an_operator_dropped_is_not_guessed)
{
    in_turn(12);
    step(&(struct ss_event){.kind = SS_EVENT_WANT_DROP, .request = 90, .model = 0});
    cr_assert(acted(SS_ACTION_CONTROL_DONE, 90)->ok);
    for (int i = 0; i < 200; i++, now_ns += SECOND / 50) {
        step(0);
        answer_all();
    }
    cr_assert_eq(residency(0), SS_ABSENT);
}
