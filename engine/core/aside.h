/* Sequences that make room: their KV is spilled to the host where there is room, else forgotten and
 * computed again. Either way they go on with the same tokens. */
#ifndef SS_CORE_ASIDE_H
#define SS_CORE_ASIDE_H

#include "engine/core/state.h"

/* Sets a RUNNING sequence with blocks aside: between steps, by the order of entries; steps under
 * way still report. False where no entry can be sent now. */
bool ss_aside_set(struct ss_controller *controller, uint32_t index);

/* Brings a SPILLED sequence's blocks back, for which room was made. False where that cannot be now.
 */
bool ss_aside_restore(struct ss_controller *controller, uint32_t index);

#endif
