/* What urgent requests leave to others: no class holds more than limits.realtime_share of the time
 * of steps and loads while requests of lower classes wait.
 *
 * A class that goes before others gathers debt while they wait: for its own steps and loads the
 * part of their time beyond its share, less, for theirs, what was the class's due. Once that is
 * what a quantum of its service alone gathers, the class goes behind the others until it is paid;
 * where they have nothing to run, it goes on. */
#ifndef SS_CORE_CLASS_SHARE_H
#define SS_CORE_CLASS_SHARE_H

#include "engine/core/state.h"

/* Of the time, for the most urgent class. */
double ss_class_share_of(const struct ss_controller *controller);

void ss_class_share_reset(struct ss_controller *controller);

/* A step of MODEL was sent that takes about NS (0: unknown), for a request of the class. GETS_ON:
 * it begins a request or generates a token. */
void ss_class_share_step(struct ss_controller *controller, enum ss_class class, uint16_t model,
                         uint64_t ns, bool gets_on);

/* A load was sent that takes the links about NS, for what has the precedence. */
void ss_class_share_load(struct ss_controller *controller, uint64_t precedence, uint64_t ns);

#endif
