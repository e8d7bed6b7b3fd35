/* How much goes into a step: by tokens, and by the time that the cost model gives it. */
#ifndef SS_CORE_STEP_BOUND_H
#define SS_CORE_STEP_BOUND_H

#include "engine/core/state.h"

/* Rows of one more sequence that fit beside LOAD, whose context counts that sequence's cached
 * tokens: with them the step takes no longer than limits.step_time_max on any stage, or than what
 * the model's load still takes, if that is longer. Rows that cost nothing, since the weights are
 * read meanwhile, always fit. UINT32_MAX where the cost is unknown. */
uint32_t ss_step_bound_rows(const struct ss_controller *controller, const struct ss_model *model,
                            const struct ss_step_load *load);

/* Those alone that cost nothing. */
uint32_t ss_step_bound_hidden_rows(const struct ss_controller *controller,
                                   const struct ss_model *model, const struct ss_step_load *load);

/* The longest time of the step on any stage; 0: unknown. */
uint64_t ss_step_bound_ns(const struct ss_controller *controller, const struct ss_model *model,
                          const struct ss_step_load *load);

/* RANK took TOOK_NS for its part of a step: where the model's cost was not given, it is learnt. */
void ss_step_bound_learn(struct ss_controller *controller, struct ss_model *model, uint32_t rank,
                         const struct ss_step_load *load, bool decodes_only, uint64_t took_ns);

#endif
