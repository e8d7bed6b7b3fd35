/* Golden results, as tests/golden/README.md describes their files. */
#ifndef SS_TESTS_GOLDEN_H
#define SS_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define GOLDEN_TOKENS 48

struct golden_logits {
    uint32_t generated;  /* tokens before it */
    const float *values; /* [vocab] */
};

struct golden_prompt {
    char *name;
    uint32_t count;
    int32_t *ids;
    int32_t greedy[GOLDEN_TOKENS];
    int logits_count;
    struct golden_logits logits[8];
};

struct golden {
    uint32_t vocab;
    int prompt_count;
    struct golden_prompt *prompts;
    float *values; /* of all logits */
};

/* Reads expected/NAME.json and the logits beside it. */
SS_MUST_CHECK enum ss_status golden_read(const char *path, struct golden *out);
void golden_release(struct golden *golden);

/* True where the largest logit is not EXPECTED's, but so near it that rounding may have put it
 * there: within twice TOLERANCE of the logits' root mean square. */
bool golden_near_tie(const float *logits, uint32_t vocab, int32_t expected, double tolerance);

#endif
