/* Batches under way: what they hold, and what comes back from them. */
#ifndef SS_CORE_FLIGHT_H
#define SS_CORE_FLIGHT_H

#include "engine/core/state.h"

/* Steps that may wait on a rank, the one that runs among them: so soon does a new one get its turn.
 */
#define SS_STEPS_QUEUED_MAX 2

/* A batch may be sent: there is a place for it, and the first stage has at most one that it has not
 * done, each further stage one more (it is on its way through the stages before). So a step runs
 * and a step waits on every stage when all take equally long, and no more ever wait on the first.
 */
bool ss_flight_may_start(const struct ss_controller *controller);

/* A free place; null where as many batches are in flight as may be. */
struct ss_flight *ss_flight_place(struct ss_controller *controller);

/* The flight, with its sequences filled in, is on its way as entry NUMBER. */
void ss_flight_start(struct ss_controller *controller, struct ss_flight *flight, uint64_t number);

/* A rank reported an entry as done, and how long it took; false where no batch has that number. */
bool ss_flight_done(struct ss_controller *controller, const struct ss_report *report);

/* The tokens of a batch; each is an action, and a last one ends its request. */
void ss_flight_tokens(struct ss_controller *controller, const struct ss_report *report);

#endif
