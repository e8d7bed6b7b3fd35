/* Batches: which model steps next, and which of its sequences take part. */
#ifndef SS_CORE_BATCHING_H
#define SS_CORE_BATCHING_H

#include "engine/core/state.h"

/* Sends batches while there is something to run and a place in flight. True if it sent any, or
 * found a model that had become stuck: loads may be decided otherwise then. */
bool ss_batching_decide(struct ss_controller *controller);

#endif
