/* What an operator asks for: load or drop a model; drain. */
#ifndef SS_CORE_CONTROL_H
#define SS_CORE_CONTROL_H

#include "engine/core/state.h"

void ss_control_take(struct ss_controller *controller, const struct ss_event *event);

/* Answers what came true, and drops what is to be dropped. */
void ss_control_advance(struct ss_controller *controller);

/* Says that the drain is over once all is answered; nothing is sent after that. */
void ss_control_finish_drain(struct ss_controller *controller);

void ss_control_refuse_all(struct ss_controller *controller);

#endif
