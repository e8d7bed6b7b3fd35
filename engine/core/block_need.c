#include "engine/core/block_need.h"

#include "engine/core/block.h"
#include "engine/core/sequence.h"

uint32_t ss_blocks_left(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint32_t end = ss_blocks_at_end(controller, sequence);
    return end > has ? end - has : 0;
}

/* Answers' lengths differ by so much that what is left of one is hardly less than a whole one. The
 * mean is all tokens by the answers that came to their end: that counts what was cut, and what
 * still runs, as longer than it got. */
uint32_t ss_blocks_expected(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    const struct ss_model *model = &controller->models[sequence->model];
    uint32_t has = ss_blocks_are_in(sequence) ? sequence->blocks : 0;
    uint64_t end = sequence->prompt + sequence->tokens_max;
    if (model->completed > 0 &&
        ss_sequence_known(sequence) + model->tokens / model->completed + 1 < end)
        end = ss_sequence_known(sequence) + model->tokens / model->completed + 1;
    uint32_t blocks = ss_blocks_of(controller, (uint32_t)end - 1);
    return blocks > has ? blocks - has : 0;
}

uint32_t ss_blocks_of_batch(const struct ss_controller *controller, const struct ss_model *model)
{
    uint32_t blocks = 0, count = 0;
    for (int class = 0; class < SS_CLASSES; class ++) {
        const struct ss_list *lists[] = {&model->live[class], &model->queue[class]};
        for (int i = 0; i < 2; i++)
            for (uint32_t at = lists[i]->first; at != SS_NONE && count < model->batch_max;
                 at = controller->sequences[at].next, count++)
                blocks += ss_blocks_left(controller, at);
    }
    return blocks;
}
