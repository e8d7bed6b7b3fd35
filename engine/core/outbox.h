/* What a step gives back: actions, in order, and the arrays of their entries.
 *
 * Outcomes (tokens, ends, refusals) must never be lost, so what does not fit the caller's array
 * waits in a ring for the next call. Entries are optional: who wants to send one asks for room
 * first, and stops deciding where there is none; `cut` then makes the step ask to be called again.
 * The last place of the caller's array is kept for the timer. */
#ifndef SS_CORE_OUTBOX_H
#define SS_CORE_OUTBOX_H

#include "engine/core/controller.h"

struct ss_outcome {
    uint64_t least_ns;
    uint64_t request, first_scheduled_ns; /* request: of a loss, its number */
    int32_t token;
    uint32_t count;
    uint8_t kind, reason, loss;
    uint16_t rank;
    bool ok, cold;
};

struct ss_outbox {
    struct ss_action *actions; /* the caller's, while a step runs */
    uint32_t count, count_max;
    uint32_t kept;   /* places promised to an entry under construction */
    bool cut;        /* an entry found no room */
    uint64_t number; /* of the latest entry */

    struct ss_outcome *ring;
    uint32_t ring_first, ring_count, ring_max;

    unsigned char *arena;
    size_t arena_used, arena_bytes;
};

SS_MUST_CHECK enum ss_status ss_outbox_open(uint32_t outcomes_max, size_t arena_bytes,
                                            struct ss_outbox *outbox);
void ss_outbox_close(struct ss_outbox *outbox);

/* Starts a step: the arena is empty, and waiting outcomes go first. */
void ss_outbox_begin(struct ss_outbox *outbox, struct ss_action *actions, uint32_t actions_max);

void ss_outbox_outcome(struct ss_outbox *outbox, struct ss_outcome outcome);

/* True, and sets nothing, where ENTRIES more entries with arrays of BYTES in all can be sent;
 * else marks the step as cut. */
bool ss_outbox_fits(struct ss_outbox *outbox, uint32_t entries, size_t bytes);

/* An array from the arena; room was asked for. */
void *ss_outbox_array(struct ss_outbox *outbox, size_t count, size_t size);

/* The next entry, numbered, all else zero; room was asked for. */
struct ss_entry *ss_outbox_send(struct ss_outbox *outbox, enum ss_entry_kind kind);

/* Puts the timer in the place kept for it. False where outcomes took that too. */
bool ss_outbox_timer(struct ss_outbox *outbox, uint64_t at_ns);

/* What an array of COUNT elements takes of the arena at most. */
static inline size_t ss_outbox_bytes(size_t count, size_t size)
{
    return count * size + 8;
}

#endif
