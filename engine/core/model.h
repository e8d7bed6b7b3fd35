/* Models: which of their chunks are where, and which of them have work. */
#ifndef SS_CORE_MODEL_H
#define SS_CORE_MODEL_H

#include "engine/core/state.h"

bool ss_chunk_may_become(enum ss_chunk_state from, enum ss_chunk_state to);

/* The one setter of a chunk's state. ABSENT gives its pages back; LOADING wants them taken, at
 * chunk->page; pages of loading and dropping chunks are fixed, of dropping ones leaving. */
void ss_chunk_set(struct ss_controller *controller, uint16_t model, uint16_t stage, uint32_t chunk,
                  enum ss_chunk_state state);

/* Puts the model in or out of the list of active ones, after its work has changed. */
void ss_model_note_work(struct ss_controller *controller, uint16_t model);

/* A request was accepted: for the price of the model's absence; a guess that it would be
 * wanted was right. */
void ss_model_note_arrival(struct ss_controller *controller, uint16_t model);

/* As many sequences of the model may be open at once, before those that go before others open
 * beside them: a batch for each that may be in flight. With no more than one for each stage,
 * batches are as many as are in flight but not full, since those wait for their tokens in between.
 */
static inline uint32_t ss_model_places(const struct ss_controller *controller,
                                       const struct ss_model *model)
{
    uint32_t stages = (uint32_t)controller->pp, flights = controller->limits.batches_in_flight;
    return model->batch_max * (stages > flights ? stages : flights);
}

/* All chunks are resident or on their way, and stay so. */
static inline bool ss_model_is_loaded(const struct ss_controller *controller,
                                      const struct ss_model *model)
{
    return model->chunks_in[SS_CHUNK_ABSENT] == 0 && model->chunks_in[SS_CHUNK_DROPPING] == 0 &&
           (model->load == SS_NONE || !controller->loads[model->load].cancelled);
}

/* Everything that its requests still need has been sent to the ranks. */
bool ss_model_is_finishing(const struct ss_controller *controller, const struct ss_model *model);

/* Pages of the absent chunks of a stage before END. */
uint32_t ss_model_absent_pages(const struct ss_model *model, uint16_t stage, uint32_t end);

/* What its answers took on average, from their first steps on; 0: none is complete. */
double ss_model_answer_ns(const struct ss_model *model);

#endif
