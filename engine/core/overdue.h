/* Nobody waits without end: the turns of overdue models.
 *
 * A model is overdue when a request of it has waited for its first step for the age of its class
 * (limits.overdue_ns, overdue_batch_ns), or when requests of it that have begun have had no step
 * for as long. Overdue models stand in line by when they became so, and have turns, one at a time.
 * A turn overrides policy, price and class: the model's load goes first, takes room from all
 * others, and its requests that wait for their first step get it before other steps do (realtime
 * ones keep their share of the steps). It lasts for limits.quantum_ns from its first step, and
 * until a request began or got a token; what is still overdue then stands last in line. While one
 * stands in line, only the model whose turn it is, and the next, may load.
 *
 * README.md says what bound on a request's wait follows. */
#ifndef SS_CORE_OVERDUE_H
#define SS_CORE_OVERDUE_H

#include "engine/core/state.h"

/* Puts the model in its place in line, after its requests changed or a batch of it was sent. */
void ss_overdue_note(struct ss_controller *controller, uint16_t model);

/* Ends a turn that is over and begins the next; sets the time of the next change. */
void ss_overdue_decide(struct ss_controller *controller);

/* A batch of the model was sent; GETS_ON: it begins a request or generates a token. */
void ss_overdue_served(struct ss_controller *controller, uint16_t model, bool gets_on);

/* A batch of the model is over. */
void ss_overdue_step_over(struct ss_controller *controller, uint16_t model);

/* Some model is overdue and has not its turn. */
bool ss_overdue_waits(const struct ss_controller *controller);

/* 0: it is the model's turn; 1: its turn is next, and it is overdue; 2: neither. Smaller ones load
 * first, whatever the policy; while ss_overdue_waits(), those of 2 do not load. */
int ss_overdue_rank(const struct ss_controller *controller, uint16_t model);

#endif
