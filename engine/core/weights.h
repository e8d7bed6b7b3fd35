/* What is ordered for a model's weights: loads, drops, cancels. */
#ifndef SS_CORE_WEIGHTS_H
#define SS_CORE_WEIGHTS_H

#include "engine/core/state.h"

/* Orders the model's absent chunks that lie before END of each stage; null: all of them, and
 * somebody waits for them. With END it is a guess, in the low lane. False where they find no place
 * in the free pages, or no entry can be sent now. */
bool ss_weights_load(struct ss_controller *controller, uint16_t model, const uint32_t *end);

/* Drops resident chunks of a model, from the tail of each stage, until PAGES of the stage are free;
 * null: all of them. False where no entry can be sent now. */
bool ss_weights_drop(struct ss_controller *controller, uint16_t model, const uint32_t *pages);

/* Asks the ranks to stop a load. False where no entry can be sent now. */
bool ss_weights_cancel(struct ss_controller *controller, struct ss_load *load);

#endif
