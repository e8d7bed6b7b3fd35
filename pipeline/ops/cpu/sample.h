/* Choosing a token from a row of logits. */
#ifndef SS_PIPELINE_OPS_CPU_SAMPLE_H
#define SS_PIPELINE_OPS_CPU_SAMPLE_H

#include <stdint.h>

#include "pipeline/ops/ops.h"

/* Row ROW of logits that lie as [parts][count][part_columns]; ids at or past VOCAB are padding. */
struct ss_cpu_logits {
    const float *data;
    uint32_t count, parts, part_columns, vocab;
    uint32_t row;
};

/* The token, in [0, vocab). HEAP has room for VOCAB elements where SAMPLING is not greedy. Logits
 * that are no numbers are never chosen; where none is above minus infinity, the token is 0. */
int32_t ss_cpu_sample(const struct ss_cpu_logits *logits, const struct ss_sampling *sampling,
                      uint64_t *heap);

#endif
