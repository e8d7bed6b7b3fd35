/* Nobody waits without end, whatever arrives: a cold batch request against an endless stream of
 * realtime requests to models that fill the pool. */
#include "engine/core/overdue.h"
#include "tests/unit/controller_bench.h"

#define LOAD_NS (SS_NS_PER_S / 2)
#define STEP_NS (10 * SS_NS_PER_MS)
#define COLD    7

TestSuite(core_overdue, .init = setup, .fini = teardown, .timeout = 60);

static uint64_t hot_arrived;

/* Realtime requests to A and B, six at any time: neither is ever idle. */
static void keep_hot(void)
{
    while (hot_arrived - (view().answered) < 6) {
        arrive_as(SS_CLASS_REALTIME, 100 + hot_arrived, hot_arrived % 2, 2, 5);
        hot_arrived++;
    }
}

/* When request COLD had its first step; 0: not before UNTIL_NS. Ranks answer one entry after the
 * other, batches behind loads. */
static uint64_t play(uint64_t until_ns)
{
    uint32_t at = 0;
    while (now_ns < until_ns) {
        for (uint32_t i = at; i < log_count; i++)
            for (uint32_t j = 0; j < log_entries[i].count; j++)
                if (log_entries[i].sequences[j].request == COLD)
                    return now_ns;
        if (at == log_count) {
            now_ns += STEP_NS;
            step(&(struct ss_event){.kind = SS_EVENT_TIMER});
            keep_hot();
            continue;
        }
        struct logged_entry entry = log_entries[at++];
        now_ns += entry.kind == SS_ENTRY_LOAD    ? LOAD_NS
                  : entry.kind == SS_ENTRY_BATCH ? STEP_NS
                                                 : 0;
        if (at > 500) { /* the log is short */
            memmove(log_entries, log_entries + at, (log_count - at) * sizeof *log_entries);
            log_count -= at;
            at = 0;
        }
        answer(&entry);
        keep_hot();
    }
    return 0;
}

static const struct ss_wait_rates rates = {
    .bytes_per_s = 800 * SS_NS_PER_S / LOAD_NS, .step_ns = 2 * STEP_NS, .talk_ns = STEP_NS};

static void open_for(enum ss_policy_kind policy, uint64_t overdue_ns, uint64_t quantum_ns)
{
    options.pool_pages[0] = 2 * MODEL_PAGES + 8;
    options.limits.slots_max = options.limits.requests_max;
    options.limits.realtime_share = 0.9;
    options.limits.overdue_ns = overdue_ns;
    options.limits.quantum_ns = quantum_ns;
    options.policy = policy;
    options.swap_aware = (struct ss_swap_aware){
        .price = true, .partial = true, .stay = true, .prefetch = true, .patience = true};
    hot_arrived = 0;
    open_controller();
    keep_hot();
    cr_assert_eq(play(20 * SS_NS_PER_S), 0);
}

/* The wait, and the bound on it at the door. */
static uint64_t wait_of_cold(uint64_t most_ns, uint64_t *bound_ns)
{
    uint64_t arrived_ns = now_ns;
    *bound_ns = ss_controller_wait_bound_ns(controller, &rates, 2, SS_CLASS_BATCH);
    arrive_as(SS_CLASS_BATCH, COLD, 2, 3, 2);
    hot_arrived++; /* one more that is answered */
    uint64_t first_ns = play(now_ns + most_ns);
    return first_ns > 0 ? first_ns - arrived_ns : UINT64_MAX;
}

static void expect_bounded(enum ss_policy_kind policy)
{
    uint64_t bound_ns;
    open_for(policy, 2 * SS_NS_PER_S, SS_NS_PER_S);
    uint64_t wait_ns = wait_of_cold(1000 * SS_NS_PER_S, &bound_ns);
    cr_assert_leq(wait_ns, bound_ns);
    cr_assert_lt(bound_ns, 20 * SS_NS_PER_S, "%f s: a bound of use",
                 (double)bound_ns / SS_NS_PER_S);
}

Test(core_overdue, a_cold_request_waits_no_longer_than_its_bound_under_lru)
{
    expect_bounded(SS_POLICY_LRU);
}

Test(core_overdue, a_cold_request_waits_no_longer_than_its_bound_under_swap_aware)
{
    expect_bounded(SS_POLICY_SWAP_AWARE);
}

Test(core_overdue, without_turns_it_waits_for_its_share_alone)
{
    uint64_t bound_ns;
    open_for(SS_POLICY_LRU, 0, 1000 * SS_NS_PER_S);
    cr_assert_eq(wait_of_cold(100 * SS_NS_PER_S, &bound_ns), UINT64_MAX);
    cr_assert_eq(bound_ns, UINT64_MAX, "nobody promises anything");
}

/* Room for one model, A, which is there; turns begin after a second and are short. */
static void open_with_turns(void)
{
    options.pool_pages[0] = MODEL_PAGES + 4;
    options.limits.overdue_ns = SS_NS_PER_S;
    options.limits.quantum_ns = SS_NS_PER_S / 10;
    options.limits.realtime_share = 0.99;
    open_controller();
    warm(0, 1);
}

Test(core_overdue, overdue_models_have_turns_by_when_they_became_so)
{
    open_with_turns();
    arrive_as(SS_CLASS_REALTIME, 2, 0, 2, 14);
    arrive_as(SS_CLASS_BATCH, 3, 2, 2, 2);
    now_ns += 1000;
    arrive_as(SS_CLASS_NORMAL, 4, 1, 2, 2);
    cr_assert_eq(residency(0), SS_RESIDENT);
    now_ns += SS_NS_PER_S;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 2, "the oldest, whatever its class");
    answer_all();
    cr_assert_eq(view().answered, 4);
}

Test(core_overdue, an_overdue_request_has_a_place_beside_those_at_work)
{
    options.limits.overdue_ns = SS_NS_PER_S;
    options.limits.quantum_ns = SS_NS_PER_S;
    models[0].batch_max = 1;
    open_controller();
    warm(0, 1);
    arrive_as(SS_CLASS_REALTIME, 2, 0, 2, 14);
    arrive_as(SS_CLASS_BATCH, 3, 0, 2, 2);
    now_ns += SS_NS_PER_S;
    answer(&log_entries[log_count - 2]);
    cr_assert_eq(logged(SS_ENTRY_BATCH)->sequences[0].request, 3);
    answer_all();
    cr_assert_eq(view().answered, 3);
}

static void tick(uint64_t ns)
{
    now_ns += ns;
    step(&(struct ss_event){.kind = SS_EVENT_TIMER});
}

/* A request of model C is overdue, and its load has begun. */
static void begin_turn_of_c(void)
{
    open_with_turns();
    arrive_as(SS_CLASS_REALTIME, 2, 0, 2, 3);
    arrive_as(SS_CLASS_BATCH, 3, 2, 2, 14);
    tick(SS_NS_PER_S);
    cr_assert_eq(sent(SS_ENTRY_LOAD, 0)->model, 2);
    cr_assert_eq(controller->turn_model, 2);
}

static struct logged_entry *latest_batch_of(uint64_t request)
{
    for (uint32_t i = log_count; i-- > 0;)
        for (uint32_t j = 0; j < log_entries[i].count; j++)
            if (log_entries[i].sequences[j].request == request)
                return &log_entries[i];
    return 0;
}

Test(core_overdue, a_turn_is_counted_from_when_its_load_is_in_and_is_worth_it)
{
    begin_turn_of_c();
    uint64_t load = logged(SS_ENTRY_LOAD)->number;
    answer(&log_entries[3]); /* steps of request 2 */
    answer(&log_entries[4]);
    struct logged_entry *first = latest_batch_of(3);
    cr_assert(first, "behind its load");
    tick(SS_NS_PER_S / 2);
    cr_assert_eq(controller->turn_model, 2, "its quantum passed, but it still loads");
    end_load(load);
    answer(first);
    uint64_t began_ns = controller->turn_began_ns;
    cr_assert_eq(began_ns, now_ns, "its first step is over");
    tick(4 * SS_NS_PER_S / 10);
    cr_assert_eq(controller->turn_model, 2, "no less than its load took");
    tick(SS_NS_PER_S / 10);
    cr_assert_neq(controller->turn_model, 2);
    answer_all();
    cr_assert_eq(view().answered, 3);
}

/* The turn's model found nothing to send, and nothing of it is under way. */
Test(core_overdue, a_turn_in_which_nothing_can_run_ends_at_once_if_somebody_got_on)
{
    begin_turn_of_c();
    controller->models[2].stuck = true;
    ss_overdue_decide(controller);
    cr_assert_eq(controller->models[2].turn_ended_ns, 0, "nobody got on");
    controller->turn_has_progressed = true;
    ss_overdue_decide(controller);
    cr_assert_eq(controller->models[2].turn_ended_ns, now_ns, "before its quantum began");
    answer_all();
    cr_assert_eq(view().answered, 3);
}

/* How many entries end before realtime request 50 to MODEL has its first step, beside twelve batch
 * ones to A and B that have waited for WAITED_NS when it arrives. */
static uint32_t ends_before_realtime(uint16_t model, uint64_t waited_ns, uint64_t overdue_batch_ns)
{
    options.limits.requests_max = options.limits.slots_max = 16;
    options.limits.overdue_ns = SS_NS_PER_S;
    options.limits.overdue_batch_ns = overdue_batch_ns;
    options.limits.quantum_ns = SS_NS_PER_S / 10;
    models[0].batch_max = models[1].batch_max = 1;
    log_count = 0;
    open_controller();
    warm(0, 1);
    warm(1, 2);
    for (uint64_t i = 0; i < 12; i++)
        arrive_as(SS_CLASS_BATCH, 10 + i, i % 2, 2, 14);
    tick(waited_ns);
    arrive_as(SS_CLASS_REALTIME, 50, model, 2, 2);
    uint32_t ends = 0;
    for (uint32_t at = 0; !latest_batch_of(50); at++) {
        cr_assert_lt(at, log_count, "something is under way");
        if (log_entries[at].answered)
            continue;
        now_ns += STEP_NS;
        answer(&log_entries[at]);
        ends++;
    }
    ss_controller_destroy(controller);
    controller = 0;
    return ends;
}

Test(core_overdue, realtime_goes_before_batch_requests_that_wait_for_long)
{
    for (uint16_t model = 0; model < MODELS; model++) {
        uint32_t fresh = ends_before_realtime(model, 0, 600 * SS_NS_PER_S);
        uint32_t old = ends_before_realtime(model, 10 * SS_NS_PER_S, 600 * SS_NS_PER_S);
        cr_assert_eq(old, fresh, "model %d: %u, not %u", model, old, fresh);
        cr_assert_gt(ends_before_realtime(model, 10 * SS_NS_PER_S, 0), fresh,
                     "of the same age, they go first");
    }
}

Test(core_overdue, batch_requests_have_their_turn_at_the_age_of_their_class)
{
    open_with_turns();
    controller->limits.overdue_batch_ns = 3 * SS_NS_PER_S;
    arrive_as(SS_CLASS_REALTIME, 2, 0, 2, 14);
    arrive_as(SS_CLASS_BATCH, 3, 2, 2, 2);
    tick(SS_NS_PER_S);
    cr_assert_eq(controller->turn_model, SS_NONE, "a realtime one would have its turn");
    tick(2 * SS_NS_PER_S);
    cr_assert_eq(controller->turn_model, 2);
    answer_all();
    cr_assert_eq(view().answered, 3);
}

Test(core_overdue, the_bound_of_a_class_starts_from_its_age)
{
    options.limits.slots_max = options.limits.requests_max;
    options.limits.overdue_ns = SS_NS_PER_S;
    options.limits.overdue_batch_ns = 5 * SS_NS_PER_S;
    options.limits.quantum_ns = SS_NS_PER_S;
    open_controller();
    uint64_t normal_ns = ss_controller_wait_bound_ns(controller, &rates, 2, SS_CLASS_NORMAL);
    uint64_t batch_ns = ss_controller_wait_bound_ns(controller, &rates, 2, SS_CLASS_BATCH);
    uint64_t turn_ns = 2 * LOAD_NS + SS_NS_PER_S; /* of one that comes later, at least */
    cr_assert_geq(batch_ns - normal_ns, 4 * SS_NS_PER_S + 2 * turn_ns);
    cr_assert_lt(batch_ns, UINT64_MAX);
}
