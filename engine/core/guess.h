/* Prefetch: what is likely wanted next is loaded while nobody waits for the links. */
#ifndef SS_CORE_GUESS_H
#define SS_CORE_GUESS_H

#include "engine/core/state.h"

/* So many bytes of a guess of the model, on one rank of each stage, were borne out by a request, or
 * dropped before one came. */
void ss_guess_judge(struct ss_controller *controller, const struct ss_model *model, uint64_t bytes,
                    bool right);

/* After all that requests need has been ordered: where the links are idle, orders a part of the
 * model whose return is worth most, over what is worth clearly less. */
void ss_guess_decide(struct ss_controller *controller);

#endif
