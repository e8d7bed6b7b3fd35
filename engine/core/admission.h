/* The door: what is accepted, what is refused and why, and what leaves before it has run. */
#ifndef SS_CORE_ADMISSION_H
#define SS_CORE_ADMISSION_H

#include "engine/core/state.h"

void ss_admission_arrive(struct ss_controller *controller, const struct ss_event *event);

/* A request that is unknown or over is left alone: its end and the cancel crossed. */
void ss_admission_cancel(struct ss_controller *controller, uint64_t handle, enum ss_end reason);

/* Ends the requests whose deadlines have passed; true if there were any. */
bool ss_admission_expire(struct ss_controller *controller);

#endif
