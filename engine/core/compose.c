#include "engine/core/compose.h"

#include "engine/core/aside.h"
#include "engine/core/block.h"
#include "engine/core/flight.h"
#include "engine/core/model.h"
#include "engine/core/room.h"
#include "engine/core/sequence.h"

/* The batch under construction. */
struct batch {
    uint16_t model;
    uint32_t sequences_max, rows_left;
    bool no_claims; /* one found no room: what is younger must not take it */
    struct ss_batch_sequence *sequences;
    uint32_t *pages;
    uint32_t page_count;
    struct ss_flight *flight; /* flight->count: sequences so far */
};

/* Tokens of a sequence that go into this step: all, if they fit; else a slice, unless that would be
 * a small one beside others. */
static uint32_t slice_of(const struct ss_controller *controller, const struct batch *batch,
                         uint32_t tokens)
{
    if (tokens <= batch->rows_left)
        return tokens;
    if (batch->flight->count == 0 || batch->rows_left >= controller->limits.step_tokens_max / 4)
        return batch->rows_left;
    return 0;
}

/* Blocks for the slice: those that were spilled, and new ones for what the table cannot hold. */
static bool get_blocks(struct ss_controller *controller, struct batch *batch, uint32_t index,
                       uint32_t new_blocks)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    bool spilled = sequence->state == SS_SEQUENCE_SPILLED;
    uint32_t count = new_blocks + (spilled ? sequence->spill_count : 0);
    if (count == 0)
        return true;
    if (batch->no_claims)
        return false;
    struct ss_claim claim = {.order = sequence->order, .model = batch->model};
    for (int stage = 0; stage < controller->pp; stage++)
        claim.need[stage] = count * controller->models[batch->model].block_pages[stage];
    if (ss_room_make(controller, &claim) && (!spilled || ss_aside_restore(controller, index)) &&
        (new_blocks == 0 || ss_blocks_take(controller, index, new_blocks)))
        return true;
    batch->no_claims = true;
    return false;
}

static void add(struct ss_controller *controller, struct batch *batch, uint32_t index,
                uint32_t count, uint32_t new_blocks, uint16_t flags)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    bool samples = sequence->fed + count == ss_sequence_known(sequence);
    struct ss_flight *flight = batch->flight;
    batch->sequences[flight->count] = (struct ss_batch_sequence){
        .request = sequence->handle,
        .slot = sequence->slot,
        .flags = (uint16_t)(flags | (samples ? SS_SEQUENCE_SAMPLE : 0)),
        .position = sequence->fed,
        .count = count,
        .new_blocks = new_blocks,
    };
    flight->sequences[flight->count++] = (struct ss_flight_sequence){
        .index = index,
        .generation = sequence->generation,
        .slot = sequence->slot,
        .samples = samples,
    };
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t i = sequence->blocks - new_blocks; i < sequence->blocks; i++)
            batch->pages[batch->page_count++] =
                *ss_block_page(controller, sequence->slot, stage, i);
    sequence->fed += count;
    sequence->issued += samples ? 1 : 0;
    sequence->slices += samples ? 0 : 1;
    if (sequence->first_scheduled_ns == 0)
        sequence->first_scheduled_ns = controller->now_ns;
    batch->rows_left -= count;
}

/* False where it cannot take part now. */
static bool include(struct ss_controller *controller, struct batch *batch, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    bool queued = sequence->state == SS_SEQUENCE_QUEUED;
    uint32_t count = slice_of(controller, batch, ss_sequence_known(sequence) - sequence->fed);
    if (count == 0)
        return false;
    uint32_t has =
        sequence->state == SS_SEQUENCE_SPILLED ? sequence->spill_count : sequence->blocks;
    uint32_t needs = ss_blocks_of(controller, sequence->fed + count);
    uint32_t new_blocks = needs > has ? needs - has : 0;
    if (queued)
        sequence->slot = controller->free_slots[controller->free_slot_count - 1];
    if (!get_blocks(controller, batch, index, new_blocks)) {
        if (queued)
            sequence->slot = SS_NO_SLOT;
        return false;
    }
    if (queued)
        ss_sequence_open(controller, index);
    else if (sequence->state == SS_SEQUENCE_ASIDE)
        ss_sequence_set(controller, index, SS_SEQUENCE_RUNNING);
    add(controller, batch, index, count, new_blocks, queued ? SS_SEQUENCE_OPEN : 0);
    return true;
}

static bool may_step(const struct ss_sequence *sequence, bool fresh)
{
    return ss_sequence_is_ready(sequence) && sequence->state != SS_SEQUENCE_SPILLING &&
           (!fresh || sequence->issued + sequence->slices == sequence->reported);
}

static bool may_open(const struct ss_controller *controller, const struct ss_model *model)
{
    return model->queue.count > 0 &&
           model->live.count < model->batch_max * (uint32_t)controller->pp &&
           ss_sequence_may_open(controller, model->queue.first);
}

/* By age, so that whoever makes room takes it from none that is in the batch already. */
static void fill(struct ss_controller *controller, struct batch *batch, bool fresh)
{
    const struct ss_model *model = &controller->models[batch->model];
    const struct ss_sequence *sequences = controller->sequences;
    for (uint32_t i = model->live.first;
         i != SS_NONE && batch->rows_left > 0 && batch->flight->count < batch->sequences_max;
         i = sequences[i].next)
        if (may_step(&sequences[i], fresh))
            include(controller, batch, i);
    while (batch->flight->count < batch->sequences_max && batch->rows_left > 0 &&
           may_open(controller, model))
        if (!include(controller, batch, model->queue.first))
            return;
}

static void send(struct ss_controller *controller, struct batch *batch)
{
    struct ss_flight *flight = batch->flight;
    controller->outbox.kept = 0;
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_BATCH);
    entry->model = batch->model;
    entry->sequence_count = flight->count;
    entry->sequences = batch->sequences;
    entry->page_count = batch->page_count;
    entry->pages = batch->pages;
    for (uint32_t i = 0; i < flight->count; i++) {
        uint32_t index = flight->sequences[i].index;
        uint32_t blocks = controller->sequences[index].blocks;
        ss_blocks_set_fixed(controller, index, blocks - batch->sequences[i].new_blocks, blocks,
                            false);
    }
    flight->model = batch->model;
    ss_flight_start(controller, flight, entry->number);
}

bool ss_compose_batch(struct ss_controller *controller, uint16_t index, uint32_t sequences_max,
                      bool fresh_only)
{
    struct ss_outbox *outbox = &controller->outbox;
    uint32_t rows = controller->limits.step_tokens_max;
    /* A slice of n tokens takes n / block_tokens blocks, and a part of one more. */
    size_t pages_max = (size_t)controller->pp * (rows / controller->block_tokens + sequences_max);
    size_t bytes = ss_outbox_bytes(sequences_max, sizeof(struct ss_batch_sequence)) +
                   ss_outbox_bytes(pages_max, sizeof(uint32_t));
    struct ss_flight *flight = ss_flight_place(controller);
    if (!flight || !ss_outbox_fits(outbox, 1, bytes))
        return false;
    size_t arena_used = outbox->arena_used;
    struct batch batch = {
        .model = index, .sequences_max = sequences_max, .rows_left = rows, .flight = flight};
    batch.sequences = ss_outbox_array(outbox, sequences_max, sizeof *batch.sequences);
    batch.pages = ss_outbox_array(outbox, pages_max, sizeof *batch.pages);
    size_t arena_own = outbox->arena_used;
    outbox->kept = 1; /* what makes room may send entries, but not take this one's place */
    flight->count = 0;
    fill(controller, &batch, fresh_only);
    if (flight->count == 0 && fresh_only)
        fill(controller, &batch, false);
    outbox->kept = 0;
    if (flight->count > 0) {
        send(controller, &batch);
        return true;
    }
    if (outbox->arena_used == arena_own)
        outbox->arena_used = arena_used;
    return false;
}
