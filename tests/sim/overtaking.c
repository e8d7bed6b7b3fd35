/* The promise of overtaking: a realtime request has the next step, whatever is open.
 *
 * While a realtime request can take a step (could_step.c), the first batch of a decision begins
 * with a realtime one. Two rules are excuses: the share that realtime requests have had already,
 * and the turns of overdue models. Not judged is what follows a load (it counts for the share) or a
 * drop or a forgotten sequence (whose pages the realtime request did not find) in the same
 * decision.
 */
#include "engine/core/state.h"
#include "tests/sim/run_internal.h"

static bool is_excused(const struct ss_controller *controller)
{
    uint32_t index;
    return controller->lost || controller->outbox.cut ||
           controller->class_yields[SS_CLASS_REALTIME] || controller->turn_model != SS_NONE ||
           ss_deadlines_first(&controller->line, &index) <= run.now_ns;
}

/* The first batch after entry SENT, where it can be judged; null: none. */
static const struct ss_flight *first_batch(const struct ss_controller *controller, uint64_t sent)
{
    const struct ss_flight *first = 0;
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++) {
        const struct ss_flight *flight = &controller->flights[i];
        if (flight->number > sent && (!first || flight->number < first->number))
            first = flight;
    }
    for (uint32_t i = 0; first && i < controller->limits.loads_in_flight; i++)
        if (controller->loads[i].number > sent && controller->loads[i].number < first->number)
            return 0;
    return first;
}

void promise_overtaking(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    uint64_t sent = run.entries_seen;
    uint64_t freed = controller->drop_count + controller->recomputed;
    uint64_t decisions = ss_sim_group_decisions(run.group);
    bool excused =
        run.overtaking_excused || freed != run.freed_seen || decisions != run.decisions_seen + 1;
    run.entries_seen = controller->outbox.number;
    run.freed_seen = freed;
    run.decisions_seen = decisions;
    run.overtaking_excused = is_excused(controller);
    if (controller->outbox.number == sent || excused || run.overtaking_excused)
        return;
    const struct ss_flight *flight = first_batch(controller, sent);
    uint64_t handle = flight ? run_could_step(SS_CLASS_REALTIME) : 0;
    if (handle != 0)
        run_check(controller->sequences[flight->sequences[0].index].class == SS_CLASS_REALTIME,
                  "realtime, and a batch went out before it", handle);
}
