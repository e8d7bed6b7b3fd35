/* What a stream shares among its processes: the models it selects, its file. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/workload/draw.h"
#include "engine/workload/process.h"

static bool fits(const char *pattern, const char *name)
{
    size_t bytes = strlen(pattern);
    if (bytes > 0 && pattern[bytes - 1] == '*')
        return strncmp(pattern, name, bytes - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static enum ss_status select_models(const struct ss_workload *workload,
                                    struct ss_process_stream *of)
{
    const struct ss_arrival_stream *stream = of->stream;
    enum ss_status status =
        ss_alloc(&of->models, of->name_count, sizeof *of->models, "the models of a stream");
    if (status)
        return status;
    for (uint32_t i = 0; stream->models.count == 0 && i < of->name_count; i++)
        of->models[of->model_count++] = i;
    for (uint64_t text = 0; text < stream->models.count; text++) {
        uint32_t before = of->model_count;
        for (uint32_t i = 0; i < of->name_count; i++) {
            bool taken = false;
            if (!fits(stream->models.items[text], of->names[i]))
                continue;
            for (uint32_t j = 0; j < of->model_count; j++)
                taken = taken || of->models[j] == i;
            if (taken)
                return ss_fail(SS_INVALID, "%s:%d: models: %s is named twice", workload->path,
                               stream->line, of->names[i]);
            of->models[of->model_count++] = i;
        }
        if (of->model_count == before)
            return ss_fail(SS_INVALID, "%s:%d: models: found %s, expected a model of the config",
                           workload->path, stream->line, stream->models.items[text]);
    }
    return SS_OK;
}

static enum ss_status set_shares(struct ss_process_stream *of)
{
    double sum = 0;
    enum ss_status status =
        ss_alloc(&of->shares, of->model_count, sizeof *of->shares, "the shares of models");
    if (status)
        return status;
    for (uint32_t i = 0; i < of->model_count; i++)
        of->shares[i] = sum += pow((double)i + 1, -of->stream->skew);
    for (uint32_t i = 0; i < of->model_count; i++)
        of->shares[i] /= sum;
    return SS_OK;
}

static int compare(const void *left, const void *right)
{
    const struct ss_named_model *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static enum ss_status sort_names(struct ss_process_stream *of)
{
    enum ss_status status =
        ss_alloc(&of->by_name, of->name_count, sizeof *of->by_name, "the models' names");
    if (status)
        return status;
    for (uint32_t i = 0; i < of->name_count; i++)
        of->by_name[i] = (struct ss_named_model){of->names[i], i};
    qsort(of->by_name, of->name_count, sizeof *of->by_name, compare);
    return SS_OK;
}

bool ss_process_stream_find(const struct ss_process_stream *stream, const char *name,
                            uint32_t *index)
{
    struct ss_named_model wanted = {.name = name};
    const struct ss_named_model *found =
        bsearch(&wanted, stream->by_name, stream->name_count, sizeof *stream->by_name, compare);
    if (found)
        *index = found->index;
    return found != 0;
}

enum ss_status ss_process_stream_open(const struct ss_workload *workload, int index,
                                      const char *const *names, uint32_t name_count,
                                      struct ss_process_stream *out)
{
    const struct ss_arrival_stream *stream = &workload->streams[index];
    struct ss_process_stream of = {
        .stream = stream, .end_ns = stream->until_ns, .names = names, .name_count = name_count};
    bool per_model = stream->kind == SS_ARRIVE_GAMMA || stream->kind == SS_ARRIVE_POISSON;
    if (workload->duration_ns > 0 && workload->duration_ns < of.end_ns)
        of.end_ns = workload->duration_ns;
    enum ss_status status = select_models(workload, &of);
    if (!status && per_model && stream->rates.count > 1 && stream->rates.count != of.model_count)
        status = ss_fail(SS_INVALID,
                         "%s:%d: found %d rates, expected one, or one for each of %u "
                         "models",
                         workload->path, stream->line, (int)stream->rates.count, of.model_count);
    for (uint32_t i = 1; !status && i <= of.model_count; i++)
        of.share_sum += pow((double)i, -stream->skew);
    if (!status && stream->kind == SS_ARRIVE_TRACE)
        status = set_shares(&of);
    if (!status && stream->kind == SS_ARRIVE_REPLAY)
        status = sort_names(&of);
    if (!status && stream->csv)
        status = ss_trace_open(stream->csv,
                               stream->kind == SS_ARRIVE_TRACE ? SS_TRACE_AZURE : SS_TRACE_ARRIVALS,
                               &of.trace);
    if (status)
        ss_process_stream_close(&of);
    else
        *out = of;
    return status;
}

void ss_process_stream_close(struct ss_process_stream *stream)
{
    ss_free(stream->models);
    ss_free(stream->shares);
    ss_free(stream->by_name);
    ss_trace_close(stream->trace);
    *stream = (struct ss_process_stream){0};
}

uint32_t ss_process_stream_count(const struct ss_process_stream *stream)
{
    enum ss_arrival_kind kind = stream->stream->kind;
    bool one = kind == SS_ARRIVE_CYCLIC || kind == SS_ARRIVE_TURNS || kind == SS_ARRIVE_TRACE ||
               kind == SS_ARRIVE_REPLAY;
    return one ? 1 : stream->model_count;
}
