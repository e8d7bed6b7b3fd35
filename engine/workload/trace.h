/* CSV files of requests, read line by line: the Azure LLM inference traces
 * (github.com/Azure/AzurePublicDataset: a header, then TIMESTAMP,ContextTokens,GeneratedTokens) and
 * arrivals as swapsim writes them (time_s,model,prompt_tokens,output_tokens,class).
 *
 * Wrong lines are refused with file and line number: other columns, numbers that are none, times
 * that go back, lines of over SS_TRACE_LINE_BYTES. */
#ifndef SS_WORKLOAD_TRACE_H
#define SS_WORKLOAD_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_TRACE_LINE_BYTES 512
#define SS_TRACE_NAME_BYTES 256

enum ss_trace_format { SS_TRACE_AZURE, SS_TRACE_ARRIVALS };

struct ss_trace_row {
    uint64_t at_ns; /* Azure: since the first row */
    uint32_t prompt_tokens, output_tokens;
    char model[SS_TRACE_NAME_BYTES]; /* arrivals; "" else */
    char class[16];                  /* arrivals; "" else */
};

struct ss_trace;

SS_MUST_CHECK enum ss_status ss_trace_open(const char *path, enum ss_trace_format format,
                                           struct ss_trace **out);
void ss_trace_close(struct ss_trace *trace);

/* SS_EMPTY after the last row. */
SS_MUST_CHECK enum ss_status ss_trace_next(struct ss_trace *trace, struct ss_trace_row *out);

/* The line that was read last, from 1. */
uint64_t ss_trace_line(const struct ss_trace *trace);

/* As ss_trace_open(), of BYTES at TEXT, which stay the caller's: for tests and a fuzzer. */
SS_MUST_CHECK enum ss_status ss_trace_open_text(const char *text, size_t bytes,
                                                enum ss_trace_format format, struct ss_trace **out);

#endif
