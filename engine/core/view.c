/* What can be seen of the controller from outside. */
#include "engine/core/state.h"

void ss_controller_view(const struct ss_controller *controller, struct ss_controller_view *out)
{
    *out = (struct ss_controller_view){
        .accepted = controller->accepted,
        .answered = controller->answered,
        .refused = controller->refused,
        .loads = controller->load_count,
        .drops = controller->drop_count,
        .batches = controller->batch_count,
        .recomputed = controller->recomputed,
        .spilled = controller->spilled,
        .load_bytes = controller->load_bytes,
        .guesses = controller->guesses,
        .guess_bytes = controller->guess_bytes,
        .guess_hit_bytes = controller->guess_hit_bytes,
        .guess_wasted_bytes = controller->guess_wasted_bytes,
        .queued = controller->slotless_count,
        .running = controller->accepted_now - controller->slotless_count,
        .draining = controller->draining,
    };
    for (int stage = 0; stage < controller->pp; stage++)
        out->pool_pages_used[stage] =
            controller->pools[stage].pages - ss_pool_free_pages(&controller->pools[stage]);
}

static enum ss_residency residency_of(const struct ss_model *model, uint32_t chunks)
{
    if (model->chunks_in[SS_CHUNK_RESIDENT] == chunks)
        return SS_RESIDENT;
    if (model->chunks_in[SS_CHUNK_LOADING] > 0)
        return SS_LOADING;
    return model->chunks_in[SS_CHUNK_RESIDENT] > 0 ? SS_PARTIAL : SS_ABSENT;
}

void ss_controller_view_model(const struct ss_controller *controller, uint16_t index,
                              struct ss_model_view *out)
{
    SS_ASSERT(index < controller->model_count);
    const struct ss_model *model = &controller->models[index];
    uint32_t chunks = 0, tp = (uint32_t)controller->tp;
    for (int stage = 0; stage < controller->pp; stage++)
        chunks += model->chunk_count[stage];
    *out = (struct ss_model_view){
        .residency = residency_of(model, chunks),
        .chunks = chunks * tp,
        .resident_chunks = model->chunks_in[SS_CHUNK_RESIDENT] * tp,
        .resident_bytes = model->bytes_in[SS_CHUNK_RESIDENT] * tp,
        .queued = model->queued,
        .running = model->running,
        .answered = model->answered,
        .tokens = model->tokens,
        .loads = model->loads,
        .drops = model->drops,
    };
}
