/* The promise of work conservation: the ranks are not idle while work could be done.
 *
 * Never, for longer than a decision may take (no time; with emulated polling a tick of each of its
 * two loops), does the first stage have no batch that it has not reported as done, and is there a
 * place for one more in flight, while some request can take a step:
 *   - all chunks of its model are resident on all ranks, and the load that brought them has ended
 *     if it was cancelled, or with emulate.wait_whole_load;
 *   - it has a slot and no step under way, or may take one (ss_model_places(); the last free one is
 *     kept for whoever goes first of all that wait);
 *   - its KV is in the pool or still to be computed, and the pages that its next step needs are
 *     free beside what all that goes before it still claims.
 * So no rule is an excuse but precedence, by which pages and slots are kept: patience and stall_max
 * concern chunks that are on their way, shares and turns say who goes first, not that nobody does.
 */
#include "engine/core/block.h"
#include "engine/core/flight.h"
#include "engine/core/model.h"
#include "engine/core/precedence.h"
#include "engine/core/sequence.h"
#include "tests/sim/run_internal.h"

#define POLL_NS 30000000 /* one wait for an acknowledgement, one for a decision */

static const struct ss_controller *controller;

static bool is_there(const struct ss_model *model)
{
    for (int state = 0; state < SS_CHUNK_STATES; state++)
        if (state != SS_CHUNK_RESIDENT && model->chunks_in[state] > 0)
            return false;
    return model->load == SS_NONE ||
           !(controller->emulate.wait_whole_load || controller->loads[model->load].cancelled);
}

static void add_rest(const struct ss_model *model, uint32_t index, uint64_t pages[SS_STAGES_MAX])
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint32_t end = ss_blocks_at_end(controller, sequence);
    for (int stage = 0; stage < controller->pp && end > has; stage++)
        pages[stage] += (uint64_t)(end - has) * model->block_pages[stage];
}

/* What all that goes before ORDER still claims: sequences of models that are there or on their way,
 * as far as they have or may take a slot, and a load that found no room. */
static void add_claims(uint64_t order, uint64_t pages[SS_STAGES_MAX])
{
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        uint32_t queued = ss_model_first_queued(controller, model);
        if (!ss_model_is_loaded(controller, model))
            continue;
        if (queued != SS_NONE && ss_precedence_of(controller, queued) < order)
            add_rest(model, queued, pages);
        for (int class = 0; class < SS_CLASSES; class ++)
            for (uint32_t at = model->live[class].first; at != SS_NONE;
                 at = controller->sequences[at].next)
                if (ss_precedence_of(controller, at) < order)
                    add_rest(model, at, pages);
    }
    for (int stage = 0; stage < controller->pp && controller->blocked_order < order; stage++)
        pages[stage] += controller->blocked_need[stage];
}

static bool has_room(const struct ss_model *model, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint32_t wants = ss_blocks_of(controller, ss_sequence_known(sequence));
    uint64_t pages[SS_STAGES_MAX] = {0};
    if (wants <= has)
        return true;
    add_claims(ss_precedence_of(controller, index), pages);
    for (int stage = 0; stage < controller->pp; stage++) {
        pages[stage] += (uint64_t)(wants - has) * model->block_pages[stage];
        /* Scattered pages have to be joined first, which cannot always be. */
        if (ss_pool_largest_run(&controller->pools[stage]) < pages[stage])
            return false;
    }
    return true;
}

static bool can_step(const struct ss_model *model, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    bool begun = sequence->state == SS_SEQUENCE_RUNNING || sequence->state == SS_SEQUENCE_ASIDE;
    return begun && sequence->issued < sequence->tokens_max &&
           sequence->issued == sequence->reported && sequence->slices == 0 &&
           has_room(model, index);
}

/* The handle of a request that can take a step; 0: none can. */
static uint64_t find_work(void)
{
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        if (model->queued + model->running == 0 || !is_there(model))
            continue;
        uint32_t queued = ss_model_first_queued(controller, model);
        bool place = model->running < ss_model_places(controller, model);
        if (queued != SS_NONE && place && ss_sequence_may_open(controller, queued) &&
            has_room(model, queued))
            return controller->sequences[queued].handle;
        for (int class = 0; class < SS_CLASSES; class ++)
            for (uint32_t at = model->live[class].first; at != SS_NONE;
                 at = controller->sequences[at].next)
                if (can_step(model, at))
                    return controller->sequences[at].handle;
    }
    return 0;
}

static bool first_stage_is_idle(void)
{
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        if (controller->flights[i].number != 0 && controller->flights[i].stage_left[0] > 0)
            return false;
    return ss_flight_may_start(controller);
}

void promise_work(void)
{
    controller = ss_sim_group_controller(run.group);
    uint64_t handle = 0;
    if (!controller->lost && !controller->outbox.cut && first_stage_is_idle())
        handle = find_work();
    if (handle == 0) {
        run.idle_since_ns = UINT64_MAX;
        return;
    }
    if (run.idle_since_ns == UINT64_MAX)
        run.idle_since_ns = run.now_ns;
    run_check(run.now_ns - run.idle_since_ns <= (controller->emulate.poll ? POLL_NS : 0),
              "could take a step, and the ranks were idle", handle);
}
