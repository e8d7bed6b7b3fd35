/* Any bytes as a CSV of requests, the first choosing the format: rows in the order of time, or a
 * refusal, never a crash. */
#include <stdint.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/workload/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ss_trace *trace;
    struct ss_trace_row row;
    uint64_t last_ns = 0;
    enum ss_status status;

    if (bytes == 0)
        return 0;
    if (ss_trace_open_text((const char *)data + 1, bytes - 1,
                           data[0] & 1 ? SS_TRACE_ARRIVALS : SS_TRACE_AZURE, &trace) != SS_OK)
        return 0;
    while ((status = ss_trace_next(trace, &row)) == SS_OK) {
        SS_ASSERT(row.at_ns >= last_ns);
        SS_ASSERT(strlen(row.model) < SS_TRACE_NAME_BYTES);
        last_ns = row.at_ns;
    }
    SS_ASSERT(status == SS_EMPTY || status == SS_INVALID);
    ss_trace_close(trace);
    return 0;
}
