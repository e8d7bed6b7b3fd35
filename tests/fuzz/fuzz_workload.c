/* Any bytes as a workload: mistakes or a workload; its first arrivals are in the order of time. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/workload/arrivals.h"

#define ARRIVALS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Files are not opened: the bytes would choose which. The states of mmpp may take long to lead to
 * an arrival. */
static bool is_quick(const struct ss_workload *workload)
{
    for (int i = 0; i < workload->stream_count; i++)
        if (workload->streams[i].csv || workload->streams[i].kind == SS_ARRIVE_MMPP)
            return false;
    return true;
}

static void generate(const struct ss_workload *workload)
{
    static const char *const names[] = {"a", "b-0", "b-1"};
    struct ss_arrivals *arrivals;
    struct ss_arrival arrival;
    uint64_t last_ns = 0, peeked_ns;

    if (ss_arrivals_create(workload, names, 3, 1, &arrivals) != SS_OK)
        return;
    for (int i = 0; i < ARRIVALS_MAX && ss_arrivals_peek(arrivals, &peeked_ns); i++) {
        SS_ASSERT(ss_arrivals_next(arrivals, &arrival) == SS_OK);
        SS_ASSERT(arrival.at_ns == peeked_ns && arrival.at_ns >= last_ns);
        SS_ASSERT(arrival.model < 3 && arrival.prompt_tokens > 0 && arrival.output_tokens > 0);
        last_ns = arrival.at_ns;
        if (i % 2 == 0)
            ss_arrivals_answered(arrivals, arrival.process, last_ns, false);
    }
    ss_arrivals_destroy(arrivals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ss_workload *workload = NULL;
    char *said = NULL;
    size_t said_bytes = 0;
    FILE *stream = open_memstream(&said, &said_bytes);
    enum ss_status status;

    SS_ASSERT(stream != NULL);
    status = ss_workload_read_text("fuzz.yaml", "/nonexistent", (const char *)data, bytes, stream,
                                   &workload);
    fclose(stream);
    SS_ASSERT((status == SS_OK) == (workload != NULL));
    SS_ASSERT((status == SS_OK) == (said_bytes == 0));
    if (workload != NULL && is_quick(workload))
        generate(workload);
    ss_workload_destroy(workload);
    free(said);
    return 0;
}
