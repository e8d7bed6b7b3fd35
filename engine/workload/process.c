#include "engine/workload/process.h"

#include "engine/workload/draw.h"

#define NS 1e9

/* Times beyond this are never reached; it keeps the conversion to nanoseconds exact in range. */
#define NEVER_S 1e9

void ss_process_begin(struct ss_process_stream *stream, uint32_t index, uint32_t number,
                      uint64_t seed, struct ss_process *process)
{
    const struct ss_arrival_stream *from = stream->stream;
    *process = (struct ss_process){.of = stream,
                                   .number = number,
                                   .model = index,
                                   .seed = ss_draw_process(seed, number),
                                   .rate = from->rate,
                                   .at_s = (double)from->from_ns / NS};
    if (from->kind == SS_ARRIVE_GAMMA || from->kind == SS_ARRIVE_POISSON)
        process->rate = from->rates.items[from->rates.count > 1 ? index : 0];
    if (from->kind == SS_ARRIVE_ZIPF)
        process->rate = from->rate * pow((double)index + 1, -from->skew) / stream->share_sum;
    if (from->kind != SS_ARRIVE_MMPP)
        return;
    double whole = 0, drawn;
    for (uint64_t i = 0; i < from->dwell.count; i++)
        whole += (double)from->dwell.items[i] / NS;
    drawn = ss_random_unit(ss_draw_event(process->seed, SS_DRAW_STATE, 0), 0) * whole;
    while (process->state + 1 < from->dwell.count &&
           drawn >= (double)from->dwell.items[process->state] / NS)
        drawn -= (double)from->dwell.items[process->state++] / NS;
    process->dwell_end_s =
        process->at_s +
        (double)from->dwell.items[process->state] / NS *
            ss_draw_exponential(ss_draw_event(process->seed, SS_DRAW_DWELL, process->dwells++));
}

static uint32_t draw_length(const struct ss_length *length, uint64_t event)
{
    double tokens = length->tokens;
    if (length->tokens == 0)
        tokens = floor(length->median * exp(length->sigma * ss_draw_normal(event, 0)) + 0.5);
    if (length->max > 0 && tokens > length->max)
        tokens = length->max;
    if (tokens > UINT32_MAX)
        tokens = UINT32_MAX;
    return tokens < 1 ? 1 : (uint32_t)tokens;
}

/* All of an arrival but its time, and for the INDEX-th of the process. */
static void fill(struct ss_process *process, uint32_t model, struct ss_arrival *out)
{
    const struct ss_arrival_stream *stream = process->of->stream;
    uint64_t index = process->index++;
    *out = (struct ss_arrival){
        .at_ns = out->at_ns,
        .model = process->of->models[model],
        .prompt_tokens =
            draw_length(&stream->prompt, ss_draw_event(process->seed, SS_DRAW_PROMPT, index)),
        .output_tokens =
            draw_length(&stream->output, ss_draw_event(process->seed, SS_DRAW_OUTPUT, index)),
        .class = stream->class,
        .deadline_ns = stream->deadline_ns,
        .process = process->number};
}

static uint64_t next_gap_event(struct ss_process *process)
{
    return ss_draw_event(process->seed, SS_DRAW_GAP, process->gaps++);
}

/* Exponential gaps have no memory: one that would pass the state's end is drawn anew from there. */
static void advance_mmpp(struct ss_process *process)
{
    const struct ss_arrival_stream *stream = process->of->stream;
    double end_s = (double)process->of->end_ns / NS;
    while (process->at_s < NEVER_S && process->at_s < end_s) {
        double rate = stream->rates.items[process->state];
        double gap_s = ss_draw_exponential(next_gap_event(process));
        if (rate > 0 && process->at_s + gap_s / rate < process->dwell_end_s) {
            process->at_s += gap_s / rate;
            return;
        }
        process->at_s = process->dwell_end_s;
        process->state = (process->state + 1) % (uint32_t)stream->rates.count;
        process->dwell_end_s +=
            (double)stream->dwell.items[process->state] / NS *
            ss_draw_exponential(ss_draw_event(process->seed, SS_DRAW_DWELL, process->dwells++));
    }
}

static void advance(struct ss_process *process)
{
    const struct ss_arrival_stream *stream = process->of->stream;
    if (stream->kind == SS_ARRIVE_MMPP)
        advance_mmpp(process);
    else if (!(process->rate > 0))
        process->at_s = NEVER_S;
    else if (stream->kind == SS_ARRIVE_POISSON)
        process->at_s += ss_draw_exponential(next_gap_event(process)) / process->rate;
    else
        process->at_s += ss_draw_gap(next_gap_event(process), process->rate, stream->cv);
}

/* The model of a trace's row, by the shares. */
static uint32_t draw_model(const struct ss_process *process)
{
    const struct ss_process_stream *of = process->of;
    double drawn = ss_random_unit(ss_draw_event(process->seed, SS_DRAW_MODEL, process->index), 0);
    uint32_t low = 0, high = of->model_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (drawn < of->shares[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint32_t cut(uint32_t tokens, uint32_t max)
{
    if (max > 0 && tokens > max)
        tokens = max;
    return tokens > 0 ? tokens : 1;
}

static enum ss_class class_named(const char *name)
{
    return *name == 'r' ? SS_CLASS_REALTIME : *name == 'b' ? SS_CLASS_BATCH : SS_CLASS_NORMAL;
}

static enum ss_status next_row(struct ss_process *process, struct ss_arrival *out)
{
    struct ss_process_stream *of = process->of;
    const struct ss_arrival_stream *stream = of->stream;
    bool azure = stream->kind == SS_ARRIVE_TRACE;
    struct ss_trace_row row;
    enum ss_status status = ss_trace_next(of->trace, &row);
    if (status)
        return status;
    double at_ns = (double)stream->from_ns + (double)row.at_ns / stream->speed;
    out->at_ns = stream->speed != 1 ? (uint64_t)at_ns : stream->from_ns + row.at_ns;
    uint32_t model = azure ? draw_model(process) : 0;
    fill(process, model, out);
    out->prompt_tokens = cut(row.prompt_tokens, stream->prompt.max);
    out->output_tokens = cut(row.output_tokens, stream->output.max);
    if (azure)
        return SS_OK;
    out->class = class_named(row.class);
    if (ss_process_stream_find(of, row.model, &out->model))
        return SS_OK;
    return ss_fail(SS_INVALID, "%s:%llu: model %s is not in the config", stream->csv,
                   (unsigned long long)ss_trace_line(of->trace), row.model);
}

enum ss_status ss_process_next(struct ss_process *process, struct ss_arrival *out)
{
    const struct ss_process_stream *of = process->of;
    enum ss_status status = SS_OK;
    if (of->trace) {
        status = next_row(process, out);
    } else {
        advance(process);
        if (process->at_s >= NEVER_S)
            return SS_EMPTY;
        out->at_ns = (uint64_t)(process->at_s * NS);
        fill(process,
             of->stream->kind == SS_ARRIVE_CYCLIC ? (uint32_t)(process->index % of->model_count)
                                                  : process->model,
             out);
    }
    return !status && out->at_ns >= of->end_ns ? SS_EMPTY : status;
}

void ss_process_turn(struct ss_process *process, uint64_t at_ns, struct ss_arrival *out)
{
    out->at_ns = at_ns;
    fill(process, (uint32_t)(process->index % process->of->model_count), out);
}
