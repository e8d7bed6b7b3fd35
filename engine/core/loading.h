/* Which model comes in next. */
#ifndef SS_CORE_LOADING_H
#define SS_CORE_LOADING_H

#include "engine/core/state.h"

/* Cancels loads that nobody wants any more while others wait, and orders those that find room. */
void ss_loading_decide(struct ss_controller *controller);

#endif
