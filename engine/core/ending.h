/* How requests end: answered once, then their slots are closed. */
#ifndef SS_CORE_ENDING_H
#define SS_CORE_ENDING_H

#include "engine/core/state.h"

/* Answers the request of a sequence and gives up what it has, as soon as that is free. */
void ss_ending_end(struct ss_controller *controller, uint32_t index, enum ss_end reason);

/* Names the slots that ended in a CLOSE entry; they are free then. False where no entry can be sent
 * now: nothing else may be sent before it, as later entries use the closed slots' pages. */
bool ss_ending_close(struct ss_controller *controller);

#endif
