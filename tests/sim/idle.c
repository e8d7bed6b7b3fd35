/* The promise of work conservation: the ranks are not idle while work could be done.
 *
 * Never, for longer than a decision may take (no time; with emulated polling a tick of each of its
 * two loops), does the first stage have no batch that it has not reported as done, and is there a
 * place for one more in flight, while some request can take a step (could_step.c).
 *
 * So no rule is an excuse but precedence, by which pages and slots are kept: patience and stall_max
 * concern chunks that are on their way, shares and turns say who goes first, not that nobody does.
 */
#include "engine/core/flight.h"
#include "tests/sim/run_internal.h"

#define POLL_NS 30000000 /* one wait for an acknowledgement, one for a decision */

static bool first_stage_is_idle(const struct ss_controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        if (controller->flights[i].number != 0 && controller->flights[i].stage_left[0] > 0)
            return false;
    return ss_flight_may_start(controller);
}

void promise_work(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    uint64_t handle = 0;
    if (!controller->lost && !controller->outbox.cut && first_stage_is_idle(controller))
        handle = run_could_step(SS_CLASS_BATCH);
    if (handle == 0) {
        run.idle_since_ns = UINT64_MAX;
        return;
    }
    if (run.idle_since_ns == UINT64_MAX)
        run.idle_since_ns = run.now_ns;
    run_check(run.now_ns - run.idle_since_ns <= (controller->emulate.poll ? POLL_NS : 0),
              "could take a step, and the ranks were idle", handle);
}
