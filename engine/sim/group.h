/* A simulated group: a controller and its ranks, in virtual time.
 *
 * Each rank has its own link, on which loads move in pieces, demand before prefetch, and its own
 * copy streams; all share the bandwidth of the host's memory (costs.h). The tensor-parallel ranks
 * of a stage compute in lockstep, chunk by chunk, each chunk waiting for its weights on all of
 * them; stages hand over activations in the order of batches, and the last hands tokens to the
 * first. Reports take their time to reach the controller; those that reach it at the same time are
 * given to it together.
 *
 * With CHECK, what lies in each page of each rank is simulated too, as a tag (audit.c): loads,
 * batches, moves, spills and restores write it when they would on a device, whoever reads finds out
 * whether the right thing is there, and every entry is checked against what the ranks hold. A
 * broken promise is recorded and ends the run.
 *
 * The owner drives it: ss_sim_group_feed() hands events to the controller, ss_sim_group_happen()
 * lets a taken event of a kind below SS_SIM_KINDS happen. Groups share nothing but virtual time:
 * several may use one queue (their events carry INDEX as the group), or each its own, one after the
 * other, which is as fast. Memory is bounded by what is under way. */
#ifndef SS_SIM_GROUP_H
#define SS_SIM_GROUP_H

#include "engine/core/controller.h"
#include "engine/sim/costs.h"
#include "engine/sim/queue.h"
#include "engine/sim/request.h"

enum ss_sim_kind {
    SS_SIM_ENTRY_AT_STAGE,
    SS_SIM_FLOW_OVER, /* a copy, or a part of one */
    SS_SIM_COMPUTED,  /* some chunks of a batch, or a move */
    SS_SIM_INPUT_AT_STAGE,
    SS_SIM_TOKENS_AT_FIRST,
    SS_SIM_REPORT,
    SS_SIM_TIMER,
    SS_SIM_KINDS,
};

/* The rank of a SS_SIM_FLOW_OVER. The A of SS_SIM_ENTRY_AT_STAGE and SS_SIM_COMPUTED is the stage;
 * the subject of SS_SIM_REPORT is its struct ss_report. */
static inline uint32_t ss_sim_flow_rank(const struct ss_sim_event *event)
{
    return event->a & 0xffff;
}

struct ss_sim_options {
    /* Its models' chunk_pages and chunk_bytes are borrowed for as long as the group. */
    struct ss_controller_options controller;
    struct ss_sim_costs costs;
    uint64_t seed;
    uint16_t index;       /* of the group, in its events */
    uint32_t actions_max; /* of one step, at most 64: small ones try the controller's overflow */
    bool check;           /* the audit of pages, and ss_controller_check() after every step; slow */
    /* A request's plan, asked for once, when its slot opens. */
    const struct ss_sim_request *(*request)(void *user, uint64_t handle);
    /* Every action but SEND and TIMER. */
    void (*act)(void *user, const struct ss_action *action);
    /* Every action, before it is carried out; null: nobody looks. */
    void (*see)(void *user, const struct ss_action *action);
    /* Whether a report that would be handed over with one before it comes at all; null: all do. */
    bool (*lets)(void *user, const struct ss_sim_event *event);
    /* How long the controller took to decide, by CLOCK; null: nobody looks. */
    uint64_t (*clock)(void);
    void (*timed)(void *user, uint64_t took_ns);
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

/* The links of a rank have TENTHS tenths of their rate, from the event on that the queue
 * gave last. */
void ss_sim_group_set_rate(struct ss_sim_group *group, uint32_t rank, uint32_t tenths);

void ss_sim_group_happen(struct ss_sim_group *group, const struct ss_sim_event *event);

/* The first broken promise; null: none. */
const char *ss_sim_group_failure(const struct ss_sim_group *group);

const struct ss_controller *ss_sim_group_controller(const struct ss_sim_group *group);
uint64_t ss_sim_group_loaded_bytes(const struct ss_sim_group *group);
uint64_t ss_sim_group_copied_back_bytes(const struct ss_sim_group *group);

/* Entries of a kind that the controller sent. */
uint64_t ss_sim_group_entries(const struct ss_sim_group *group, enum ss_entry_kind kind);

/* Entries, batches, copies and reports that are on their way: 0 at rest. */
size_t ss_sim_group_live(const struct ss_sim_group *group);

/* How often the controller was asked to decide, and how many events of its own the group had. */
uint64_t ss_sim_group_decisions(const struct ss_sim_group *group);
uint64_t ss_sim_group_events(const struct ss_sim_group *group);

/* Where a rank's time went. */
struct ss_sim_rank_times {
    uint64_t load_ns;    /* a load was moving */
    uint64_t hidden_ns;  /* ... while its stage computed */
    uint64_t compute_ns; /* its stage computed */
};
void ss_sim_group_times(const struct ss_sim_group *group, uint32_t rank,
                        struct ss_sim_rank_times *out);

#endif
