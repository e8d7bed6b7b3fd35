/* What the controller knows; private to engine/core. Tables have fixed size and are made at create;
 * lists run through them by index. */
#ifndef SS_CORE_STATE_H
#define SS_CORE_STATE_H

#include "engine/base/assert.h"
#include "engine/core/deadlines.h"
#include "engine/core/handle_map.h"
#include "engine/core/outbox.h"
#include "engine/core/policy.h"
#include "engine/core/pool.h"

#define SS_NONE UINT32_MAX

enum ss_chunk_state {
    SS_CHUNK_ABSENT,
    SS_CHUNK_LOADING,  /* placed; not all tensor-parallel ranks hold it yet */
    SS_CHUNK_RESIDENT, /* all hold it */
    SS_CHUNK_DROPPING, /* being copied back; its pages are not free yet */
    SS_CHUNK_STATES,
};

struct ss_chunk {
    uint32_t page; /* where it is, or was last: it prefers to return there */
    uint32_t pages;
    uint64_t bytes; /* on one rank */
    uint8_t state;  /* enum ss_chunk_state; ss_chunk_set() alone changes it */
};

enum ss_sequence_state {
    SS_SEQUENCE_FREE,
    SS_SEQUENCE_QUEUED,    /* accepted; no slot yet */
    SS_SEQUENCE_RUNNING,   /* has a slot; its KV is in the pool */
    SS_SEQUENCE_ASIDE,     /* has a slot; its KV is gone and will be computed again */
    SS_SEQUENCE_SPILLING,  /* its KV is on its way to the host */
    SS_SEQUENCE_SPILLED,   /* ... is there */
    SS_SEQUENCE_RESTORING, /* ... is on its way back, ordered before its next batch */
    SS_SEQUENCE_CLOSING,   /* answered; a spill or restore still uses its pages */
    SS_SEQUENCE_STATES,
};

/* One request while it lives here. */
struct ss_sequence {
    uint64_t handle, order, arrived_ns, first_scheduled_ns;
    uint32_t generation; /* of this place in the table */
    uint8_t state;       /* enum ss_sequence_state; ss_sequence_set() alone changes it */
    uint8_t class;       /* enum ss_class */
    bool cold;
    uint16_t model, slot;
    uint32_t prompt, tokens_max;
    uint32_t issued;                   /* samples ordered */
    uint32_t reported;                 /* tokens that came back */
    uint32_t fed;                      /* positions ordered into the KV cache */
    uint32_t slices;                   /* batches in flight that feed it without sampling */
    uint32_t blocks;                   /* of KV, in its table: [0, blocks) have pages */
    uint32_t spill_block, spill_count; /* its part of the spill area; SS_NONE: none */
    uint32_t next, previous;           /* in its model's queue or live list; free list by next */
    bool in_batch;                     /* in the batch under construction: it makes no room now */
};

struct ss_list {
    uint32_t first, last, count;
};

/* First what decisions look at of every model that waits, close together. */
struct ss_model {
    uint32_t active_next, active_previous;     /* has requests or is wanted */
    uint32_t resident_next, resident_previous; /* has a chunk that is not absent */
    uint32_t recent_next, recent_previous;     /* had a request; the latest first */
    uint32_t engaged_next, engaged_previous; /* has sequences with a slot, or work and all chunks */
    bool active, listed, engaged;
    bool pinned, drop_wanted;
    bool put_away; /* dropped by an operator, and not asked for since: no guess brings it back */
    bool stuck;    /* its last turn found nothing to run, and nothing of it runs */
    uint32_t load; /* its load's place, or SS_NONE */
    uint32_t chunks_in[SS_CHUNK_STATES]; /* over all stages */
    struct ss_list queue[SS_CLASSES];    /* SS_SEQUENCE_QUEUED, by age */
    struct ss_list live[SS_CLASSES]; /* with a slot and unanswered, by age; all older than those in
                                        the queue of their class */
    uint32_t queued, running;        /* in all queues, in all live lists */
    uint64_t wanted_order; /* an operator's load, or a pinned model at start; else SS_NO_ORDER */

    uint64_t stay_number; /* the number of its latest load */
    uint64_t loaded_ns, load_ns, last_used_ns, last_turn, batches_of_stay;
    uint64_t last_batch_ns, turn_taken_ns, turn_ended_ns; /* overdue.h */
    uint64_t largest_bytes;                               /* of its shards */
    uint32_t flights;                                     /* batches in flight */
    uint64_t passed_round;             /* in which it was found to have nothing to send */
    uint64_t tried_round, tried_level; /* ... nothing of that level or of one before it */

    uint32_t pages_in[SS_STAGES_MAX][SS_CHUNK_STATES];
    struct ss_step_cost cost[SS_STAGES_MAX];
    bool cost_is_learnt; /* it was not given */

    const char *name;
    uint32_t chunk_count[SS_STAGES_MAX];
    struct ss_chunk *chunks[SS_STAGES_MAX];
    uint64_t bytes_in[SS_CHUNK_STATES]; /* one rank of each stage */
    uint32_t block_pages[SS_STAGES_MAX];
    uint32_t context_max, batch_max;
    uint64_t answered, tokens, loads, drops;
    uint64_t completed;  /* answers that were not cut: by a cancel, a deadline, a lost rank */
    uint64_t answers_ns; /* how long those took, from their first steps on */
    struct ss_arrivals arrivals;
    uint64_t guessed_bytes; /* loaded on a guess that no request has borne out yet; one rank of each
                               stage */
};

struct ss_load {
    uint64_t number; /* 0: free place */
    uint16_t model;
    bool cancelled, changed;
    bool guess; /* nobody waits for it */
    uint64_t sent_ns;
    uint32_t stages_left; /* not ended by all their ranks */
    struct ss_load_part {
        uint32_t count; /* chunks asked for */
        uint32_t ready; /* the first so many are on all ranks */
        bool settled;   /* all ranks ended */
        uint16_t *chunks;
        uint64_t bytes_left; /* of what is not ready, on one rank */
        uint64_t ready_ns;   /* when READY last rose, or when it was sent */
    } parts[SS_STAGES_MAX];
    uint32_t *counts; /* by rank */
    bool *ended;      /* by rank */
};

struct ss_flight {
    uint64_t number; /* 0: free place */
    uint16_t model;
    bool tokens_due;
    bool decodes_only;
    struct ss_step_load load;
    uint32_t ranks_left;
    uint32_t stage_left[SS_STAGES_MAX]; /* ranks of the stage that are not done */
    bool *done;                         /* by rank */
    uint32_t count;
    struct ss_flight_sequence {
        uint32_t index, generation;
        uint16_t slot;
        bool samples;
    } * sequences;
};

enum ss_operation_kind {
    SS_OPERATION_DROP, /* with copy_back */
    SS_OPERATION_SPILL,
    SS_OPERATION_RESTORE,
    SS_OPERATION_MOVE,
    SS_OPERATION_FORGET, /* a spill of no blocks */
};

/* An entry whose pages are in use until the ranks say that it is done. */
struct ss_operation {
    uint64_t number; /* 0: free place */
    enum ss_operation_kind kind;
    uint32_t subject; /* model or sequence */
    uint32_t ranks_left;
    uint32_t stage_left[SS_STAGES_MAX];
    bool *done; /* by rank */
    bool waits; /* for the next tick of emulated polling */
};

struct ss_control {
    uint64_t handle;
    uint16_t model;
    bool used, drop;
};
#define SS_CONTROLS_MAX 64

struct ss_controller {
    int tp, pp, ranks;
    struct ss_controller_limits limits;
    struct ss_emulate emulate;
    const struct ss_policy *policy;
    struct ss_swap_aware swap_aware; /* all off with another policy */
    uint32_t block_tokens;
    uint64_t page_bytes;
    uint64_t stall_max_ns;
    uint64_t now_ns;

    struct ss_pool pools[SS_STAGES_MAX];
    struct ss_page_map *spill; /* blocks of the spill area; null: none */

    uint32_t model_count;
    struct ss_model *models;
    uint32_t first_active, active_count, first_resident, first_engaged;

    uint32_t sequence_count; /* places */
    struct ss_sequence *sequences;
    uint32_t free_sequence;
    uint32_t accepted_now; /* accepted and unanswered */
    struct ss_handle_map handles;
    struct ss_deadlines deadlines;
    uint32_t slotless_count; /* that wait for a slot */
    uint32_t slot_next;      /* whose the last free slot is; SS_NONE: nobody's */

    uint32_t *slot_owner; /* sequence, or SS_NONE */
    uint16_t *free_slots; /* a stack */
    uint32_t free_slot_count;
    uint16_t *closing_slots; /* to be named in the next CLOSE entry, then free */
    uint32_t closing_slot_count;
    uint32_t blocks_max; /* of one sequence */
    uint32_t *tables;    /* [slot][stage][block]: first page */

    struct ss_load *loads;
    uint32_t loads_now;
    struct ss_flight *flights;
    uint32_t flights_now;
    struct ss_operation *operations;
    uint32_t operations_now;
    struct ss_control controls[SS_CONTROLS_MAX];
    uint32_t controls_now;

    /* The oldest load that found no room in this round: younger claims must leave what it needs
     * (room.c: which). */
    uint64_t blocked_order;
    bool blocked_leaving; /* what it needs is coming free */
    uint32_t blocked_need[SS_STAGES_MAX];
    uint64_t claimed_order; /* of the model that precedes all others, once others had to wait for it
                               to find room */

    uint64_t bytes_per_s_max;      /* ... the fastest, or what was given */
    uint64_t bytes_per_s_min;      /* of all loads that were seen to their end; 0: none was */
    double byte_ns[SS_STAGES_MAX]; /* to move a byte to a rank, by what was seen of late */
    struct ss_link_seen {
        double bytes, ns;
    } seen[SS_STAGES_MAX]; /* what that is known from, fading */
    uint64_t arrivals, first_arrival_ns;
    uint64_t last_arrival_ns, guessed_ns; /* when a guess was last thought of */
    double guesses_right, guesses_wrong;  /* by what came of them: models' worth, fading */
    uint32_t first_recent;
    bool load_wanted;         /* a request waits for a load that was not ordered yet */
    uint32_t models_seen;     /* that had a request */
    struct ss_deadlines line; /* models, by when they are overdue (overdue.h) */
    uint32_t turn_model;      /* SS_NONE: no overdue model is served */
    uint64_t turn_began_ns;   /* when its load was in, with a step; UINT64_MAX: not yet */
    double turn_balance_ns;   /* what realtime steps owe to the turn's; its steps go while >= 0 */
    bool turn_has_progressed; /* a token was ordered in it */

    /* What classes above others have had beyond their share while others waited (class_share.h). */
    double class_debts_ns[SS_CLASSES];
    bool class_yields[SS_CLASSES];
    bool class_order_served[SS_CLASSES];    /* who goes first since that changed was brought on */
    uint32_t accepted_by_class[SS_CLASSES]; /* accepted and unanswered */
    uint8_t class_levels[SS_CLASSES];       /* of precedence */
    uint64_t next_order, turn, round;
    bool draining, stopped, lost;
    uint64_t *last_reports; /* by rank: serial number of the latest report */
    uint64_t heard_ns;      /* when the latest report came, or was first owed */
    uint64_t silence_max_ns;
    bool owing;            /* entries were under way at the end of the latest step */
    uint64_t wake_ns;      /* when something may be decided that cannot now */
    uint64_t timer_ns;     /* the timer the driver was last given */
    uint64_t decide_at_ns; /* emulated polling: the tick at which events are looked at; 0: none */
    uint64_t acknowledge_at_ns;

    struct ss_outbox outbox;
    uint64_t accepted, answered, refused, load_count, drop_count, batch_count, recomputed, spilled,
        load_bytes;
    uint64_t guesses, guess_bytes, guess_hit_bytes, guess_wasted_bytes;
    /* How often each state followed each: tests see that they reach them all. */
    uint64_t sequence_changes[SS_SEQUENCE_STATES][SS_SEQUENCE_STATES];
    uint64_t chunk_changes[SS_CHUNK_STATES][SS_CHUNK_STATES];
    void *arrays[32]; /* all memory of the tables, for the end */
    int array_count;
};

#endif
