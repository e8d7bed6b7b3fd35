/* Random runs of the controller against simulated ranks, checked after every step.
 *
 *     sim_random --seeds A..B [--verbose]
 *
 * Stops at the first seed that breaks a promise, and prints the command that replays it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "tests/sim/scenario.h"

enum kind { ARRIVES = SS_SIM_KINDS, CANCELLED, LOST, DRAIN, CONTROL };

struct fate {
    bool arrived, accepted, answered, was_cancelled;
    uint32_t tokens;
    uint32_t before; /* accepted and unanswered when it arrived */
    uint64_t arrived_ns;
};

struct run {
    struct scenario scenario;
    struct ss_sim_queue queue;
    struct ss_sim_group *group;
    struct fate fates[SCENARIO_REQUESTS_MAX];
    uint32_t unanswered, controls_asked, controls_done;
    uint64_t now_ns;
    bool lost, drain_asked, drained, verbose;
    char failure[256];
};

static struct run run;
static uint64_t current_seed;

static void fail(const char *what, uint64_t request)
{
    if (!run.failure[0])
        snprintf(run.failure, sizeof run.failure, "at %" PRIu64 " ns: request %" PRIu64 ": %s",
                 run.now_ns, request, what);
}

static void check(bool right, const char *wrong, uint64_t request)
{
    if (!right)
        fail(wrong, request);
}

static const struct ss_sim_request *plan_of(void *user, uint64_t handle)
{
    (void)user;
    return &run.scenario.requests[handle - 1000].plan;
}

static void check_end(const struct ss_action *action, struct fate *fate,
                      const struct scenario_request *request)
{
    uint64_t handle = action->request;
    check(fate->accepted && !fate->answered, "ended twice, or never accepted", handle);
    check(action->count == fate->tokens, "the end counts other tokens", handle);
    switch (action->reason) {
    case SS_END_LENGTH:
        check(fate->tokens == request->plan.tokens_max, "ended early as if by length", handle);
        break;
    case SS_END_EOS:
        check(fate->tokens == request->plan.eos_after, "ended at another token than eos", handle);
        break;
    case SS_END_CANCELLED:
        check(fate->was_cancelled, "cancelled by nobody", handle);
        break;
    case SS_END_DEADLINE:
        check(request->deadline_ns && request->deadline_ns <= run.now_ns,
              "ended before its deadline", handle);
        break;
    case SS_END_RANK_LOST:
        check(run.lost, "no rank was lost", handle);
        break;
    default:
        fail("ended for a reason that only refusals have", handle);
    }
    uint64_t bound = (fate->before + 2) * run.scenario.wait_max_ns_per_request;
    check(run.now_ns - fate->arrived_ns <= bound, "took longer than its bound", handle);
    fate->answered = true;
    run.unanswered--;
}

static void act(void *user, const struct ss_action *action)
{
    (void)user;
    if (action->kind == SS_ACTION_DRAINED) {
        check(run.drain_asked && !run.drained && run.unanswered == 0, "drained too early", 0);
        run.drained = true;
        return;
    }
    if (action->kind == SS_ACTION_CONTROL_DONE) {
        run.controls_done++;
        return;
    }
    if (action->kind == SS_ACTION_LOST) {
        fail(ss_loss_text(action->loss), action->number);
        return;
    }
    struct fate *fate = &run.fates[action->request - 1000];
    const struct scenario_request *request = &run.scenario.requests[action->request - 1000];
    if (action->kind == SS_ACTION_TOKEN) {
        check(fate->accepted && !fate->answered, "a token after the end", action->request);
        check(action->token == ss_sim_token(action->request, fate->tokens), "another token",
              action->request);
        fate->tokens++;
    } else if (action->kind == SS_ACTION_REFUSE) {
        check(fate->arrived && !fate->answered && fate->tokens == 0, "refused too late",
              action->request);
        fate->accepted = false;
        fate->answered = true;
        run.unanswered--;
    } else {
        check_end(action, fate, request);
    }
}

static void feed(const struct ss_event *event)
{
    ss_sim_group_feed(run.group, run.now_ns, event, 1);
}

static void arrive(uint32_t index)
{
    const struct scenario_request *request = &run.scenario.requests[index];
    struct fate *fate = &run.fates[index];
    *fate = (struct fate){
        .arrived = true, .accepted = true, .before = run.unanswered, .arrived_ns = run.now_ns};
    run.unanswered++;
    feed(&(struct ss_event){.kind = SS_EVENT_ARRIVED,
                            .class = SS_CLASS_NORMAL,
                            .request = request->plan.handle,
                            .model = request->model,
                            .prompt_tokens = request->plan.prompt,
                            .max_tokens = request->plan.tokens_max,
                            .deadline_ns = request->deadline_ns});
}

static void happen(const struct ss_sim_event *event)
{
    run.now_ns = event->at_ns;
    if (event->kind < SS_SIM_KINDS) {
        ss_sim_group_happen(run.group, event);
        return;
    }
    switch ((enum kind)event->kind) {
    case ARRIVES:
        arrive(event->a);
        return;
    case CANCELLED:
        run.fates[event->a].was_cancelled = true;
        feed(&(struct ss_event){
            .kind = SS_EVENT_CANCELLED, .request = 1000 + event->a, .reason = SS_END_CANCELLED});
        return;
    case LOST:
        run.lost = true;
        feed(&(struct ss_event){.kind = SS_EVENT_RANK_LOST});
        return;
    case DRAIN:
        run.drain_asked = true;
        feed(&(struct ss_event){.kind = SS_EVENT_DRAIN});
        return;
    case CONTROL:
        run.controls_asked++;
        feed(&(struct ss_event){.kind = run.scenario.controls[event->a].drop ? SS_EVENT_WANT_DROP
                                                                             : SS_EVENT_WANT_LOAD,
                                .request = event->a,
                                .model = run.scenario.controls[event->a].model});
        return;
    }
}

static void add(uint64_t at_ns, enum kind kind, uint32_t a)
{
    ss_sim_queue_add(&run.queue, (struct ss_sim_event){.at_ns = at_ns, .kind = (int)kind, .a = a});
}

static void plan(void)
{
    const struct scenario *scenario = &run.scenario;
    for (uint32_t i = 0; i < scenario->request_count; i++) {
        add(scenario->requests[i].arrives_ns, ARRIVES, i);
        if (scenario->requests[i].cancelled_ns)
            add(scenario->requests[i].cancelled_ns, CANCELLED, i);
    }
    if (scenario->lost_ns)
        add(scenario->lost_ns, LOST, 0);
    if (scenario->drain_ns)
        add(scenario->drain_ns, DRAIN, 0);
    for (uint32_t i = 0; i < scenario->control_count; i++)
        add(scenario->controls[i].at_ns, CONTROL, i);
}

static void check_over(void)
{
    struct ss_controller_view view;
    ss_controller_view(ss_sim_group_controller(run.group), &view);
    for (uint32_t i = 0; i < run.scenario.request_count; i++)
        check(run.fates[i].answered, "never answered: nothing can happen any more", 1000 + i);
    check(run.controls_asked == run.controls_done, "an operator was not answered", 0);
    check(run.drained == run.drain_asked, "the drain is not over", 0);
    check(view.queued == 0 && view.running == 0 && view.accepted == view.answered, "left over", 0);
    if (!run.scenario.options.controller.emulate.copy_back)
        check(ss_sim_group_copied_back_bytes(run.group) == 0, "a drop moved bytes", 0);
}

static bool run_seed(uint64_t seed, struct ss_controller_view *sum)
{
    bool verbose = run.verbose;
    memset(&run, 0, sizeof run);
    run.verbose = verbose;
    current_seed = seed;
    scenario_draw(seed, &run.scenario);
    run.scenario.options.request = plan_of;
    run.scenario.options.act = act;
    enum ss_status status = ss_sim_group_create(&run.scenario.options, &run.queue, &run.group);
    if (status != SS_OK) {
        snprintf(run.failure, sizeof run.failure, "%s", ss_status_message());
        return false;
    }
    if (run.scenario.slow_rank != NO_RANK)
        ss_sim_group_set_rate(run.group, run.scenario.slow_rank, 1);
    plan();
    struct ss_sim_event event;
    const char *broken = 0;
    while (!run.failure[0] && !broken && ss_sim_queue_take(&run.queue, &event)) {
        happen(&event);
        broken = ss_sim_group_failure(run.group);
    }
    if (broken)
        snprintf(run.failure, sizeof run.failure, "%s", broken);
    else
        check_over();
    struct ss_controller_view view;
    ss_controller_view(ss_sim_group_controller(run.group), &view);
    sum->accepted += view.accepted;
    sum->loads += view.loads;
    sum->drops += view.drops;
    sum->batches += view.batches;
    sum->recomputed += view.recomputed;
    sum->spilled += view.spilled;
    sum->refused += view.refused;
    sum->load_bytes += ss_sim_group_entries(run.group, SS_ENTRY_MOVE); /* of use as a count here */
    ss_sim_group_destroy(run.group);
    ss_sim_queue_close(&run.queue);
    return !run.failure[0];
}

static void say_seed(int signal_number)
{
    char line[160];
    int bytes = snprintf(line, sizeof line,
                         "seed %" PRIu64 " was aborted at %" PRIu64
                         " ns; replay: sim_random --seeds %" PRIu64 "..%" PRIu64 "\n",
                         current_seed, run.now_ns, current_seed, current_seed);
    if (write(STDERR_FILENO, line, (size_t)bytes) != bytes)
        _exit(3);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    uint64_t first = 1, last = 1000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            run.verbose = true;
        else if (strcmp(argv[i], "--seeds") != 0 || ++i == argc ||
                 sscanf(argv[i], "%" SCNu64 "..%" SCNu64, &first, &last) != 2) {
            fprintf(stderr, "usage: sim_random --seeds A..B [--verbose]\n");
            return 2;
        }
    }
    signal(SIGABRT, say_seed);
    signal(SIGSEGV, say_seed);
    struct ss_controller_view sum = {0};
    for (uint64_t seed = first; seed <= last; seed++) {
        bool held = run_seed(seed, &sum);
        if (run.verbose)
            printf("seed %" PRIu64 ": over at %" PRIu64 " ns\n", seed, run.now_ns);
        if (held)
            continue;
        fprintf(stderr,
                "seed %" PRIu64 ": %s\nreplay: sim_random --seeds %" PRIu64 "..%" PRIu64 "\n", seed,
                run.failure, seed, seed);
        return 1;
    }
    printf("seeds %" PRIu64 "..%" PRIu64 ": all promises held; %" PRIu64
           " requests accepted, %" PRIu64 " refused, %" PRIu64 " loads, %" PRIu64 " drops, %" PRIu64
           " batches, %" PRIu64 " recomputed, %" PRIu64 " spilled, %" PRIu64 " compactions\n",
           first, last, sum.accepted, sum.refused, sum.loads, sum.drops, sum.batches,
           sum.recomputed, sum.spilled, sum.load_bytes);
    return 0;
}
