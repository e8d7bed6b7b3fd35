/* What an answer takes at least, so that a deadline which cannot be met is refused at the door. */
#ifndef SS_CORE_ESTIMATE_H
#define SS_CORE_ESTIMATE_H

#include "engine/core/state.h"

/* From now to the end of the arriving request's answer, from below: missing bytes at the best rate
 * that is known, one step for each batch of requests of its class and model ahead, its prompt, and
 * a way through all stages for each token that it must have (event->min_tokens). What is unknown
 * counts nothing; costs that were learnt count half, being averages. */
uint64_t ss_estimate_least_ns(const struct ss_controller *controller, const struct ss_event *event);

#endif
