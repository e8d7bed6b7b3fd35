#include "engine/core/compose.h"

#include "engine/core/aside.h"
#include "engine/core/block.h"
#include "engine/core/block_need.h"
#include "engine/core/class_share.h"
#include "engine/core/flight.h"
#include "engine/core/head.h"
#include "engine/core/model.h"
#include "engine/core/overdue.h"
#include "engine/core/placing.h"
#include "engine/core/precedence.h"
#include "engine/core/room.h"
#include "engine/core/sequence.h"
#include "engine/core/step_bound.h"

/* The batch under construction. */
struct batch {
    uint16_t model;
    uint64_t level; /* of the first in it, at the latest */
    uint32_t sequences_max, rows_left;
    bool no_claims;       /* one found no room: what comes later must not take it */
    bool no_opens, fresh; /* fresh: only those with nothing under way */
    bool hidden_only;
    uint32_t slices;              /* prompts in it, or parts of such */
    uint32_t pushed;              /* opened beyond the places that the model has */
    struct ss_step_load load;     /* what is in it */
    struct ss_step_load expected; /* the decodes that should be in it beside */
    struct ss_batch_sequence *sequences;
    uint32_t *pages;
    uint32_t page_count;
    struct ss_flight *flight; /* flight->count: sequences so far */
};

static bool is_decode(const struct ss_sequence *sequence)
{
    return ss_sequence_known(sequence) - sequence->fed == 1;
}

/* Tokens of a sequence that go into this step. Decodes have their rows set aside; prompts share
 * what is left: all of one, if that fits, else a slice. The first in a step has a block's rows, or
 * what is left, or one row, so that none waits for the decodes to end; others have none rather than
 * a small one. */
static uint32_t slice_of(const struct ss_controller *controller, const struct batch *batch,
                         const struct ss_sequence *sequence)
{
    uint32_t tokens = ss_sequence_known(sequence) - sequence->fed;
    const struct ss_model *model = &controller->models[batch->model];
    struct ss_step_load load = batch->load;
    if (tokens == 1) {
        load.context += sequence->fed;
        return batch->flight->count == 0 || ss_step_bound_rows(controller, model, &load) > 0;
    }
    load.rows += batch->expected.rows;
    load.context += batch->expected.context + sequence->fed;
    uint32_t most = batch->hidden_only ? ss_step_bound_hidden_rows(controller, model, &load)
                                       : ss_step_bound_rows(controller, model, &load);
    uint32_t left = batch->rows_left;
    left = left > batch->expected.rows ? left - batch->expected.rows : 0;
    if (most > left)
        most = left;
    if (tokens <= most)
        return tokens;
    if (batch->slices > 0)
        return most >= controller->limits.step_tokens_max / 4 ? most : 0;
    uint32_t least = controller->block_tokens < left ? controller->block_tokens : left;
    most = most > least ? most : least > 0 ? least : 1;
    return most < tokens ? most : tokens;
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
    struct ss_claim claim = {.order = ss_precedence_of(controller, index), .model = batch->model};
    for (int stage = 0; stage < controller->pp; stage++)
        claim.need[stage] = count * controller->models[batch->model].block_pages[stage];
    if (ss_room_make(controller, &claim) == SS_ROOM_FREE &&
        (!spilled || ss_aside_restore(controller, index)) &&
        (new_blocks == 0 || ss_placing_take_blocks(controller, index, new_blocks)))
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
    sequence->in_batch = true;
    if (sequence->first_scheduled_ns == 0)
        sequence->first_scheduled_ns = controller->now_ns;
    batch->rows_left -= count;
    batch->load.rows += count;
    batch->load.context += sequence->fed;
}

/* False where it cannot take part now. */
static bool include(struct ss_controller *controller, struct batch *batch, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    bool queued = sequence->state == SS_SEQUENCE_QUEUED;
    bool decode = is_decode(sequence);
    uint32_t count = slice_of(controller, batch, sequence);
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
    batch->slices += !decode;
    add(controller, batch, index, count, new_blocks, queued ? SS_SEQUENCE_OPEN : 0);
    return true;
}

static bool may_step(const struct ss_sequence *sequence, bool fresh)
{
    return !sequence->in_batch && ss_sequence_is_ready(sequence, fresh) &&
           sequence->state != SS_SEQUENCE_SPILLING;
}

/* What goes before the last of those at work may open beside them, and takes its part in steps; but
 * of those that are overdue one in a step, so that the others go on. */
static bool may_open(const struct ss_controller *controller, const struct batch *batch,
                     uint32_t index)
{
    const struct ss_model *model = &controller->models[batch->model];
    if (index == SS_NONE || !ss_head_may_open(controller, index))
        return false;
    if (model->running < ss_model_places(controller, model))
        return true;
    if (ss_precedence_is_overdue(controller, &controller->sequences[index]) && batch->pushed > 0)
        return false;
    uint64_t own = ss_precedence_of(controller, index);
    for (int class = 0; class < SS_CLASSES; class ++)
        if (model->live[class].last != SS_NONE &&
            ss_precedence_of(controller, model->live[class].last) > own)
            return true;
    return false;
}

/* The rows that decodes will take, as far as there are places for them. */
static void expect_decodes(const struct ss_controller *controller, struct batch *batch)
{
    const struct ss_model *model = &controller->models[batch->model];
    const struct ss_sequence *sequences = controller->sequences;
    for (int class = 0; class < SS_CLASSES; class ++)
        for (uint32_t i = model->live[class].first;
             i != SS_NONE && batch->expected.rows < batch->sequences_max; i = sequences[i].next)
            if (is_decode(&sequences[i]) && may_step(&sequences[i], batch->fresh)) {
                batch->expected.rows++;
                batch->expected.context += sequences[i].fed + 1;
            }
}

/* The next in the order of precedence, at or behind AT in each list. */
static uint32_t next_of(const struct ss_controller *controller, const struct batch *batch,
                        uint32_t *at)
{
    const struct ss_model *model = &controller->models[batch->model];
    uint32_t found = SS_NONE;
    for (int class = 0; class < SS_CLASSES; class ++) {
        while (at[class] != SS_NONE && !may_step(&controller->sequences[at[class]], batch->fresh))
            at[class] = controller->sequences[at[class]].next;
        if (at[class] != SS_NONE && (found == SS_NONE || ss_precedence_of(controller, at[class]) <
                                                             ss_precedence_of(controller, found)))
            found = at[class];
    }
    uint32_t queued = ss_head_queued(controller, model);
    if (batch->no_opens || !may_open(controller, batch, queued))
        return found;
    return found == SS_NONE ||
                   ss_precedence_of(controller, queued) < ss_precedence_of(controller, found)
               ? queued
               : found;
}

/* By precedence, so that whoever makes room takes it from none that should be in the batch. */
static void fill(struct ss_controller *controller, struct batch *batch)
{
    const struct ss_model *model = &controller->models[batch->model];
    uint32_t at[SS_CLASSES], index;
    for (int class = 0; class < SS_CLASSES; class ++)
        at[class] = model->live[class].first;
    batch->expected = (struct ss_step_load){0};
    expect_decodes(controller, batch);
    while (batch->rows_left > 0 && batch->flight->count < batch->sequences_max &&
           (index = next_of(controller, batch, at)) != SS_NONE) {
        struct ss_sequence *sequence = &controller->sequences[index];
        bool queued = sequence->state == SS_SEQUENCE_QUEUED;
        if (batch->flight->count == 0 &&
            ss_level_of(ss_precedence_of(controller, index)) > batch->level)
            return;
        if (!queued && is_decode(sequence) && batch->expected.rows > 0) {
            batch->expected.rows--;
            batch->expected.context -= sequence->fed + 1;
        }
        bool included = include(controller, batch, index);
        if (queued) {
            batch->no_opens = !included;
            batch->pushed += model->running > ss_model_places(controller, model);
        } else
            at[sequence->class] = sequence->next;
    }
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
        controller->sequences[index].in_batch = false;
        ss_blocks_set_fixed(controller, index, blocks - batch->sequences[i].new_blocks, blocks,
                            false);
    }
    bool gets_on = false;
    for (uint32_t i = 0; i < flight->count; i++)
        gets_on |= flight->sequences[i].samples || (batch->sequences[i].flags & SS_SEQUENCE_OPEN);
    uint8_t class = controller->sequences[flight->sequences[0].index].class;
    ss_class_share_step(
        controller, (enum ss_class) class, batch->model,
        ss_step_bound_ns(controller, &controller->models[batch->model], &batch->load), gets_on);
    flight->model = batch->model;
    flight->load = batch->load;
    flight->decodes_only = batch->slices == 0;
    ss_flight_start(controller, flight, entry->number);
    ss_overdue_served(controller, batch->model, gets_on);
}

bool ss_compose_batch(struct ss_controller *controller, uint16_t index,
                      const struct ss_batch_form *form)
{
    uint32_t sequences_max = form->sequences_max;
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
        .model = index,
        .level = form->level,
        .sequences_max = sequences_max,
        .rows_left = rows,
        .fresh = form->fresh_only,
        .hidden_only = form->hidden_only,
        .flight = flight,
    };
    batch.sequences = ss_outbox_array(outbox, sequences_max, sizeof *batch.sequences);
    batch.pages = ss_outbox_array(outbox, pages_max, sizeof *batch.pages);
    size_t arena_own = outbox->arena_used;
    outbox->kept = 1; /* what makes room may send entries, but not take this one's place */
    flight->count = 0;
    fill(controller, &batch);
    if (flight->count == 0 && form->fresh_only) {
        batch.fresh = batch.no_opens = false;
        fill(controller, &batch);
    }
    outbox->kept = 0;
    if (flight->count > 0) {
        send(controller, &batch);
        return true;
    }
    if (outbox->arena_used == arena_own)
        outbox->arena_used = arena_used;
    return false;
}
