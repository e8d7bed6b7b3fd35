/* How many KV blocks sequences need. */
#ifndef SS_CORE_BLOCK_NEED_H
#define SS_CORE_BLOCK_NEED_H

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

/* Blocks that the sequence needs beside those it has, to finish. */
uint32_t ss_blocks_left(const struct ss_controller *controller, uint32_t sequence);

/* ... if its answer goes on for as long as its model's others were, at most. */
uint32_t ss_blocks_expected(const struct ss_controller *controller, uint32_t sequence);

/* ... of all that a batch of the model would hold. */
uint32_t ss_blocks_of_batch(const struct ss_controller *controller, const struct ss_model *model);

#endif
