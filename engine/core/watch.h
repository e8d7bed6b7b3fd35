/* Whether the ranks are still there: their reports are numbered, so that a missing one shows, and a
 * group that owes reports may not be silent for ever. */
#ifndef SS_CORE_WATCH_H
#define SS_CORE_WATCH_H

#include "engine/core/state.h"

/* True for a report that is next of its rank, or not numbered. One that was seen before is left
 * alone; one that comes too early loses the group: what is missing can never be known. */
bool ss_watch_take(struct ss_controller *controller, const struct ss_report *report);

/* Loses the group if it has been silent for too long, and is true then. After the events of a
 * step. */
bool ss_watch_look(struct ss_controller *controller);

/* Notes at the end of a step whether the group owes reports now; returns when its silence will have
 * lasted too long, or UINT64_MAX. */
uint64_t ss_watch_due_ns(struct ss_controller *controller);

/* A rank cannot go on: everything that was accepted is answered, and nothing more is sent. */
void ss_watch_give_up(struct ss_controller *controller);

/* Gives the group up and says why: RANK, and the number of the entry or report that shows it. */
void ss_watch_lose(struct ss_controller *controller, enum ss_loss loss, uint32_t rank,
                   uint64_t number);

#endif
