/* A batch under way: its arrays, staged and copied, and what streams tell of it. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "pipeline/stage/internal.h"
#include "swap/convert.h"

/* The shortest context, in tokens, that steps alike are told apart by. */
#define CONTEXT_LEAST 512u

static int32_t *staged_at(struct flight *flight, size_t offset)
{
    return (int32_t *)(void *)(flight->staged + offset);
}

/* Copies the prompts of opening slots into the token table, through the flight's staging memory. */
static enum ss_status copy_prompts(struct flight *flight, const struct ss_entry *entry,
                                   const struct ss_opening *openings)
{
    struct ss_stage *stage = flight->stage;
    struct ss_small_copy copies[SS_SMALL_COPIES_MAX];
    size_t at = stage->needs.layout.prompts;
    uint32_t opened = 0, count = 0;
    enum ss_status status = SS_OK;
    for (uint32_t i = 0; i < entry->sequence_count && !status; i++) {
        const struct ss_batch_sequence *sequence = &entry->sequences[i];
        if (!(sequence->flags & SS_SEQUENCE_OPEN))
            continue;
        const struct ss_opening *opening = &openings[opened++];
        size_t bytes = opening->prompt_count * sizeof *opening->prompt;
        if (bytes > stage->needs.layout.host_bytes - at)
            return ss_fail(SS_INVALID, "batch: prompts exceed %zu bytes",
                           stage->needs.layout.host_bytes - stage->needs.layout.prompts);
        memcpy(flight->staged + at, opening->prompt, bytes);
        copies[count++] = (struct ss_small_copy){
            .to = stage->table.tokens + (uint64_t)sequence->slot * stage->table.tokens_max * 4,
            .from = (uintptr_t)(flight->staged + at),
            .bytes = (uint32_t)bytes};
        at += bytes;
        if (count == SS_SMALL_COPIES_MAX) {
            status = stage->device->copy_small(stage->compute, copies, count);
            count = 0;
        }
    }
    return status || !count ? status : stage->device->copy_small(stage->compute, copies, count);
}

uint32_t ss_stage_padded(const struct ss_stage *stage, uint32_t rows)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    uint32_t most = limits->batch_max, padded = 1;
    most = most < limits->step_tokens_max ? most : limits->step_tokens_max;
    while (padded < rows)
        padded *= 2;
    return padded < most ? padded : most;
}

/* Rows behind the flight's own, of sequences that are none. */
static void stage_padding(struct flight *flight, struct ss_step *step)
{
    const struct flight_layout *layout = &flight->stage->needs.layout;
    struct ss_sampling *sampling =
        (struct ss_sampling *)(void *)(flight->staged + layout->sampling);
    for (uint32_t row = step->rows; row < flight->rows + flight->padding; row++) {
        staged_at(flight, layout->positions)[row] = -1;
        staged_at(flight, layout->sequence_of)[row] = (int32_t)row;
        staged_at(flight, layout->row_begin)[row + 1] = (int32_t)row + 1;
        staged_at(flight, layout->slots)[row] = -1;
        staged_at(flight, layout->sample_rows)[row] = (int32_t)row;
        sampling[row] = (struct ss_sampling){.top_p = 1, .slot = -1, .position = -1};
    }
    step->rows += flight->padding;
    step->sequences += flight->padding;
}

/* The longest context of the batch; of steps alike, one of few. */
static uint32_t context_of(const struct flight *flight, const struct ss_entry *entry)
{
    uint32_t longest = 0, context = CONTEXT_LEAST;
    uint32_t most = flight->stage->models[flight->model].given.context_max;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *sequence = &entry->sequences[i];
        if (sequence->position + sequence->count > longest)
            longest = sequence->position + sequence->count;
    }
    if (!flight->alike || !flight->stage->pads)
        return longest;
    while (context < longest)
        context *= 2;
    return context < most ? context : most;
}

/* Brings what was staged of STEP to the device. */
static enum ss_status copy_arrays(struct flight *flight, const struct ss_step *step,
                                  const struct token_return *returned)
{
    const struct ss_stage *stage = flight->stage;
    const struct flight_layout *layout = &stage->needs.layout;
    uint32_t samples = flight->samples + flight->padding;
    uint32_t sampling = samples * (uint32_t)sizeof(struct ss_sampling);
    const struct {
        size_t offset;
        uint32_t bytes;
    } parts[] = {{layout->positions, step->rows * 4},
                 {layout->sequence_of, step->rows * 4},
                 {layout->row_begin, (step->sequences + 1) * 4},
                 {layout->slots, step->sequences * 4},
                 {layout->blocks, step->sequences * step->blocks_stride * 4},
                 {layout->sample_rows, samples * 4},
                 {layout->sampling, sampling}};
    enum { PARTS = sizeof parts / sizeof *parts };
    struct ss_small_copy copies[PARTS + 1];
    _Static_assert(PARTS + 1 <= SS_SMALL_COPIES_MAX, "one call copies all");
    /* Whole vectors: every array has room for them. */
    for (uint32_t i = 0; i < PARTS; i++)
        copies[i] = (struct ss_small_copy){.to = stage->arrays + parts[i].offset,
                                           .from = (uintptr_t)(flight->staged + parts[i].offset),
                                           .bytes = (parts[i].bytes + 15) / 16 * 16};
    if (returned)
        copies[PARTS] = (struct ss_small_copy){.to = returned->sampling,
                                               .from = copies[PARTS - 1].from,
                                               .bytes = copies[PARTS - 1].bytes};
    return stage->device->copy_small(stage->compute, copies, PARTS + (returned != 0));
}

static void stage_sample(struct flight *flight, const struct ss_batch_sequence *sequence,
                         uint32_t last_row)
{
    const struct ss_stage_limits *limits = &flight->stage->options.limits;
    struct slot *slot = &flight->stage->slots[sequence->slot];
    uint32_t index = flight->samples++;
    SS_ASSERT(index < limits->batch_max);
    uint32_t position = sequence->position + sequence->count;
    struct ss_sampling *sampling =
        (struct ss_sampling *)(void *)(flight->staged + flight->stage->needs.layout.sampling);
    staged_at(flight, flight->stage->needs.layout.sample_rows)[index] = (int32_t)last_row;
    sampling[index] = (struct ss_sampling){
        .temperature = slot->opening.temperature,
        .top_p = slot->opening.top_p,
        .top_k = slot->opening.top_k,
        .slot = sequence->slot,
        .seed = slot->opening.seed,
        .position = (int32_t)position,
    };
    struct token_limits *ending = &flight->endings[index];
    *ending = (struct token_limits){
        .slot = sequence->slot,
        .position = position,
        .length_max = slot->opening.length_max,
        .stop_id_count = slot->opening.stop_id_count,
        .eos_id_count = slot->opening.eos_id_count,
    };
    memcpy(ending->stop_ids, slot->opening.stop_ids, sizeof ending->stop_ids);
    slot->sampled_before = slot->sampled;
    slot->sampled = slot->last_sample = flight->number;
}

static void stage_sequence(struct flight *flight, const struct ss_batch_sequence *sequence,
                           uint32_t index, struct ss_step *step)
{
    struct ss_stage *stage = flight->stage;
    const struct flight_layout *layout = &stage->needs.layout;
    const struct slot *slot = &stage->slots[sequence->slot];
    int32_t *positions = staged_at(flight, layout->positions) + step->rows;
    int32_t *sequence_of = staged_at(flight, layout->sequence_of) + step->rows;
    int32_t *blocks = staged_at(flight, layout->blocks) + (size_t)index * step->blocks_stride;
    uint32_t count =
        slot->block_count < step->blocks_stride ? slot->block_count : step->blocks_stride;
    for (uint32_t i = 0; i < sequence->count; i++) {
        positions[i] = (int32_t)(sequence->position + i);
        sequence_of[i] = (int32_t)index;
    }
    memcpy(blocks, slot->blocks, count * sizeof *blocks);
    staged_at(flight, layout->slots)[index] = sequence->slot;
    step->rows += sequence->count;
    staged_at(flight, layout->row_begin)[index + 1] = (int32_t)step->rows;
    if (sequence->count > step->rows_max_per_sequence)
        step->rows_max_per_sequence = sequence->count;
    if (sequence->flags & SS_SEQUENCE_SAMPLE)
        stage_sample(flight, sequence, step->rows - 1);
}

enum ss_status ss_flight_stage(struct flight *flight, const struct ss_entry *entry,
                               const struct ss_opening *openings,
                               const struct token_return *returned, struct ss_step *step)
{
    struct ss_stage *stage = flight->stage;
    const struct flight_layout *layout = &stage->needs.layout;
    uint32_t context = context_of(flight, entry);
    *step = (struct ss_step){
        .sequences = entry->sequence_count,
        .tokens = stage->arrays + layout->tokens_in,
        .positions = stage->arrays + layout->positions,
        .sequence_of = stage->arrays + layout->sequence_of,
        .row_begin = stage->arrays + layout->row_begin,
        .slots = stage->arrays + layout->slots,
        .blocks = stage->arrays + layout->blocks,
        /* No more of the tables than the longest context needs. */
        .blocks_stride =
            (context + stage->options.limits.block_tokens - 1) / stage->options.limits.block_tokens,
        .context_max = context,
    };
    staged_at(flight, layout->row_begin)[0] = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        stage_sequence(flight, &entry->sequences[i], i, step);
    if (flight->alike && stage->pads)
        stage_padding(flight, step);
    enum ss_status status = copy_arrays(flight, step, returned);
    if (!status && stage->stage == 0)
        status = copy_prompts(flight, entry, openings);
    if (!status)
        status = stage->device->signal(stage->compute, stage->staged, flight->number);
    return status;
}

void ss_flight_started(void *argument)
{
    struct flight *flight = argument;
    flight->started_ns = ss_now_ns();
}

void ss_flight_wait_began(void *argument)
{
    struct flight *flight = argument;
    flight->wait_began_ns = ss_now_ns();
}

void ss_flight_wait_ended(void *argument)
{
    struct flight *flight = argument;
    uint64_t now = ss_now_ns();
    flight->waited_ns += now - flight->wait_began_ns;
    ss_trace_span(flight->stage->options.trace, SS_TRACE_COMPUTE, "wait", flight->model,
                  flight->number, flight->wait_began_ns, now);
}

static enum ss_ending finish_of(const struct token_limits *ending, int32_t token)
{
    for (uint32_t i = 0; i < ending->stop_id_count; i++)
        if (ending->stop_ids[i] == token)
            return i < ending->eos_id_count ? SS_ENDING_EOS : SS_ENDING_STOP;
    return ending->position + 1 >= ending->length_max ? SS_ENDING_LENGTH : SS_ENDING_NONE;
}

void ss_flight_sampled(void *argument)
{
    struct flight *flight = argument;
    if (!ss_stage_is_well(flight->stage, flight->number, flight->model))
        return;
    for (uint32_t i = 0; i < flight->samples; i++)
        flight->report_tokens[i] = (struct ss_report_token){
            .slot = flight->endings[i].slot,
            .finish = (uint16_t)finish_of(&flight->endings[i], flight->tokens[i]),
            .token = flight->tokens[i],
        };
    struct ss_report report = {.kind = SS_REPORT_TOKENS,
                               .number = flight->number,
                               .at_ns = ss_now_ns(),
                               .token_count = flight->samples,
                               .tokens = flight->report_tokens};
    ss_stage_report_full(flight->stage, &report);
}

void ss_flight_logits(void *argument)
{
    struct flight *flight = argument;
    struct ss_stage *stage = flight->stage;
    if (!ss_stage_is_well(stage, flight->number, flight->model))
        return;
    const struct ss_shape *shape = stage->models[flight->model].given.shape;
    uint32_t part = ss_vocab_part(shape, stage->tp), vocab = shape->vocab;
    uint32_t laid = flight->samples + flight->padding;
    float *rows = flight->logits + (size_t)laid * part * (size_t)stage->tp;
    enum ss_dtype dtype = stage->options.ops->table->activation_dtype;
    /* From [tp][samples and padding][part] to [samples][vocab], into the second half of the buffer.
     */
    for (uint32_t i = 0; i < flight->samples; i++)
        for (uint32_t t = 0; t * part < vocab; t++)
            ss_convert(rows + (size_t)i * vocab + t * part, SS_F32,
                       (unsigned char *)flight->logits +
                           ((size_t)t * laid + i) * part * ss_dtype_bytes(dtype),
                       dtype, vocab - t * part < part ? vocab - t * part : part);
    stage->options.on_logits(stage->options.user, flight->number, flight->samples, vocab, rows);
}

/* The last of the flight's streams reports the batch as done, and only then lets go of the flight:
 * what it reads was written before another stream's end. */
void ss_flight_ended(void *argument)
{
    struct flight *flight = argument;
    struct ss_stage *stage = flight->stage;
    if (atomic_fetch_sub(&flight->ends, 1) > FLIGHT_KEPT + 1)
        return;
    struct ss_report report = {.kind = SS_REPORT_DONE,
                               .number = flight->number,
                               .count = flight->rows,
                               .at_ns = flight->computed_ns,
                               .started_ns = flight->started_ns,
                               .waited_ns = flight->waited_ns};
    int model = flight->model;
    atomic_store(&flight->ends, 0);
    if (ss_stage_is_well(stage, report.number, model))
        ss_stage_report_full(stage, &report);
}

void ss_flight_computed(void *argument)
{
    struct flight *flight = argument;
    flight->computed_ns = ss_now_ns();
    ss_trace_span(flight->stage->options.trace, SS_TRACE_COMPUTE, "batch", flight->model,
                  flight->number, flight->started_ns, flight->computed_ns);
    ss_flight_ended(flight);
}
