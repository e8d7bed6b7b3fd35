/* Which free pages chunks and KV blocks get. Where free pages are scattered, ranges are moved to
 * join them. */
#ifndef SS_CORE_PLACING_H
#define SS_CORE_PLACING_H

#include "engine/core/state.h"

/* Places for the model's absent chunks before END of each stage, as fixed ranges. False, with
 * nothing taken, where they do not fit, or ranges cannot be moved now. */
bool ss_placing_take_chunks(struct ss_controller *controller, uint16_t model, const uint32_t *end);

/* Gives them back, as long as the chunks are absent. */
void ss_placing_release_chunks(struct ss_controller *controller, uint16_t model,
                               const uint32_t *end);

/* Takes COUNT blocks more on every stage, behind those that sequence INDEX has, as fixed ranges.
 * False, with nothing taken, where that cannot be now. The sequence has its slot's number. */
bool ss_placing_take_blocks(struct ss_controller *controller, uint32_t index, uint32_t count);

#endif
