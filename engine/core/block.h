/* KV blocks: the table that says where each sequence's are. */
#ifndef SS_CORE_BLOCK_H
#define SS_CORE_BLOCK_H

#include "engine/core/state.h"

/* Its blocks are in the pool. */
static inline bool ss_blocks_are_in(const struct ss_sequence *sequence)
{
    return sequence->state == SS_SEQUENCE_RUNNING || sequence->state == SS_SEQUENCE_SPILLING ||
           sequence->state == SS_SEQUENCE_RESTORING || sequence->state == SS_SEQUENCE_CLOSING;
}

/* The first page of a block; changes when it moves. */
uint32_t *ss_block_page(const struct ss_controller *controller, uint16_t slot, uint16_t stage,
                        uint32_t block);

/* Blocks [from, to) of the sequence may (not) move, or are leaving: read by a spill. */
void ss_blocks_set_fixed(struct ss_controller *controller, uint32_t index, uint32_t from,
                         uint32_t to, bool fixed);
void ss_blocks_set_leaving(struct ss_controller *controller, uint32_t index);

/* Gives all its pages back on one stage. */
void ss_blocks_release_stage(struct ss_controller *controller, uint32_t index, uint16_t stage);

/* ... on all stages, as far as it has them, and its part of the spill area; it has no block then.
 */
void ss_blocks_release_all(struct ss_controller *controller, uint32_t index);

#endif
