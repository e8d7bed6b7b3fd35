/* One batch of one model: which of its sequences take part, and with how many tokens. */
#ifndef SS_CORE_COMPOSE_H
#define SS_CORE_COMPOSE_H

#include "engine/core/state.h"

struct ss_batch_form {
    uint32_t sequences_max;
    bool fresh_only;  /* sequences whose last step has not reported yet take part only where no
                         other can */
    bool hidden_only; /* of prompts no more than hides behind the reading of the weights, where that
                         is known; at least a block */
    uint64_t level;   /* the first is of this level (precedence.h) or of one before it */
};

/* Sends a batch of MODEL. False where nothing of that form can run now, or no entry can be sent
 * now.
 */
bool ss_compose_batch(struct ss_controller *controller, uint16_t model,
                      const struct ss_batch_form *form);

#endif
