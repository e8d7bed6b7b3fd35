#include "tests/sim/run_internal.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/random.h"

struct run run;

uint64_t run_now_ns(void)
{
    return run.now_ns;
}

void run_fail(const char *what, uint64_t request)
{
    if (!run.failure[0])
        snprintf(run.failure, sizeof run.failure, "at %" PRIu64 " ns: request %" PRIu64 ": %s",
                 run.now_ns, request, what);
}

void run_check(bool right, const char *wrong, uint64_t request)
{
    if (!right)
        run_fail(wrong, request);
}

uint64_t run_draw(uint64_t below)
{
    return ss_random_u64(run.scenario.seed ^ 0x5eed, run.draws++) % below;
}

static const struct ss_sim_request *plan_of(void *user, uint64_t handle)
{
    (void)user;
    return &run.scenario.requests[handle - HANDLE_BASE].plan;
}

static uint32_t chunks_of(uint16_t model)
{
    const struct ss_controller_model *of = &run.scenario.models[model];
    uint32_t count = 0;
    for (int stage = 0; stage < run.scenario.options.controller.pp; stage++)
        count += of->chunk_count[stage];
    return count;
}

static void see_entry(const struct ss_entry *entry)
{
    struct seen *seen = run.seen;
    seen->entries[entry->kind]++;
    seen->prefetches += entry->kind == SS_ENTRY_LOAD && entry->lane == SS_ENTRY_LANE_PREFETCH;
    seen->partial_drops +=
        entry->kind == SS_ENTRY_DROP && entry->placement_count < chunks_of(entry->model);
    seen->copying_drops += entry->kind == SS_ENTRY_DROP && entry->copy_back;
    seen->forgets += entry->kind == SS_ENTRY_SPILL && entry->block_count == 0;
    for (uint32_t i = 0; i < entry->move_count; i++)
        *(entry->moves[i].slot == SS_NO_SLOT ? &seen->chunk_moves : &seen->block_moves) += 1;
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        seen->slices += !(entry->sequences[i].flags & SS_SEQUENCE_SAMPLE);
}

static void see(void *user, const struct ss_action *action)
{
    (void)user;
    run.seen->actions[action->kind]++;
    if (action->kind == SS_ACTION_SEND)
        see_entry(&action->entry);
    if (run.trace)
        trace_action(action);
}

void run_feed(const struct ss_event *events, uint32_t count)
{
    ss_sim_group_feed(run.group, run.now_ns, events, count);
}

void run_cancel(const uint32_t *requests, uint32_t count, enum ss_end reason)
{
    struct ss_event events[SS_ACTIONS_MIN];
    for (uint32_t done = 0; done < count;) {
        uint32_t filled = 0;
        while (done < count && filled < SS_ACTIONS_MIN) {
            run.fates[requests[done]].was_cancelled = true;
            events[filled++] = (struct ss_event){.kind = SS_EVENT_CANCELLED,
                                                 .request = HANDLE_BASE + requests[done++],
                                                 .reason = reason};
        }
        run_feed(events, filled);
    }
}

static void arrive(uint32_t first, uint32_t count)
{
    struct ss_event events[SS_ACTIONS_MIN];
    for (uint32_t i = 0; i < count; i++) {
        const struct scenario_request *request = &run.scenario.requests[first + i];
        promise_arrival(first + i);
        events[i] = (struct ss_event){.kind = SS_EVENT_ARRIVED,
                                      .request = request->plan.handle,
                                      .model = request->model,
                                      .class = request->class,
                                      .prompt_tokens = request->plan.prompt,
                                      .max_tokens = request->plan.tokens_max,
                                      .deadline_ns = request->deadline_ns};
    }
    run.seen->arrived += count;
    run_feed(events, count);
    promise_waits(first, count);
}

/* All that the client has not been answered is cancelled, as a server does when its client is gone;
 * the cancels of some cross their ends. */
static void go(uint32_t client)
{
    uint32_t requests[SCENARIO_REQUESTS_MAX], count = 0;
    for (uint32_t i = 0; i < run.scenario.request_count; i++) {
        const struct fate *fate = &run.fates[i];
        if (run.scenario.requests[i].client == client && fate->arrived &&
            (!fate->answered || run_draw(32) == 0))
            requests[count++] = i;
    }
    run_cancel(requests, count, SS_END_CANCELLED);
}

static void set_rates(uint32_t index, uint32_t tenths)
{
    uint32_t rank = run.scenario.slow[index].rank;
    uint32_t ranks =
        (uint32_t)(run.scenario.options.controller.tp * run.scenario.options.controller.pp);
    for (uint32_t i = 0; i < ranks; i++)
        if (rank == NO_RANK || rank == i)
            ss_sim_group_set_rate(run.group, i, tenths);
}

static void ask(uint32_t control)
{
    run.controls_asked++;
    run_feed(&(struct ss_event){.kind = run.scenario.controls[control].drop ? SS_EVENT_WANT_DROP
                                                                            : SS_EVENT_WANT_LOAD,
                                .request = control,
                                .model = run.scenario.controls[control].model},
             1);
}

static bool lets(void *user, const struct ss_sim_event *event)
{
    (void)user;
    if (run.trace)
        trace_event(event);
    return misfortune_lets(event);
}

static void happen(const struct ss_sim_event *event)
{
    run.now_ns = event->at_ns;
    if (event->kind < SS_SIM_KINDS) {
        if (lets(0, event))
            ss_sim_group_happen(run.group, event);
        return;
    }
    if (run.trace)
        trace_event(event);
    switch ((enum run_kind)event->kind) {
    case ARRIVES:
        arrive(event->a, event->b);
        return;
    case CANCELLED:
        run_cancel(&event->a, 1,
                   run.scenario.requests[event->a].stopped ? SS_END_STOP : SS_END_CANCELLED);
        return;
    case GONE:
        go(event->a);
        return;
    case LOST:
        run.loss_due = true;
        if (run.scenario.loss_when.kind == MOMENT_TIME)
            misfortune_lose();
        return;
    case DRAIN:
        run.drain_asked = true;
        run_feed(&(struct ss_event){.kind = SS_EVENT_DRAIN}, 1);
        return;
    case CONTROL:
        ask(event->a);
        return;
    case SLOW:
        set_rates(event->a, 1);
        return;
    case FAST:
        set_rates(event->a, 10);
        return;
    }
}

static void add(uint64_t at_ns, enum run_kind kind, uint32_t a, uint32_t b)
{
    if (at_ns > 0 || kind == ARRIVES || kind == CONTROL)
        ss_sim_queue_add(&run.queue, (struct ss_sim_event){
                                         .at_ns = at_ns, .kind = (uint16_t)kind, .a = a, .b = b});
}

static void plan(void)
{
    const struct scenario *scenario = &run.scenario;
    for (uint32_t i = 0, count; i < scenario->request_count; i += count) {
        uint64_t at_ns = scenario->requests[i].arrives_ns;
        for (count = 1; scenario->together && count < SS_ACTIONS_MIN &&
                        i + count < scenario->request_count &&
                        scenario->requests[i + count].arrives_ns == at_ns;)
            count++;
        add(at_ns, ARRIVES, i, count);
    }
    for (uint32_t i = 0; i < scenario->request_count; i++)
        add(scenario->requests[i].cancelled_ns, CANCELLED, i, 0);
    for (uint32_t i = 0; i < scenario->client_count; i++)
        add(scenario->gone_ns[i], GONE, i, 0);
    for (uint32_t i = 0; i < scenario->slow_count; i++) {
        add(scenario->slow[i].from_ns, SLOW, i, 0);
        add(scenario->slow[i].to_ns, FAST, i, 0);
    }
    add(scenario->loss == LOSS_NONE ? 0 : scenario->loss_when.at_ns, LOST, 0, 0);
    add(scenario->drain_ns, DRAIN, 0, 0);
    for (uint32_t i = 0; i < scenario->control_count; i++)
        add(scenario->controls[i].at_ns, CONTROL, i, 0);
}

static void add_seen(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    struct seen *seen = run.seen;
    struct ss_controller_view view;
    ss_controller_view(controller, &view);
    for (int from = 0; from < SS_SEQUENCE_STATES; from++)
        for (int to = 0; to < SS_SEQUENCE_STATES; to++)
            seen->sequence_changes[from][to] += controller->sequence_changes[from][to];
    for (int from = 0; from < SS_CHUNK_STATES; from++)
        for (int to = 0; to < SS_CHUNK_STATES; to++)
            seen->chunk_changes[from][to] += controller->chunk_changes[from][to];
    seen->views.accepted += view.accepted;
    seen->views.refused += view.refused;
    seen->views.loads += view.loads;
    seen->views.drops += view.drops;
    seen->views.batches += view.batches;
    seen->views.recomputed += view.recomputed;
    seen->views.spilled += view.spilled;
    seen->runs++;
}

const char *run_seed(uint64_t seed, struct seen *seen, FILE *trace)
{
    memset(&run, 0, sizeof run);
    run.seen = seen;
    run.trace = trace;
    run.idle_since_ns = UINT64_MAX;
    scenario_draw(seed, &run.scenario);
    run.scenario.options.request = plan_of;
    run.scenario.options.act = promise_action;
    run.scenario.options.see = see;
    run.scenario.options.lets = lets;
    if (ss_sim_group_create(&run.scenario.options, &run.queue, &run.group)) {
        snprintf(run.failure, sizeof run.failure, "%s", ss_status_message());
        return run.failure;
    }
    plan();
    struct ss_sim_event event;
    const char *broken = 0;
    while (!run.failure[0] && !broken && ss_sim_queue_take(&run.queue, &event)) {
        happen(&event);
        promise_step();
        promise_work();
        promise_overtaking();
        misfortune_step();
        seen->steps++;
        broken = ss_sim_group_failure(run.group);
    }
    if (broken)
        snprintf(run.failure, sizeof run.failure, "%s", broken);
    else if (!run.failure[0])
        promise_over();
    add_seen();
    ss_sim_group_destroy(run.group);
    ss_sim_queue_close(&run.queue);
    return run.failure[0] ? run.failure : 0;
}
