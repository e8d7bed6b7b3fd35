#include "pipeline/stage/trace.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/memory.h"

struct span {
    char name[32];
    _Atomic int written;
    int row, model;
    uint64_t number, begin_ns, end_ns;
};

struct ss_trace {
    int rank;
    uint32_t spans_max;
    _Atomic uint32_t count;
    struct span spans[];
};

enum ss_status ss_trace_create(int rank, uint32_t spans_max, struct ss_trace **out)
{
    struct ss_trace *trace;
    enum ss_status status =
        ss_alloc(&trace, 1, sizeof *trace + spans_max * sizeof(struct span), "trace");
    if (status)
        return status;
    trace->rank = rank;
    trace->spans_max = spans_max;
    *out = trace;
    return SS_OK;
}

void ss_trace_destroy(struct ss_trace *trace)
{
    ss_free(trace);
}

void ss_trace_span(struct ss_trace *trace, enum ss_trace_row row, const char *name, int model,
                   uint64_t number, uint64_t begin_ns, uint64_t end_ns)
{
    if (!trace)
        return;
    uint32_t index = atomic_fetch_add(&trace->count, 1);
    if (index >= trace->spans_max)
        return;
    struct span *span = &trace->spans[index];
    snprintf(span->name, sizeof span->name, "%s", name);
    span->row = row;
    span->model = model;
    span->number = number;
    span->begin_ns = begin_ns;
    span->end_ns = end_ns;
    atomic_store(&span->written, 1);
}

static void write_span(const struct ss_trace *trace, const struct span *span, FILE *file,
                       const char *model)
{
    fprintf(file,
            "{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"name\":\"%s%s%s\"",
            trace->rank, span->row, (double)span->begin_ns / 1e3,
            (double)(span->end_ns - span->begin_ns) / 1e3, span->name, model ? " " : "",
            model ? model : "");
    fprintf(file, ",\"args\":{\"entry\":%" PRIu64, span->number);
    if (model)
        fprintf(file, ",\"model\":\"%s\"", model);
    fprintf(file, "}},\n");
}

void ss_trace_write(const struct ss_trace *trace, FILE *file,
                    const char *(*model_name)(void *user, int model), void *user)
{
    static const char *const rows[SS_TRACE_ROWS] = {"loads", "compute", "entries"};
    uint32_t count = trace->count, kept = count < trace->spans_max ? count : trace->spans_max;
    fprintf(
        file,
        "{\"ph\":\"M\",\"pid\":%d,\"name\":\"process_name\",\"args\":{\"name\":\"rank %d\"}},\n",
        trace->rank, trace->rank);
    for (int row = 0; row < SS_TRACE_ROWS; row++)
        fprintf(file,
                "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":"
                "\"%s\"}},\n",
                trace->rank, row, rows[row]);
    for (uint32_t i = 0; i < kept; i++) {
        const struct span *span = &trace->spans[i];
        if (atomic_load(&span->written))
            write_span(trace, span, file,
                       model_name && span->model >= 0 ? model_name(user, span->model) : 0);
    }
    if (count > kept)
        fprintf(file,
                "{\"ph\":\"M\",\"pid\":%d,\"name\":\"spans_not_kept\",\"args\":{\"count\":%" PRIu32
                "}},\n",
                trace->rank, count - kept);
}
