/* What arrived of loads, by what all ranks say together: a chunk counts when all tensor-parallel
 * ranks hold it. */
#ifndef SS_CORE_SETTLE_H
#define SS_CORE_SETTLE_H

#include "engine/core/state.h"

/* RANK tells that the first COUNT chunks of its part of load NUMBER are there; ENDED: that it is
 * over. Takes effect with ss_settle_loads(). */
void ss_settle_report(struct ss_controller *controller, uint64_t number, uint32_t rank,
                      uint32_t count, bool ended);

/* What was reported takes effect: chunks that all ranks hold are resident; loads that all ranks
 * ended are over, and what not all hold is dropped. */
void ss_settle_loads(struct ss_controller *controller);

#endif
