/* Prefetch: what is likely wanted next is loaded while nobody waits for the links. */
#ifndef SS_CORE_GUESS_H
#define SS_CORE_GUESS_H

#include "engine/core/state.h"

/* After all that requests need has been ordered: where the links are idle, orders a part of the
 * model whose return is worth most, over what is worth clearly less. */
void ss_guess_decide(struct ss_controller *controller);

#endif
