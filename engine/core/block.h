/* KV blocks: how many a sequence needs, and its table of them. */
#ifndef SS_CORE_BLOCK_H
#define SS_CORE_BLOCK_H

#include "engine/core/state.h"

/* Blocks that hold TOKENS tokens. */
static inline uint32_t ss_blocks_of(const struct ss_controller *controller, uint32_t tokens)
{
    return (tokens + controller->block_tokens - 1) / controller->block_tokens;
}

/* Blocks that the sequence takes when it has all its tokens; the last one is never fed. */
static inline uint32_t ss_blocks_at_end(const struct ss_controller *controller,
                                        const struct ss_sequence *sequence)
{
    return ss_blocks_of(controller, sequence->prompt + sequence->tokens_max - 1);
}

/* Its blocks are in the pool. */
static inline bool ss_blocks_are_in(const struct ss_sequence *sequence)
{
    return sequence->state == SS_SEQUENCE_RUNNING || sequence->state == SS_SEQUENCE_SPILLING ||
           sequence->state == SS_SEQUENCE_RESTORING || sequence->state == SS_SEQUENCE_CLOSING;
}

/* Blocks that the sequence needs beside those it has, to finish. */
uint32_t ss_blocks_left(const struct ss_controller *controller, uint32_t sequence);

/* ... if its answer goes on for as long as its model's others were, at most. */
uint32_t ss_blocks_expected(const struct ss_controller *controller, uint32_t sequence);

/* ... of all that a batch of the model would hold. */
uint32_t ss_blocks_of_batch(const struct ss_controller *controller, const struct ss_model *model);

/* The first page of a block; changes when it moves. */
uint32_t *ss_block_page(const struct ss_controller *controller, uint16_t slot, uint16_t stage,
                        uint32_t block);

/* Takes COUNT blocks more on every stage, behind those that sequence INDEX has, as fixed ranges,
 * compacting where free pages are scattered. False, with nothing taken, where that cannot be now.
 * The sequence has its slot's number. */
bool ss_blocks_take(struct ss_controller *controller, uint32_t index, uint32_t count);

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
