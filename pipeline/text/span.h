/* Stretches of a text. */
#ifndef SS_PIPELINE_TEXT_SPAN_H
#define SS_PIPELINE_TEXT_SPAN_H

#include <stddef.h>

#include "engine/base/status.h"

/* Bytes [start, end). */
struct ss_span {
    size_t start, end;
};

/* A list that grows; all zero is an empty one, at is freed with ss_free(). */
struct ss_spans {
    struct ss_span *at;
    size_t count, room;
};

/* Adds [START, END) to SPANS. */
SS_MUST_CHECK enum ss_status ss_spans_add(struct ss_spans *spans, size_t start, size_t end);

#endif
