/* Where chunks go that are loaded, and the entry that brings them. */
#ifndef SS_CORE_PLACING_H
#define SS_CORE_PLACING_H

#include "engine/core/state.h"

/* Orders the model's absent chunks that lie before END of each stage; null: all of them, and
 * somebody waits for them. With END it is a guess, in the low lane. False where they find no place
 * in the free pages, or no entry can be sent now. */
bool ss_placing_start_load(struct ss_controller *controller, uint16_t model, const uint32_t *end);

/* Pages of the absent chunks of a stage before END. */
uint32_t ss_placing_absent_pages(const struct ss_model *model, uint16_t stage, uint32_t end);

#endif
