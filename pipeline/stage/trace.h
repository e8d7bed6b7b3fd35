/* A rank's trace: spans in a fixed table, written as Chrome trace events at the end.
 *
 * Rows of a rank: loads, compute, entries. When the table is full, later spans are counted and not
 * kept; the count is written too. */
#ifndef SS_PIPELINE_TRACE_H
#define SS_PIPELINE_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"

enum ss_trace_row { SS_TRACE_LOADS, SS_TRACE_COMPUTE, SS_TRACE_ENTRIES, SS_TRACE_ROWS };

struct ss_trace;

SS_MUST_CHECK enum ss_status ss_trace_create(int rank, uint32_t spans_max, struct ss_trace **out);
void ss_trace_destroy(struct ss_trace *trace);

/* Records a span of ROW; NAME is cut at 31 bytes. MODEL and NUMBER become its arguments (negative
 * or 0: left out). Any thread; does nothing where TRACE is null. */
void ss_trace_span(struct ss_trace *trace, enum ss_trace_row row, const char *name, int model,
                   uint64_t number, uint64_t begin_ns, uint64_t end_ns);

/* Writes the events as JSON objects, one a line, each followed by a comma: the inside of a
 * "traceEvents" array. MODEL_NAME finds names for models; may be null. */
void ss_trace_write(const struct ss_trace *trace, FILE *file,
                    const char *(*model_name)(void *user, int model), void *user);

#endif
