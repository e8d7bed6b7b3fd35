/* One batch of one model: which of its sequences take part, and with how many tokens. */
#ifndef SS_CORE_COMPOSE_H
#define SS_CORE_COMPOSE_H

#include "engine/core/state.h"

/* Sends a batch of at most SEQUENCES_MAX sequences of MODEL, the first of LEVEL (precedence.h) or
 * of one before it. With FRESH_ONLY, sequences whose last step has not reported yet take part only
 * where no other can. False where nothing of LEVEL can run now, or no entry can be sent now. */
bool ss_compose_batch(struct ss_controller *controller, uint16_t model, uint32_t sequences_max,
                      bool fresh_only, uint64_t level);

#endif
