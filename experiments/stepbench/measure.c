#include "experiments/stepbench/measure.h"

#include "engine/base/clock.h"
#include "experiments/stepbench/ceilings.h"
#include "experiments/stepbench/figures.h"
#include "experiments/stepbench/times.h"

#define REPEATS      5
#define DECODE_STEPS 48
#define PROMPT       512u

static void begin(struct sequence *sequences, uint32_t count, uint32_t prompt)
{
    for (uint32_t i = 0; i < count; i++)
        sequences[i] = (struct sequence){.slot = (uint16_t)i, .prompt = prompt, .known = prompt};
}

/* One step that opens COUNT sequences of PROMPT tokens, to its end. */
static enum ss_status prefill(struct bed *bed, struct sequence *sequences, uint32_t count,
                              uint32_t prompt, double *seconds)
{
    uint64_t number;
    enum ss_status status = bed->link->table->barrier(bed->link);
    uint64_t begin_ns = ss_now_ns();
    begin(sequences, count, prompt);
    if (!status)
        status = bed_step(bed, sequences, count, &number);
    if (!status)
        status = bed_await_batch(bed, number);
    return status ? status : times_span(bed->link, begin_ns, ss_now_ns(), seconds);
}

/* What decode steps take. */
struct decoded {
    double seconds;  /* a step */
    double queueing; /* the host's part of it */
    double gap;      /* from one step's end to the next one's start on this rank, median */
};

/* Steps of one token each, two under way: when the first that counts is queued, the one before it
 * has just begun. */
static enum ss_status decode(struct bed *bed, struct sequence *sequences, uint32_t count,
                             struct decoded *out)
{
    double gaps[DECODE_STEPS];
    uint64_t number = 0, before = 0, begin_ns = 0, queued_ns = 0;
    double span = 0, last = 0;
    enum ss_status status = bed->link->table->barrier(bed->link);
    for (int i = -4; i < DECODE_STEPS && !status; i++) {
        uint64_t now_ns = ss_now_ns();
        begin_ns = i == 0 ? now_ns : begin_ns;
        status = bed_step(bed, sequences, count, &number);
        queued_ns += i < 0 ? 0 : ss_now_ns() - now_ns;
        if (!status && before)
            status = bed_await_batch(bed, before);
        if (i >= 0)
            gaps[i] = (double)bed_batch_begun_ns(bed, before) / 1e9 - last;
        last = (double)bed_batch_ended_ns(bed, before) / 1e9;
        before = number;
    }
    if (!status)
        status = bed_await_batch(bed, number);
    if (!status)
        status = times_span(bed->link, begin_ns, ss_now_ns(), &span);
    out->seconds = span / (DECODE_STEPS + 1);
    out->queueing = (double)queued_ns / 1e9 / DECODE_STEPS;
    out->gap = times_median(gaps, DECODE_STEPS);
    return status;
}

static enum ss_status measure_prefill(struct bed *bed, json_t *rows, uint32_t count,
                                      uint32_t prompt, const char *what)
{
    struct sequence sequences[BATCH_MAX];
    double seconds[REPEATS];
    enum ss_status status = SS_OK;
    for (int i = 0; i < REPEATS && !status; i++) {
        bed_clear(bed);
        status = prefill(bed, sequences, count, prompt, &seconds[i]);
    }
    if (!status)
        figures_say(bed, rows, what, times_median(seconds, REPEATS), "s");
    return status;
}

static enum ss_status measure_decode(struct bed *bed, json_t *rows, uint32_t count,
                                     const char *what)
{
    struct sequence sequences[BATCH_MAX];
    struct decoded decoded = {0};
    enum ss_status status = SS_OK;
    bed_clear(bed);
    begin(sequences, count, PROMPT);
    for (uint32_t i = 0; i < count && !status; i += STEP_TOKENS_MAX / PROMPT) {
        uint32_t left = count - i, most = STEP_TOKENS_MAX / PROMPT;
        uint64_t number;
        status = bed_step(bed, sequences + i, left < most ? left : most, &number);
        if (!status)
            status = bed_await_batch(bed, number);
    }
    if (!status)
        status = decode(bed, sequences, count, &decoded);
    if (status)
        return status;
    figures_say(bed, rows, what, decoded.seconds, "s");
    figures_say(bed, rows, "  of which the host queues", decoded.queueing, "s");
    figures_say(bed, rows, "  between two steps on the device", decoded.gap, "s");
    return status;
}

/* A load to its end, alone or with a step behind it. Drops the model after. */
static enum ss_status load_once(struct bed *bed, bool with_step, double *seconds, double *drop_s)
{
    struct sequence sequences[1];
    uint64_t load, step = 0, drop;
    enum ss_status status = bed->link->table->barrier(bed->link);
    uint64_t begin_ns = ss_now_ns();
    begin(sequences, 1, 8);
    bed_clear(bed);
    if (!status)
        status = bed_load(bed, 0, &load);
    if (!status && with_step)
        status = bed_step(bed, sequences, 1, &step);
    if (!status && with_step)
        status = bed_await_batch(bed, step);
    if (!status && !with_step)
        status = bed_await_load(bed, load);
    uint64_t end_ns = ss_now_ns();
    if (!status && with_step)
        status = bed_await_load(bed, load);
    if (!status)
        status = times_span(bed->link, begin_ns, end_ns, seconds);
    begin_ns = ss_now_ns();
    if (!status)
        status = bed_drop(bed, 0, &drop);
    *drop_s = (double)(ss_now_ns() - begin_ns) / 1e9;
    return status;
}

static enum ss_status measure_loads(struct bed *bed, json_t *rows)
{
    double alone[REPEATS], cold[REPEATS], drops[REPEATS], unused;
    enum ss_status status = load_once(bed, true, &unused, &unused);
    for (int i = 0; i < REPEATS && !status; i++) {
        status = load_once(bed, false, &alone[i], &unused);
        if (!status)
            status = load_once(bed, true, &cold[i], &drops[i]);
    }
    if (status)
        return status;
    figures_say(bed, rows, "load alone", times_median(alone, REPEATS), "s");
    figures_say(bed, rows, "load and first token of 8, cold", times_median(cold, REPEATS), "s");
    figures_say(bed, rows, "drop, host time", times_median(drops, REPEATS), "s");
    return SS_OK;
}

/* The host's time to queue the first decode step of a model that came back SHIFT pages from where
 * it was first, as the second batch behind its load. */
static enum ss_status return_to(struct bed *bed, uint32_t shift, double *seconds)
{
    struct sequence sequences[1];
    uint64_t number;
    enum ss_status status = bed_drop(bed, 0, &number);
    bed->shift = shift;
    bed_clear(bed);
    begin(sequences, 1, PROMPT);
    if (!status)
        status = bed_load(bed, 0, &number);
    if (!status)
        status = bed_await_load(bed, number);
    if (!status)
        status = bed_step(bed, sequences, 1, &number);
    if (!status)
        status = bed_await_batch(bed, number);
    uint64_t begin_ns = ss_now_ns();
    if (!status)
        status = bed_step(bed, sequences, 1, &number);
    *seconds = (double)(ss_now_ns() - begin_ns) / 1e9;
    return status ? status : bed_await_batch(bed, number);
}

/* What a step's recording costs when weights lie where they lay, and when they do not. */
static enum ss_status measure_returns(struct bed *bed, json_t *rows)
{
    double same = 0, other = 0;
    enum ss_status status = return_to(bed, 0, &same);
    if (!status)
        status = return_to(bed, bed->weight_pages, &other);
    if (status)
        return status;
    figures_say(bed, rows, "first decode, back in its place, host queues", same, "s");
    figures_say(bed, rows, "first decode, in another place, host queues", other, "s");
    return SS_OK;
}

static enum ss_status measure_prefills(struct bed *bed, json_t *rows)
{
    enum ss_status status = measure_prefill(bed, rows, 1, 8, "first token of 8, resident");
    if (!status)
        status = measure_prefill(bed, rows, 1, PROMPT, "prefill 1 x 512");
    return status ? status : measure_prefill(bed, rows, 8, PROMPT, "prefill 8 x 512");
}

static enum ss_status measure_decodes(struct bed *bed, json_t *rows)
{
    enum ss_status status = measure_decode(bed, rows, 1, "decode, batch 1, context 512");
    return status ? status : measure_decode(bed, rows, BATCH_MAX, "decode, batch 32, context 512");
}

enum ss_status measure_parts(struct bed *bed, json_t *rows, unsigned parts)
{
    uint64_t load;
    enum ss_status status = parts & MEASURE_CEILINGS ? measure_ceilings(bed, rows) : SS_OK;
    if (!status && parts & MEASURE_LOADS)
        status = measure_loads(bed, rows);
    if (!status)
        status = bed_load(bed, 0, &load);
    if (!status)
        status = bed_await_load(bed, load);
    if (!status && parts & MEASURE_PREFILL)
        status = measure_prefills(bed, rows);
    if (!status && parts & MEASURE_DECODE)
        status = measure_decodes(bed, rows);
    if (!status && parts & MEASURE_RETURNS && bed->models > 1)
        status = measure_returns(bed, rows);
    return status;
}
