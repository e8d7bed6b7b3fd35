/* A batch entry becomes stream work: receive, wait for each chunk, run it, sample, send. */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "pipeline/stage/internal.h"

/* A few microseconds' worth: activations of a decode step are fewer. */
#define SMALL_BYTES_MAX ((uint64_t)1 << 20)

static bool is_first(const struct ss_stage *stage)
{
    return stage->stage == 0;
}

static bool is_last(const struct ss_stage *stage)
{
    return stage->stage == stage->pp - 1;
}

static enum ss_status check(const struct ss_stage *stage, const struct ss_entry *entry)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    uint64_t rows = 0;
    if (entry->model >= stage->options.model_count)
        return ss_fail(SS_INVALID, "batch: model %u of %" PRIu32, entry->model,
                       stage->options.model_count);
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        rows += entry->sequences[i].count;
    if (entry->sequence_count == 0 || entry->sequence_count > limits->batch_max ||
        rows > limits->step_tokens_max)
        return ss_fail(SS_INVALID,
                       "batch: %" PRIu32 " sequences with %" PRIu64 " tokens, limits are %" PRIu32
                       " and %" PRIu32,
                       entry->sequence_count, rows, limits->batch_max, limits->step_tokens_max);
    const struct stage_model *model = &stage->models[entry->model];
    for (int i = 0; i < model->given.image->chunk_count; i++)
        if (!model->chunks[i].held)
            return ss_fail(SS_INVALID,
                           "batch: chunk %d of model %u is neither resident nor on its way", i,
                           entry->model);
    return SS_OK;
}

/* What of the flight follows from the entry alone. */
static void measure(const struct ss_stage *stage, const struct ss_entry *entry,
                    struct flight *flight)
{
    flight->rows = flight->samples = flight->padding = 0;
    flight->alike = true;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *sequence = &entry->sequences[i];
        flight->rows += sequence->count;
        flight->alike &= sequence->count == 1 && (sequence->flags & SS_SEQUENCE_SAMPLE);
    }
    if (flight->alike && stage->pads)
        flight->padding = ss_stage_padded(stage, flight->rows) - flight->rows;
}

static enum ss_status take_flight(struct ss_stage *stage, const struct ss_entry *entry,
                                  struct flight **out)
{
    for (uint32_t i = 0; i < stage->options.limits.batches_in_flight; i++) {
        struct flight *flight = &stage->flights[i];
        if (atomic_load(&flight->ends))
            continue;
        flight->number = entry->number;
        flight->model = entry->model;
        flight->sequences = entry->sequence_count;
        measure(stage, entry, flight);
        flight->started_ns = flight->waited_ns = 0;
        *out = flight;
        return SS_OK;
    }
    return ss_fail(SS_FULL, "batch: more than %" PRIu32 " batches in flight",
                   stage->options.limits.batches_in_flight);
}

/* A place for the tokens of this batch to come back to; null where they do not. */
static enum ss_status take_return(struct ss_stage *stage, uint64_t number,
                                  struct token_return **out)
{
    uint64_t back = stage->needs.return_count ? stage->device->timeline_value(stage->tokened) : 0;
    *out = 0;
    for (uint32_t i = 0; i < stage->needs.return_count && !*out; i++)
        if (stage->returns[i].number <= back)
            *out = &stage->returns[i];
    if (*out)
        (*out)->number = number;
    return *out || !stage->needs.return_count
               ? SS_OK
               : ss_fail(SS_FULL, "batch: more than %" PRIu32 " batches' tokens are on their way",
                         stage->needs.return_count);
}

static uint64_t hidden_bytes(const struct ss_stage *stage, const struct flight *flight)
{
    return (uint64_t)flight->rows * stage->models[flight->model].given.shape->hidden *
           stage->needs.workspace.activation_bytes;
}

/* Between the residual stream and what an edge carries. */
static enum ss_status copy_hidden(struct ss_stage *stage, const struct flight *flight,
                                  ss_device_address to, ss_device_address from)
{
    uint64_t bytes = hidden_bytes(stage, flight);
    const struct ss_small_copy small = {.to = to, .from = from, .bytes = (uint32_t)bytes};
    return bytes <= SMALL_BYTES_MAX
               ? stage->device->copy_small(stage->compute, &small, 1)
               : stage->device->copy_on_device(stage->compute, to, from, bytes);
}

/* What the first chunk's compute must wait for: tokens of earlier steps, or activations. */
static enum ss_status await_input(struct ss_stage *stage, const struct ss_entry *entry,
                                  struct flight *flight)
{
    const struct ss_device_ops *device = stage->device;
    uint64_t tokened = 0, restored = 0;
    enum ss_status status = SS_OK;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        struct slot *slot = &stage->slots[entry->sequences[i].slot];
        if (slot->last_sample > tokened)
            tokened = slot->last_sample;
        if (slot->restored > restored)
            restored = slot->restored;
        slot->restored = 0;
    }
    if (restored) {
        stage->awaiting = flight->number;
        status = device->wait(stage->compute, stage->restored, restored);
    }
    if (!status && is_first(stage) && stage->pp > 1 && tokened)
        status = device->wait(stage->compute, stage->tokened, tokened);
    if (status || is_first(stage))
        return status;
    status = stage->options.comm->table->receive_previous(
        stage->options.comm, stage->edge_in, flight->hidden, hidden_bytes(stage, flight));
    if (!status)
        status = device->signal(stage->edge_in, stage->received, flight->number);
    if (!status)
        status = device->wait(stage->compute, stage->received, flight->number);
    if (!status)
        status = copy_hidden(stage, flight, stage->graph.hidden, flight->hidden);
    return status;
}

static enum ss_status tap_logits(struct ss_stage *stage, struct flight *flight)
{
    const struct ss_shape *shape = stage->models[flight->model].given.shape;
    size_t rows = flight->samples + flight->padding;
    enum ss_status status =
        stage->device->copy_to_host(stage->compute, flight->logits, stage->graph.logits,
                                    rows * ss_vocab_part(shape, stage->tp) * (size_t)stage->tp *
                                        stage->needs.workspace.activation_bytes);
    return status ? status : stage->device->host_call(stage->compute, ss_flight_logits, flight);
}

/* What the last stage sampled: rank 0 of it reports; all send the tokens to the first stage. */
static enum ss_status give_tokens(struct ss_stage *stage, struct flight *flight)
{
    ss_device_address tokens = stage->arrays + stage->needs.layout.tokens_out;
    uint32_t bytes = flight->samples * (uint32_t)sizeof(int32_t), count = 0;
    struct ss_small_copy copies[2];
    enum ss_status status = SS_OK;
    if (stage->options.on_logits)
        status = tap_logits(stage, flight);
    if (stage->pp > 1)
        copies[count++] =
            (struct ss_small_copy){.to = flight->tokens_out, .from = tokens, .bytes = bytes};
    if (stage->tp_rank == 0)
        copies[count++] =
            (struct ss_small_copy){.to = (uintptr_t)flight->tokens, .from = tokens, .bytes = bytes};
    if (!status && count)
        status = stage->device->copy_small(stage->compute, copies, count);
    return status || stage->tp_rank > 0
               ? status
               : stage->device->host_call(stage->compute, ss_flight_sampled, flight);
}

/* Queues what leaves this rank after its compute. */
static enum ss_status send(struct ss_stage *stage, struct flight *flight)
{
    const struct ss_device_ops *device = stage->device;
    struct ss_comm *comm = stage->options.comm;
    if (is_last(stage) && !flight->samples)
        return SS_OK;
    enum ss_status status = device->wait(stage->edge_out, stage->computed, flight->number);
    if (!status && is_last(stage))
        status = comm->table->send_next(comm, stage->edge_out, flight->tokens_out,
                                        flight->samples * sizeof(int32_t));
    else if (!status)
        status = comm->table->send_next(comm, stage->edge_out, flight->hidden,
                                        hidden_bytes(stage, flight));
    if (status)
        return status;
    atomic_fetch_add(&flight->ends, 1);
    return device->host_call(stage->edge_out, ss_flight_ended, flight);
}

/* Queues what comes back for the batch. It is not waited for: the next batch of the same slots
 * does that on the device. */
static enum ss_status receive_tokens(struct ss_stage *stage, const struct flight *flight,
                                     const struct token_return *returned)
{
    const struct ss_device_ops *device = stage->device;
    struct ss_comm *comm = stage->options.comm;
    /* They cannot come sooner, and a receive may hold what this compute could use. */
    enum ss_status status = device->wait(stage->edge_in, stage->computed, flight->number);
    if (!status)
        status = comm->table->receive_previous(comm, stage->edge_in, returned->tokens,
                                               flight->samples * sizeof(int32_t));
    if (!status)
        status = device->wait(stage->edge_in, stage->staged, flight->number);
    if (!status)
        status = stage->options.ops->table->store_tokens(stage->options.ops, stage->edge_in,
                                                         returned->tokens, flight->samples,
                                                         returned->sampling, &stage->table);
    return status ? status : device->signal(stage->edge_in, stage->tokened, flight->number);
}

/* Queues the batch's compute, from its first chunk to its samples. */
static enum ss_status compute(struct ss_stage *stage, struct flight *flight,
                              const struct ss_step *step)
{
    struct ss_comm *comm = stage->options.comm;
    struct stage_model *model = &stage->models[flight->model];
    for (int i = 0; i < model->given.image->chunk_count; i++)
        model->chunks[i].last_use = flight->number;
    if (!model->awaited)
        stage->awaiting = flight->number;
    ss_stage_point_graph(stage, flight, step);
    enum ss_status status = ss_stage_may_play(stage, flight) ? ss_stage_play(stage, flight)
                                                             : ss_stage_run_pass(stage, flight);
    model->awaited = !status;
    if (!status && comm->table->end_pass)
        status = comm->table->end_pass(comm, stage->compute);
    if (!status && is_last(stage) && flight->samples)
        status = give_tokens(stage, flight);
    if (!status && !is_last(stage))
        status = copy_hidden(stage, flight, flight->hidden, stage->graph.hidden);
    if (!status)
        status = stage->device->signal(stage->compute, stage->computed, flight->number);
    if (!status)
        atomic_store(&stage->place.queued, flight->number);
    return status;
}

/* Whether all entries whose compute waits for copies are over, by what entries say: of a sequence,
 * one step at most is ordered before the tokens of the step before it are reported. */
static bool is_settled(const struct ss_stage *stage, const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        if (stage->slots[entry->sequences[i].slot].sampled_before >= stage->awaiting)
            return true;
    return false;
}

static bool samples(const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        if (entry->sequences[i].flags & SS_SEQUENCE_SAMPLE)
            return true;
    return false;
}

enum ss_status ss_stage_batch(struct ss_stage *stage, const struct ss_entry *entry,
                              const struct ss_opening *openings, uint32_t opening_count)
{
    struct flight *flight = 0;
    struct token_return *returned = 0;
    struct ss_step step;
    enum ss_status status = check(stage, entry);
    if (!status)
        status = take_flight(stage, entry, &flight);
    if (!status && samples(entry))
        status = take_return(stage, entry->number, &returned);
    if (!status)
        status = ss_stage_update_slots(stage, entry, openings, opening_count);
    if (!status)
        status = await_input(stage, entry, flight);
    if (!status) {
        flight->settled = is_settled(stage, entry);
        status = stage->device->host_call(stage->compute, ss_flight_started, flight);
    }
    if (!status)
        status = ss_flight_stage(flight, entry, openings, returned, &step);
    if (status)
        return status;
    atomic_store(&flight->ends, FLIGHT_KEPT + 1);
    status = compute(stage, flight, &step);
    if (!status && stage->pp > 1)
        status = send(stage, flight);
    if (!status && returned)
        status = receive_tokens(stage, flight, returned);
    return status ? status : stage->device->host_call(stage->compute, ss_flight_computed, flight);
}
