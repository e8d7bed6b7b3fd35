/* Batches under way: what they hold, and what comes back from them. */
#ifndef SS_CORE_FLIGHT_H
#define SS_CORE_FLIGHT_H

#include "engine/core/state.h"

/* A free place; null where as many batches are in flight as may be. */
struct ss_flight *ss_flight_place(struct ss_controller *controller);

/* The flight, with its sequences filled in, is on its way as entry NUMBER. */
void ss_flight_start(struct ss_controller *controller, struct ss_flight *flight, uint64_t number);

/* RANK reported batch NUMBER as done; false where there is none. */
bool ss_flight_done(struct ss_controller *controller, uint64_t number, uint32_t rank);

/* The tokens of a batch; each is an action, and a last one ends its request. */
void ss_flight_tokens(struct ss_controller *controller, const struct ss_report *report);

#endif
