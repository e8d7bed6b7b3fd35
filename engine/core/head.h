/* Who goes first: of a model's requests, and of all that wait for the last free slot. */
#ifndef SS_CORE_HEAD_H
#define SS_CORE_HEAD_H

#include "engine/core/state.h"

/* The first of the model's sequences that have no slot; SS_NONE: there is none. */
uint32_t ss_head_queued(const struct ss_controller *controller, const struct ss_model *model);

/* The sequence of the model that goes first, among those with a slot and the first in the queue if
 * it may have one; SS_NONE where nothing could run. */
uint32_t ss_head_of(const struct ss_controller *controller, const struct ss_model *model);

/* The precedence of a model whose head is HEAD: of that or of what wants it loaded, whichever goes
 * first. */
uint64_t ss_head_precedence(const struct ss_controller *controller, const struct ss_model *model,
                            uint32_t head);

/* Names the one that the last free slot is kept for, where there is one left: the first of all that
 * wait, but within a level (precedence.h; turns count as overdue) those of models that have no slot
 * before others. So no model can hold all slots, and resident ones cannot starve one that is still
 * to be loaded. To be called before decisions. O(models that have requests) where one slot is free,
 * else O(1). */
void ss_head_keep_slot(struct ss_controller *controller);

/* A queued sequence, the first of its model, may take a slot: two are free, or one is kept for it.
 */
bool ss_head_may_open(const struct ss_controller *controller, uint32_t index);

#endif
