/* The controller of one group: a pure state machine.
 *
 * It knows requests by handle, models and ranks by index, time by argument. No I/O, no clock, no
 * threads, no randomness, no allocation after create: the live loop, the simulator and the fault
 * tests drive the same code, and the same events give the same actions. It owns placement (a page
 * allocator per stage), residency (per model, stage and chunk), sequence slots, KV blocks, and the
 * decision what to load, drop and run next; decisions that a policy may differ in are in policy.h.
 *
 * Entries it sends are numbered from 1; the driver sends each to the tensor-parallel ranks of stage
 * 0, in order. One thread. */
#ifndef SS_ENGINE_CONTROLLER_H
#define SS_ENGINE_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/class.h"
#include "engine/base/status.h"
#include "engine/core/cost.h"
#include "pipeline/entry/entry.h"

/* A model as the controller sees it: sizes in pages, per stage. */
struct ss_controller_model {
    const char *name; /* borrowed; for messages */
    uint32_t chunk_count[SS_STAGES_MAX];
    const uint32_t *chunk_pages[SS_STAGES_MAX]; /* borrowed while create() runs */
    const uint64_t *chunk_bytes[SS_STAGES_MAX]; /* per rank, for counting; borrowed likewise */
    uint32_t kv_block_pages[SS_STAGES_MAX];     /* pages of one KV block on a rank of that stage */
    uint32_t context_max;                       /* tokens of prompt and answer */
    uint32_t batch_max;                         /* sequences per step */
    bool pinned;                                /* never dropped */
    struct ss_step_cost cost[SS_STAGES_MAX];    /* on a rank of that stage; zero: unknown */
};

struct ss_controller_limits {
    uint32_t requests_max;      /* accepted and unanswered */
    uint32_t slots_max;         /* sequences with state on the ranks */
    uint32_t step_tokens_max;   /* rows of one batch */
    uint64_t step_time_max_ns;  /* of one batch on one stage, by the cost model; 0: any */
    uint32_t batches_in_flight; /* over all models; receive slots of the edges */
    /* A request that waited so long for its first step overrides price and class; 0: never. */
    uint64_t overdue_ns;
    uint64_t overdue_batch_ns; /* of class batch, which may wait; overdue_ns at least counts */
    uint64_t quantum_ns; /* how long a model serves overdue requests before the next one's turn */
    /* Of steps and of time on the links, for realtime requests while others wait, and for normal
     * ones while batch ones wait; 0.99 at most counts; 0: 0.8. */
    double realtime_share;
    uint32_t loads_in_flight;
    uint32_t queue_max_per_model; /* 0: requests_max */
};

enum ss_policy_kind { SS_POLICY_LRU, SS_POLICY_SWAP_AWARE };

/* The rules of swap_aware, each of which works alone over lru; engine/core/README.md tells them. */
struct ss_swap_aware {
    bool price;    /* whom to load next and whom to drop, by what it costs those who wait */
    bool partial;  /* victims lose only as many chunks as are needed, from the tail */
    bool stay;     /* a model at work earns its load back before it goes for an equal */
    bool prefetch; /* loads what is likely wanted next while the links are idle */
    bool patience; /* a batch goes behind its load only when that is about to end, so that requests
                      of resident models pass */
};

/* Each makes one of Computron's rules ours, for comparison (arXiv 2306.13835). */
struct ss_emulate {
    bool copy_back;       /* a drop copies the weights to the host and waits for that */
    bool wait_whole_load; /* no batch before all ranks acknowledged the whole load */
    bool poll;            /* decisions only every 10 ms, load acknowledgements seen every 20 ms */
    /* So many models at most, whatever the pool: one is dropped for each that comes, and where the
     * pool has room for one more, its copy back and the load go on together. 0: bytes decide. */
    uint32_t models_max;
};

struct ss_controller_options {
    int tp, pp;
    uint64_t page_bytes;
    uint32_t pool_pages[SS_STAGES_MAX]; /* of the smallest rank of each stage */
    uint32_t block_tokens;
    uint32_t model_count;
    const struct ss_controller_model *models;
    struct ss_controller_limits limits;
    enum ss_policy_kind policy;
    struct ss_swap_aware swap_aware; /* looked at with that policy only */
    struct ss_emulate emulate;
    uint32_t spill_blocks; /* of the host's spill area, in units of the largest KV block; 0: none */
    uint64_t stall_max_ns; /* how long a batch behind a load may stall the others */
    /* Ranks that owe reports and send none for so long are lost; longer than any load and step. 0:
     * they are waited for without end. */
    uint64_t silence_max_ns;
    /* Of one rank's link while all ranks of the group load, before any load was seen; 0: unknown.
     * What loads show replaces it. */
    uint64_t link_bytes_per_s;
};

enum ss_event_kind {
    SS_EVENT_ARRIVED,
    SS_EVENT_CANCELLED, /* by the client, a stop string, a vanished client: REASON is handed back */
    SS_EVENT_REPORT,    /* from a rank */
    SS_EVENT_RANK_LOST,
    SS_EVENT_TIMER,
    SS_EVENT_WANT_LOAD, /* an operator's load or drop of a model; answered with CONTROL_DONE */
    SS_EVENT_WANT_DROP,
    SS_EVENT_DRAIN, /* no new requests; DRAINED once all is answered */
};

/* Why a request ends or is refused. */
enum ss_end {
    SS_END_LENGTH,
    SS_END_EOS,
    SS_END_STOP,
    SS_END_CANCELLED,
    SS_END_DEADLINE,
    SS_END_OVERLOADED,
    SS_END_TOO_LONG,
    SS_END_DRAINING,
    SS_END_RANK_LOST,
    SS_END_KINDS,
};

/* Why the controller gives its group up. */
enum ss_loss {
    SS_LOSS_GAP,     /* a report is missing: a rank's serial numbers jump */
    SS_LOSS_SILENCE, /* no report for silence_max_ns although some are owed */
    SS_LOSS_LOAD,    /* a load that nobody cancelled ended with chunks missing */
    SS_LOSS_TOKEN,   /* a batch was reported without a token that it was to sample */
    SS_LOSS_FAILED,  /* the rank said so */
    SS_LOSS_KINDS,
};

/* For messages: what is wrong with the rank, without its name. */
const char *ss_loss_text(enum ss_loss loss);

struct ss_event {
    enum ss_event_kind kind;
    uint64_t request;       /* arrived, cancelled; the operator's handle for want_load, want_drop */
    uint16_t model;         /* arrived, want_load, want_drop */
    uint16_t rank;          /* rank lost */
    uint8_t class;          /* arrived: enum ss_class */
    enum ss_end reason;     /* cancelled */
    uint32_t prompt_tokens; /* arrived: 1 at least */
    uint32_t max_tokens;    /* arrived: 1 at least */
    uint32_t min_tokens;    /* arrived: it cannot end before so many; 0: 1 */
    uint64_t deadline_ns;   /* arrived: 0 for none */
    const struct ss_report *report; /* report */
};

enum ss_action_kind {
    SS_ACTION_SEND,         /* ENTRY, valid until the next step */
    SS_ACTION_TOKEN,        /* REQUEST got TOKEN; more may follow */
    SS_ACTION_END,          /* REQUEST is over, for REASON, after COUNT tokens */
    SS_ACTION_REFUSE,       /* REQUEST was not accepted, for REASON */
    SS_ACTION_TIMER,        /* call again with SS_EVENT_TIMER at AT_NS; replaces an earlier one */
    SS_ACTION_CONTROL_DONE, /* the operator's REQUEST is done (OK) or was refused (not OK; REASON is
                               OVERLOADED where too many wait) */
    SS_ACTION_DRAINED,
    SS_ACTION_LOST, /* RANK cannot be relied on, for LOSS, seen at entry (or, gap: report) NUMBER:
                       all was answered, and no entry follows. Not for what SS_EVENT_RANK_LOST told
                       the controller */
};

struct ss_action {
    enum ss_action_kind kind;
    struct ss_entry entry;
    uint64_t request;
    int32_t token;
    uint32_t count;
    enum ss_end reason;
    bool ok;
    bool cold; /* end: its model was not wholly resident when the request arrived */
    uint16_t rank;
    enum ss_loss loss;
    uint64_t number;
    uint64_t at_ns;
    uint64_t least_ns;           /* refuse, for its deadline: what the answer takes at least */
    uint64_t first_scheduled_ns; /* end: when its first batch was sent; 0 if never */
};

struct ss_controller;

/* SS_INVALID with numbers where no model can run: a shard and one sequence of maximum length must
 * fit the pool of every stage. */
SS_MUST_CHECK enum ss_status ss_controller_create(const struct ss_controller_options *options,
                                                  struct ss_controller **out);
void ss_controller_destroy(struct ss_controller *controller);

/* Takes EVENTS in order at time NOW_NS (never falling) and appends to ACTIONS, which has room for
 * ACTIONS_MAX (at least EVENT_COUNT, and at least SS_ACTIONS_MIN); returns how many. If it filled
 * up, call again with no events for the rest. The entries of the actions stay valid until the next
 * call. A timer may be for now: call again when the actions are carried out. No entry but STOP,
 * which the driver sends, follows DRAINED; none follows a lost rank. */
#define SS_ACTIONS_MIN 16
uint32_t ss_controller_step(struct ss_controller *controller, uint64_t now_ns,
                            const struct ss_event *events, uint32_t event_count,
                            struct ss_action *actions, uint32_t actions_max);

/* Checks every invariant of design.md section 4 that can be seen from inside; asserts. Slow: for
 * tests and the simulator. */
void ss_controller_check(const struct ss_controller *controller);

/* What the machine does at worst. */
struct ss_wait_rates {
    uint64_t bytes_per_s; /* the slowest link of a rank, latencies included; 0: the slowest load
                             that was seen */
    uint64_t step_ns;     /* the longest way of a step through all stages, and of the moves before
                             it; 0: what the cost model says of the largest */
    uint64_t talk_ns;     /* an order's way to the ranks and the report's way back */
    uint64_t room_ns;     /* what a whole pool takes to the host: spills and copying drops */
};

/* A bound on the wait until its first step of a request of the class to MODEL that arrives now and
 * is accepted, whatever arrives later (README.md says how, and what it rests on). UINT64_MAX where
 * there is none: no limits.overdue_ns, no rate known. O(models). */
uint64_t ss_controller_wait_bound_ns(const struct ss_controller *controller,
                                     const struct ss_wait_rates *rates, uint16_t model,
                                     enum ss_class class);

enum ss_residency { SS_ABSENT, SS_LOADING, SS_PARTIAL, SS_RESIDENT };

struct ss_model_view {
    enum ss_residency residency;
    uint32_t chunks, resident_chunks;
    uint64_t resident_bytes; /* all ranks */
    uint32_t queued, running;
    uint64_t answered, tokens, loads, drops;
};

struct ss_controller_view {
    uint64_t accepted, answered, refused, loads, drops, batches, recomputed, spilled;
    uint64_t load_bytes; /* ordered to move, all ranks */
    /* Loads on a guess; of their bytes, what a request then found there, and what was dropped
     * unused; all ranks. */
    uint64_t guesses, guess_bytes, guess_hit_bytes, guess_wasted_bytes;
    uint32_t queued, running;
    uint32_t pool_pages_used[SS_STAGES_MAX];
    bool draining;
};

void ss_controller_view(const struct ss_controller *controller, struct ss_controller_view *out);
void ss_controller_view_model(const struct ss_controller *controller, uint16_t model,
                              struct ss_model_view *out);

#endif
