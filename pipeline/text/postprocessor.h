/* The post-processor: the ids that go before and behind a text's own. */
#ifndef SS_PIPELINE_TEXT_POSTPROCESSOR_H
#define SS_PIPELINE_TEXT_POSTPROCESSOR_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/text/json_place.h"
#include "pipeline/text/vocabulary.h"

#define SS_TEMPLATE_IDS_MAX 32

struct ss_postprocessor {
    uint32_t before[SS_TEMPLATE_IDS_MAX], behind[SS_TEMPLATE_IDS_MAX];
    size_t before_count, behind_count;
};

/* Reads the "post_processor" at PLACE, which may be absent: ByteLevel (which only moves offsets),
 * TemplateProcessing and a Sequence of these, with one template at most. Its ids must be tokens of
 * VOCABULARY. */
SS_MUST_CHECK enum ss_status ss_postprocessor_load(const struct ss_json_place *place,
                                                   const struct ss_vocabulary *vocabulary,
                                                   struct ss_postprocessor *out);

#endif
