/* Which request could take a step now, judged from the controller's tables, apart from its
 * decisions:
 *   - all chunks of its model are resident on all ranks, and the load that brought them has ended
 *     if it was cancelled, or with emulate.wait_whole_load;
 *   - it has a slot and no step under way, or may take one (ss_model_places(); the last free one is
 *     kept for whoever goes first of all that wait);
 *   - its KV is in the pool or still to be computed, and the pages that its next step needs are
 *     free beside what all that goes before it still claims. */
#include "engine/core/block.h"
#include "engine/core/block_need.h"
#include "engine/core/head.h"
#include "engine/core/model.h"
#include "engine/core/precedence.h"
#include "engine/core/sequence.h"
#include "tests/sim/run_internal.h"

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
        uint32_t queued = ss_head_queued(controller, model);
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

/* It may be opened: its model has a place, or it goes before one that is open. */
static bool has_place(const struct ss_model *model, uint32_t queued)
{
    if (!ss_head_may_open(controller, queued))
        return false;
    if (model->running < ss_model_places(controller, model))
        return true;
    for (int class = 0; class < SS_CLASSES; class ++)
        if (model->live[class].last != SS_NONE &&
            ss_precedence_of(controller, model->live[class].last) >
                ss_precedence_of(controller, queued))
            return true;
    return false;
}

uint64_t run_could_step(enum ss_class last)
{
    controller = ss_sim_group_controller(run.group);
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        if (model->queued + model->running == 0 || !is_there(model))
            continue;
        uint32_t queued = ss_head_queued(controller, model);
        if (queued != SS_NONE && controller->sequences[queued].class <= (uint8_t)last &&
            has_place(model, queued) && has_room(model, queued))
            return controller->sequences[queued].handle;
        for (int class = 0; class <= (int)last; class ++)
            for (uint32_t at = model->live[class].first; at != SS_NONE;
                 at = controller->sequences[at].next)
                if (can_step(model, at))
                    return controller->sequences[at].handle;
    }
    return 0;
}
