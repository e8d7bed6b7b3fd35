/* Loads and drops: which model comes in next, what arrived, what goes. */
#ifndef SS_CORE_LOADING_H
#define SS_CORE_LOADING_H

#include "engine/core/state.h"

/* The first load under way behind LOAD in the table, of all for null; null: there is none. */
static inline struct ss_load *ss_loading_next(const struct ss_controller *controller,
                                              const struct ss_load *load)
{
    uint32_t at = load ? (uint32_t)(load - controller->loads) + 1 : 0;
    while (at < controller->limits.loads_in_flight && controller->loads[at].number == 0)
        at++;
    return at < controller->limits.loads_in_flight ? &controller->loads[at] : 0;
}

/* RANK tells that the first COUNT chunks of its part of load NUMBER are there; ENDED: that it is
 * over. Takes effect with ss_loading_settle(). */
void ss_loading_arrived(struct ss_controller *controller, uint64_t number, uint32_t rank,
                        uint32_t count, bool ended);

/* What was reported takes effect: chunks that all ranks hold are resident; loads that all ranks
 * ended are over, and what not all hold is dropped. */
void ss_loading_settle(struct ss_controller *controller);

/* Cancels loads that nobody wants any more while others wait, and orders those that find room. */
void ss_loading_decide(struct ss_controller *controller);

/* Drops resident chunks of a model, from the tail of each stage, until PAGES of the stage are free;
 * null: all of them. False where no entry can be sent now. */
bool ss_loading_drop(struct ss_controller *controller, uint16_t model, const uint32_t *pages);

/* Asks the ranks to stop a load. False where no entry can be sent now. */
bool ss_loading_cancel(struct ss_controller *controller, struct ss_load *load);

/* How long the links will be busy with the loads that were ordered, guesses left out, until load
 * NUMBER is over. */
double ss_loading_busy_ns(const struct ss_controller *controller, uint64_t number);

/* How long until all of the model's chunks are there, by what ranks reported; UINT64_MAX: unknown.
 */
uint64_t ss_loading_left_ns(const struct ss_controller *controller, const struct ss_model *model);

#endif
