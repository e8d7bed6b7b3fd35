/* What every request, operator and drain is promised. */
#include <stdio.h>

#include "tests/sim/run_internal.h"

void promise_arrival(uint32_t request)
{
    run.fates[request] = (struct fate){
        .arrived = true, .accepted = true, .before = run.unanswered, .arrived_ns = run.now_ns};
    run.unanswered++;
    run.arrived++;
}

void promise_waits(uint32_t first, uint32_t count)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    for (uint32_t i = first; i < first + count; i++)
        run.fates[i].wait_max_ns = ss_controller_wait_bound_ns(controller, &run.scenario.rates,
                                                               run.scenario.requests[i].model,
                                                               run.scenario.requests[i].class);
}

/* The controller's own bound (ss_controller_wait_bound_ns). */
static void check_wait(const struct ss_action *action, const struct fate *fate)
{
    uint64_t first_ns = action->first_scheduled_ns ? action->first_scheduled_ns : run.now_ns;
    bool at_zero = fate->arrived_ns == 0; /* a first step at 0 looks like none */
    if (run.loss_begun || at_zero)
        return;
    run.seen->waits += fate->wait_max_ns != UINT64_MAX;
    run_check(first_ns - fate->arrived_ns <= fate->wait_max_ns,
              "waited longer for its first step than its bound", action->request);
}

static void check_end(const struct ss_action *action, struct fate *fate,
                      const struct scenario_request *request)
{
    uint64_t handle = action->request;
    const struct scenario *scenario = &run.scenario;
    run_check(fate->accepted && !fate->answered, "ended twice, or never accepted", handle);
    run_check(action->count == fate->tokens, "the end counts other tokens", handle);
    switch (action->reason) {
    case SS_END_LENGTH:
        run_check(fate->tokens == request->plan.tokens_max, "ended early as if by length", handle);
        break;
    case SS_END_EOS:
        run_check(fate->tokens == request->plan.eos_after && !request->plan.stops,
                  "ended at another token than eos", handle);
        break;
    case SS_END_STOP:
        run_check((fate->tokens == request->plan.eos_after && request->plan.stops) ||
                      fate->was_cancelled,
                  "stopped at another token than a stop id", handle);
        break;
    case SS_END_CANCELLED:
        run_check(fate->was_cancelled, "cancelled by nobody", handle);
        break;
    case SS_END_DEADLINE:
        run_check(request->deadline_ns && request->deadline_ns <= run.now_ns,
                  "ended before its deadline", handle);
        break;
    case SS_END_RANK_LOST:
        run_check(run.loss_begun, "no rank was lost", handle);
        break;
    default:
        run_fail("ended for a reason that only refusals have", handle);
    }
    /* Where some are more urgent than others, whoever came may have gone first. */
    bool by_age = scenario->classes == 1 && scenario->options.controller.limits.overdue_ns == 0;
    uint64_t ahead = by_age ? fate->before : run.arrived;
    uint64_t bound = (ahead + 2) * scenario->wait_max_ns_per_request;
    if (run.loss_begun)
        bound += scenario->options.controller.silence_max_ns;
    run_check(run.now_ns - fate->arrived_ns <= bound, "took longer than its bound", handle);
    check_wait(action, fate);
    fate->answered = true;
    run.unanswered--;
}

/* The controller gave a rank up: only the one that failed, and for what it did. */
static void check_loss(const struct ss_action *action)
{
    static const enum ss_loss shows[LOSS_KINDS][2] = {
        [LOSS_NONE] = {SS_LOSS_KINDS, SS_LOSS_KINDS},
        [LOSS_TOLD] = {SS_LOSS_KINDS, SS_LOSS_KINDS},
        [LOSS_FAILED] = {SS_LOSS_FAILED, SS_LOSS_FAILED},
        [LOSS_DEAD] = {SS_LOSS_SILENCE, SS_LOSS_SILENCE},
        [LOSS_REPORT] = {SS_LOSS_GAP, SS_LOSS_SILENCE},
        [LOSS_SHORT] = {SS_LOSS_LOAD, SS_LOSS_LOAD},
        [LOSS_TOKENLESS] = {SS_LOSS_TOKEN, SS_LOSS_TOKEN},
    };
    const struct scenario *scenario = &run.scenario;
    uint32_t tp = (uint32_t)scenario->options.controller.tp, rank = scenario->loss_rank;
    bool due =
        run.loss_begun && !run.loss_told &&
        (action->loss == shows[scenario->loss][0] || action->loss == shows[scenario->loss][1]);
    run.loss_told = true;
    run.seen->losses[action->loss]++;
    if (!due) {
        run_fail(ss_loss_text(action->loss), action->number);
        return;
    }
    /* Tensor-parallel peers of a dead rank compute nothing either. */
    if (scenario->loss == LOSS_DEAD)
        run_check(action->rank / tp == rank / tp, "another stage is blamed", action->rank);
    else if (scenario->loss != LOSS_TOKENLESS)
        run_check(action->rank == rank, "another rank is blamed", action->rank);
}

void promise_action(void *user, const struct ss_action *action)
{
    (void)user;
    if (action->kind == SS_ACTION_DRAINED) {
        run_check(run.drain_asked && !run.drained && run.unanswered == 0, "drained too early", 0);
        run.drained = true;
        return;
    }
    if (action->kind == SS_ACTION_CONTROL_DONE) {
        run.controls_done++;
        return;
    }
    if (action->kind == SS_ACTION_LOST) {
        check_loss(action);
        return;
    }
    struct fate *fate = &run.fates[action->request - HANDLE_BASE];
    const struct scenario_request *request = &run.scenario.requests[action->request - HANDLE_BASE];
    if (action->kind == SS_ACTION_TOKEN) {
        run_check(fate->accepted && !fate->answered, "a token after the end", action->request);
        run_check(action->token == ss_sim_token(action->request, fate->tokens), "another token",
                  action->request);
        fate->tokens++;
    } else if (action->kind == SS_ACTION_REFUSE) {
        run_check(fate->arrived && !fate->answered && fate->tokens == 0, "refused too late",
                  action->request);
        run_check(action->reason != SS_END_RANK_LOST || run.loss_begun, "no rank was lost",
                  action->request);
        run.seen->refusals[action->reason]++;
        fate->accepted = false;
        fate->answered = true;
        run.unanswered--;
    } else {
        run.seen->ends[action->reason]++;
        check_end(action, fate, request);
    }
}

/* Some sequence can always progress: while requests wait, something is under way, or will be at a
 * time that is known. */
void promise_step(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    if (controller->accepted_now == 0 || controller->outbox.cut ||
        controller->flights_now + controller->loads_now + controller->operations_now > 0 ||
        controller->wake_ns != UINT64_MAX || controller->decide_at_ns != 0 ||
        controller->acknowledge_at_ns != 0)
        return;
    run_fail("requests wait, and nothing is under way", controller->accepted_now);
}

void promise_over(void)
{
    struct ss_controller_view view;
    ss_controller_view(ss_sim_group_controller(run.group), &view);
    for (uint32_t i = 0; i < run.scenario.request_count; i++)
        run_check(run.fates[i].answered, "never answered: nothing can happen any more",
                  HANDLE_BASE + i);
    run_check(run.controls_asked == run.controls_done, "an operator was not answered", 0);
    run_check(run.drained == run.drain_asked, "the drain is not over", 0);
    run_check(view.queued == 0 && view.running == 0 && view.accepted == view.answered, "left over",
              0);
    if (!run.scenario.options.controller.emulate.copy_back)
        run_check(ss_sim_group_copied_back_bytes(run.group) == 0, "a drop moved bytes", 0);
    if (run.loss_begun && !run.loss_told && run.scenario.loss != LOSS_TOLD)
        run.seen->healed++;
}
