#include "engine/core/outbox.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

enum ss_status ss_outbox_open(uint32_t outcomes_max, size_t arena_bytes, struct ss_outbox *outbox)
{
    struct ss_outbox made = {.ring_max = outcomes_max, .arena_bytes = arena_bytes};
    enum ss_status status = ss_alloc(&made.ring, outcomes_max, sizeof *made.ring, "outcomes");
    if (status == SS_OK)
        status = ss_alloc(&made.arena, 1, arena_bytes, "arrays of entries");
    if (status != SS_OK) {
        ss_outbox_close(&made);
        return status;
    }
    *outbox = made;
    return SS_OK;
}

void ss_outbox_close(struct ss_outbox *outbox)
{
    ss_free(outbox->ring);
    ss_free(outbox->arena);
    *outbox = (struct ss_outbox){0};
}

static void put_outcome(struct ss_outbox *outbox, const struct ss_outcome *outcome)
{
    outbox->actions[outbox->count++] = (struct ss_action){
        .kind = (enum ss_action_kind)outcome->kind,
        .request = outcome->request,
        .number = outcome->request,
        .rank = outcome->rank,
        .loss = (enum ss_loss)outcome->loss,
        .token = outcome->token,
        .count = outcome->count,
        .reason = (enum ss_end)outcome->reason,
        .ok = outcome->ok,
        .cold = outcome->cold,
        .first_scheduled_ns = outcome->first_scheduled_ns,
        .least_ns = outcome->least_ns,
    };
}

void ss_outbox_begin(struct ss_outbox *outbox, struct ss_action *actions, uint32_t actions_max)
{
    outbox->actions = actions;
    outbox->count = 0;
    outbox->count_max = actions_max;
    outbox->kept = 0;
    outbox->cut = false;
    outbox->arena_used = 0;
    while (outbox->ring_count > 0 && outbox->count < outbox->count_max) {
        put_outcome(outbox, &outbox->ring[outbox->ring_first]);
        outbox->ring_first = (outbox->ring_first + 1) % outbox->ring_max;
        outbox->ring_count--;
    }
}

void ss_outbox_outcome(struct ss_outbox *outbox, struct ss_outcome outcome)
{
    if (outbox->ring_count == 0 && outbox->count < outbox->count_max) {
        put_outcome(outbox, &outcome);
        return;
    }
    SS_ASSERT(outbox->ring_count < outbox->ring_max);
    uint32_t at = (outbox->ring_first + outbox->ring_count++) % outbox->ring_max;
    outbox->ring[at] = outcome;
}

bool ss_outbox_fits(struct ss_outbox *outbox, uint32_t entries, size_t bytes)
{
    bool fits = outbox->count + outbox->kept + entries < outbox->count_max &&
                bytes <= outbox->arena_bytes - outbox->arena_used;
    if (!fits)
        outbox->cut = true;
    return fits;
}

void *ss_outbox_array(struct ss_outbox *outbox, size_t count, size_t size)
{
    size_t bytes = (count * size + 7) / 8 * 8;
    SS_ASSERT(bytes <= outbox->arena_bytes - outbox->arena_used);
    void *array = outbox->arena + outbox->arena_used;
    outbox->arena_used += bytes;
    return array;
}

struct ss_entry *ss_outbox_send(struct ss_outbox *outbox, enum ss_entry_kind kind)
{
    SS_ASSERT(outbox->count < outbox->count_max && outbox->ring_count == 0);
    struct ss_action *action = &outbox->actions[outbox->count++];
    *action = (struct ss_action){.kind = SS_ACTION_SEND,
                                 .entry = {.kind = kind, .number = ++outbox->number}};
    return &action->entry;
}

bool ss_outbox_timer(struct ss_outbox *outbox, uint64_t at_ns)
{
    if (outbox->count == outbox->count_max)
        return false;
    outbox->actions[outbox->count++] = (struct ss_action){.kind = SS_ACTION_TIMER, .at_ns = at_ns};
    return true;
}
