/* A simulated group: a controller and its ranks, in virtual time.
 *
 * Each rank has its own link, on which loads move in pieces, and its own copy streams; the
 * tensor-parallel ranks of a stage compute in lockstep, chunk by chunk, each chunk waiting for its
 * weights on all of them; stages hand over activations in the order of batches, and the last hands
 * tokens to the first. Reports take their time to reach the controller.
 *
 * What lies in each page of each rank is simulated too, as a tag: loads, batches, moves, spills and
 * restores write it when they would on a device, and whoever reads finds out whether the right
 * thing is there. Every entry is checked against what the ranks hold when it is taken. A broken
 * promise is recorded (ss_sim_fail) and ends the run.
 *
 * The owner drives it: ss_sim_group_feed() hands an event to the controller, ss_sim_group_happen()
 * lets a taken event of a kind below SS_SIM_KINDS happen. */
#ifndef SS_SIM_GROUP_H
#define SS_SIM_GROUP_H

#include "engine/core/controller.h"
#include "engine/sim/queue.h"

/* What things cost. */
struct ss_sim_costs {
    double link_bytes_per_s; /* one rank's link, host to device */
    double unload_bytes_per_s;
    uint64_t piece_bytes, piece_latency_ns;
    uint64_t chunk_ns; /* computing a chunk, beside its rows */
    uint64_t row_ns;   /* of a row in a chunk */
    uint64_t move_page_ns;
    uint64_t hop_ns;           /* an entry to the next stage, activations, tokens */
    uint64_t report_ns;        /* a report to the controller, at least ... */
    uint64_t report_jitter_ns; /* ... and at most this much more */
    uint32_t duplicate_in;     /* one report in so many comes twice; 0: none does */
    uint32_t late_in;          /* one report in so many, and with it all that follow it, is ... */
    uint64_t late_ns;          /* ... so much later; 0: none is */
};

/* What a request will generate: tokens are a function of (request, index). */
struct ss_sim_request {
    uint64_t handle;
    uint32_t prompt, tokens_max;
    uint32_t eos_after; /* tokens; 0: never */
    bool stops;         /* at eos_after, by a stop id instead */
};

enum ss_sim_kind {
    SS_SIM_ENTRY_AT_STAGE,
    SS_SIM_PIECE_MOVED,
    SS_SIM_CHUNK_COMPUTED,
    SS_SIM_MOVED,
    SS_SIM_INPUT_AT_STAGE,
    SS_SIM_TOKENS_AT_FIRST,
    SS_SIM_UNLOADED,
    SS_SIM_RESTORED,
    SS_SIM_REPORT,
    SS_SIM_TIMER,
    SS_SIM_KINDS,
};

struct ss_sim_options {
    struct ss_controller_options controller;
    struct ss_sim_costs costs;
    uint64_t seed;
    uint32_t actions_max; /* of one step: small ones try the controller's overflow */
    bool check;           /* ss_controller_check() after every step */
    /* A request's plan. */
    const struct ss_sim_request *(*request)(void *user, uint64_t handle);
    /* Every action but SEND and TIMER. */
    void (*act)(void *user, const struct ss_action *action);
    /* Every action, before it is carried out; null: nobody looks. */
    void (*see)(void *user, const struct ss_action *action);
    void *user;
};

struct ss_sim_group;

SS_MUST_CHECK enum ss_status ss_sim_group_create(const struct ss_sim_options *options,
                                                 struct ss_sim_queue *queue,
                                                 struct ss_sim_group **out);
void ss_sim_group_destroy(struct ss_sim_group *group);

/* At most actions_max of the options. */
void ss_sim_group_feed(struct ss_sim_group *group, uint64_t now_ns, const struct ss_event *events,
                       uint32_t count);

/* The links of a rank have a TENTHS tenth of their rate from the next piece on. */
void ss_sim_group_set_rate(struct ss_sim_group *group, uint32_t rank, uint32_t tenths);

void ss_sim_group_happen(struct ss_sim_group *group, const struct ss_sim_event *event);

/* The first broken promise; null: none. */
const char *ss_sim_group_failure(const struct ss_sim_group *group);

const struct ss_controller *ss_sim_group_controller(const struct ss_sim_group *group);
uint64_t ss_sim_group_loaded_bytes(const struct ss_sim_group *group);
uint64_t ss_sim_group_copied_back_bytes(const struct ss_sim_group *group);

/* When the ranks were taken something of each kind last, for tests; 0: never. */
uint64_t ss_sim_group_entries(const struct ss_sim_group *group, enum ss_entry_kind kind);

/* The token that a request generates as its INDEX-th (from 0). */
int32_t ss_sim_token(uint64_t handle, uint32_t index);

#endif
