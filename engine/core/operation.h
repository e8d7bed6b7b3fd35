/* Entries whose pages are in use until the ranks say that they are done: copying drops, spills,
 * restores; and those that only count against what a rank keeps under way: moves, forgotten KV. */
#ifndef SS_CORE_OPERATION_H
#define SS_CORE_OPERATION_H

#include "engine/core/state.h"

/* At once; ranks have room for 256. */
#define SS_OPERATIONS_MAX 64

/* COUNT more may be started. */
bool ss_operation_fits(const struct ss_controller *controller, uint32_t count);

void ss_operation_start(struct ss_controller *controller, uint64_t number,
                        enum ss_operation_kind kind, uint32_t subject);

/* RANK reported entry NUMBER as done; false where that is no operation. */
bool ss_operation_done(struct ss_controller *controller, uint64_t number, uint32_t rank);

/* Emulated polling: what became known since the last tick takes effect. */
void ss_operations_acknowledge(struct ss_controller *controller);

#endif
