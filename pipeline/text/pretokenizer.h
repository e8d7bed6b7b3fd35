/* The pre-tokenizer: cuts a text into the pieces that BPE merges within. */
#ifndef SS_PIPELINE_TEXT_PRETOKENIZER_H
#define SS_PIPELINE_TEXT_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/text/json_place.h"
#include "pipeline/text/span.h"
#include "pipeline/text/split_pattern.h"

#define SS_PRETOKENIZER_STEPS_MAX 16

/* What becomes of the matches of a step. `tokenizers` calls these SplitDelimiterBehavior. */
enum ss_split_behaviour {
    SS_SPLIT_REMOVED,
    SS_SPLIT_ISOLATED,
    SS_SPLIT_MERGED_WITH_PREVIOUS,
    SS_SPLIT_MERGED_WITH_NEXT,
    SS_SPLIT_CONTIGUOUS,
};

struct ss_pretokenizer_step {
    enum { SS_STEP_SPLIT, SS_STEP_DIGITS, SS_STEP_PREFIX_SPACE } kind;
    enum ss_split_behaviour behaviour; /* Split, Digits */
    bool invert;                       /* Split: cut at what does not match */
    struct ss_split_pattern *pattern;  /* Split */
};

/* ByteLevel is its parts: PREFIX_SPACE if it adds one, a Split if it has a pattern. That bytes
 * become letters of the byte alphabet is left to the vocabulary. */
struct ss_pretokenizer {
    struct ss_pretokenizer_step steps[SS_PRETOKENIZER_STEPS_MAX];
    size_t count;
    bool has_byte_level;
};

/* Working memory of one thread, reused from text to text. */
struct ss_pretokenizer_work {
    struct ss_spans pieces, cut;
    struct ss_split_search search;
    uint8_t *spaced;
    size_t spaced_room;
};

SS_MUST_CHECK enum ss_status ss_pretokenizer_load(const struct ss_json_place *place,
                                                  struct ss_pretokenizer *out);
void ss_pretokenizer_free(struct ss_pretokenizer *pretokenizer);

SS_MUST_CHECK enum ss_status ss_pretokenizer_work_open(struct ss_pretokenizer_work *work);
void ss_pretokenizer_work_close(struct ss_pretokenizer_work *work);

/* Cuts the BYTES (1 at least) of valid UTF-8 at TEXT. The pieces are WORK->pieces, none of them
 * empty, as spans of *CUT_TEXT, which is TEXT or, where spaces were put in, memory of *WORK. */
SS_MUST_CHECK enum ss_status ss_pretokenizer_apply(const struct ss_pretokenizer *pretokenizer,
                                                   struct ss_pretokenizer_work *work,
                                                   const uint8_t *text, size_t bytes,
                                                   const uint8_t **cut_text);

#endif
