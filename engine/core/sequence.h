/* Sequences: a fixed table, the lists through it, and the slots on the ranks. */
#ifndef SS_CORE_SEQUENCE_H
#define SS_CORE_SEQUENCE_H

#include "engine/core/state.h"

bool ss_sequence_may_become(enum ss_sequence_state from, enum ss_sequence_state to);

/* The one setter of a sequence's state. */
void ss_sequence_set(struct ss_controller *controller, uint32_t index,
                     enum ss_sequence_state state);

/* A free place, QUEUED at the end of MODEL's queue of its class. */
uint32_t ss_sequence_add(struct ss_controller *controller, uint64_t handle, uint16_t model,
                         enum ss_class class);

/* Takes it out of the lists, as it is answered: a queued one is FREE then, one with a slot is
 * CLOSING, to be finished with ss_sequence_close(). */
void ss_sequence_retire(struct ss_controller *controller, uint32_t index);

/* A CLOSING sequence whose pages nobody uses any more: gives back blocks, spill area and slot. */
void ss_sequence_close(struct ss_controller *controller, uint32_t index);

/* The first of its model's queue and class becomes RUNNING, in the slot that is next to be given
 * out, which it has named already (the KV blocks that it was given bear its number). */
void ss_sequence_open(struct ss_controller *controller, uint32_t index);

/* Tokens that it has or has ordered. */
static inline uint32_t ss_sequence_known(const struct ss_sequence *sequence)
{
    return sequence->prompt + sequence->issued;
}

/* It has a step to issue, and at most one of its steps is under way, or none (FRESH). */
static inline bool ss_sequence_is_ready(const struct ss_sequence *sequence, bool fresh)
{
    return sequence->issued < sequence->tokens_max &&
           sequence->issued - sequence->reported + sequence->slices <= (fresh ? 0 : 1);
}

#endif
