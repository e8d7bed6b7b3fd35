/* The inside of a simulated group. Its files are declared from the ground up: none calls one that
 * stands below it here. */
#ifndef SS_SIM_INTERNAL_H
#define SS_SIM_INTERNAL_H

#include "engine/base/assert.h"
#include "engine/sim/audit.h"
#include "engine/sim/group.h"
#include "engine/sim/store.h"

/* An entry on its way, in one block with its arrays; given back by its last user. */
struct ss_sim_entry {
    uint32_t users;
    size_t bytes; /* of the block */
    struct ss_entry entry;
    struct ss_sim_request *plans; /* of the sequences that open, in order */
    uint32_t rows;                /* batch */
    uint64_t context;
};

struct ss_sim_chunk {
    bool held; /* in the order of entries */
    uint32_t page;
    uint64_t load; /* number of the entry that brings it */
};

/* A model on a stage. Its arrays are made by its first load. */
struct ss_sim_residency {
    struct ss_sim_chunk *chunks;
    uint64_t *ready;   /* [tp][chunk]: the load that brought it last */
    uint32_t held;     /* chunks */
    uint32_t moving;   /* loads of it that the stage's ranks have not ended */
    uint64_t last_use; /* its latest batch */
};

struct ss_sim_slot {
    bool open;
    uint16_t model;
    struct ss_sim_request plan;
    uint32_t known, kv; /* tokens it has or has ordered; positions in its KV */
    uint32_t block_count;
    uint32_t *blocks;
    uint64_t last_use, last_sample, restored; /* numbers of entries */
};

/* A batch or move on its way through a stage's compute stream. */
struct ss_sim_compute {
    struct ss_sim_compute *next;
    struct ss_sim_entry *entry;
    size_t bytes;       /* of the block */
    uint32_t from, end; /* chunks that are computed now: [from, end) */
    bool started, running;
    uint64_t tokens_needed, restore_needed;
    uint64_t *loads;                    /* per chunk, the load to wait for; null: none */
    struct ss_sim_request *plans;       /* last stage: of all sequences */
    struct ss_sim_audit_compute *audit; /* null: no audit */
};

struct ss_sim_load {
    struct ss_sim_load *next;
    struct ss_sim_entry *entry;
    size_t bytes;     /* of the block */
    uint32_t count;   /* chunks on this rank's stage */
    uint32_t *chunks; /* ... */
    uint32_t *pages;
    uint64_t *free_values;
    uint32_t done;        /* chunks */
    uint64_t moved_bytes; /* of the chunk under way */
    bool cancelled;
};

struct ss_sim_copy {
    struct ss_sim_copy *next;
    struct ss_sim_entry *entry;
    size_t bytes; /* of the block */
    uint64_t after, copied_bytes;
    bool running;
    uint32_t count; /* with the audit: blocks, or pages of a copying drop */
    uint32_t *pages;
};

enum ss_sim_flow_kind { SS_SIM_FLOW_LOAD, SS_SIM_FLOW_UNLOAD, SS_SIM_FLOW_RESTORE, SS_SIM_FLOWS };

/* A copy that moves bytes: the rest of a load's chunk, or all of a spill, restore or drop. */
struct ss_sim_flow {
    bool active, shares; /* it moves; the rates that were last shared out count it */
    uint64_t bytes;
    double bytes_left, ns_per_byte; /* without and with the latency of pieces */
    double latency_ns_per_byte;
    double rate;       /* bytes per second */
    uint64_t since_ns; /* when bytes_left was so */
    uint64_t serial;   /* of its latest event: earlier ones are void */
};

struct ss_sim_rank {
    uint32_t index, stage, tp;
    struct ss_sim_flow flows[SS_SIM_FLOWS];
    struct ss_sim_load *lanes[2]; /* by enum ss_entry_lane, each in order */
    struct ss_sim_load *moving;   /* whose piece is on the link */
    int moving_lane;
    struct ss_sim_copy *unloads, *restores;
    uint64_t restored;
    uint64_t reported_ns; /* reports of a rank keep their order */
    uint64_t serial;      /* of its latest report */
    uint32_t tenths;      /* of the links' rate */
    uint64_t since_ns;    /* up to when TIMES counts */
    struct ss_sim_rank_times times;
    struct ss_sim_page *pages; /* of the audit */
    uint64_t *spill;
};

/* Pages [page, end): who writes them next waits for the compute of entry BY. */
struct ss_sim_given_up {
    uint32_t page, end;
    uint64_t by;
};

struct ss_sim_stage {
    uint32_t index;
    uint64_t next_number;
    struct ss_sim_residency *models;
    struct ss_sim_slot *slots;
    struct ss_sim_given_up *given_up; /* pages whose last compute is not over */
    uint32_t given_up_count, given_up_max;
    struct ss_sim_compute *first, *last;
    uint64_t computed;     /* the latest entry whose compute is over */
    uint64_t last_compute; /* the latest entry that was queued for compute */
    uint64_t input;        /* the latest batch whose activations are here */
    uint64_t tokens;       /* first stage: the latest batch whose tokens are here */
    uint64_t edge_free_ns; /* when its edge to the next stage has carried all */
    uint32_t batches;      /* taken and not computed */
};

struct ss_sim_group {
    struct ss_sim_options options;
    struct ss_sim_queue *queue;
    struct ss_controller *controller;
    uint64_t now_ns, random_index;
    uint64_t timer_ns, timer_event_ns; /* the controller's; the next event that looks at it */
    int tp, pp;
    uint32_t rank_count, blocks_max;
    uint32_t sequences_max;         /* of a batch */
    struct ss_report_token *tokens; /* room for a batch's */
    struct ss_sim_rank *ranks;
    struct ss_sim_stage *stages;
    uint32_t flows_changed;             /* began or ended since the rates were shared out */
    double *flow_limits, *flow_weights; /* room for those of all flows */
    uint64_t last_number;
    uint64_t loaded_bytes, copied_back_bytes, decisions, events;
    uint64_t entry_counts[SS_ENTRY_KINDS];
    struct ss_sim_store store;
    char failure[512];
};

static inline const struct ss_controller_model *ss_sim_model(const struct ss_sim_group *group,
                                                             uint32_t model)
{
    return &group->options.controller.models[model];
}

static inline uint32_t ss_sim_block_pages(const struct ss_sim_group *group, uint32_t stage,
                                          uint32_t model)
{
    return ss_sim_model(group, model)->kv_block_pages[stage];
}

static inline struct ss_sim_rank *ss_sim_rank_of(struct ss_sim_group *group, uint32_t stage, int tp)
{
    return &group->ranks[(int)stage * group->tp + tp];
}

static inline uint64_t ss_sim_random(struct ss_sim_group *group)
{
    return ss_random_u64(group->options.seed, group->random_index++);
}

static inline void ss_sim_at(struct ss_sim_group *group, uint64_t at_ns, struct ss_sim_event event)
{
    event.at_ns = at_ns;
    event.group = group->options.index;
    ss_sim_queue_add(group->queue, event);
}

/* Of a SS_SIM_FLOW_OVER. */
static inline enum ss_sim_flow_kind ss_sim_flow_kind(const struct ss_sim_event *event)
{
    return (enum ss_sim_flow_kind)(event->a >> 16);
}

/* failure.c: the first is kept, with its time. */
void ss_sim_fail(struct ss_sim_group *group, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* entry.c: what the controller sent, kept until all stages are through with it. */
void ss_sim_entry_send(struct ss_sim_group *group, const struct ss_entry *entry);
struct ss_sim_entry *ss_sim_entry_use(struct ss_sim_entry *entry);
void ss_sim_entry_leave(struct ss_sim_group *group, struct ss_sim_entry *entry);

/* report.c: on their way to the controller, as the subject of an event. */
void ss_sim_report(struct ss_sim_group *group, struct ss_sim_rank *rank,
                   const struct ss_report *report);
void ss_sim_report_done(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number);
void ss_sim_report_free(struct ss_sim_group *group, struct ss_report *report);

/* give_up.c: pages between two users. */
void ss_sim_give_up(struct ss_sim_stage *stage, uint32_t page, uint32_t pages, uint64_t by);
/* The latest compute to wait for before [page, end) may be written; 0: none. */
uint64_t ss_sim_free_value(const struct ss_sim_stage *stage, uint32_t page, uint32_t end);
/* Forgets what the stage has computed. */
void ss_sim_give_up_computed(struct ss_sim_stage *stage);

/* flow.c: what moves, and how fast. */
/* LATENCY_NS in all, spread over the bytes. */
void ss_sim_flow_start(struct ss_sim_group *group, struct ss_sim_rank *rank,
                       enum ss_sim_flow_kind kind, uint64_t bytes, uint64_t latency_ns);
/* The flow ends after BYTES of it, or of what it has moved if that is more. */
void ss_sim_flow_cut(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     enum ss_sim_flow_kind kind, uint64_t piece_bytes);
/* The bytes that the flow has moved; 0: its event SERIAL is void. */
uint64_t ss_sim_flow_over(struct ss_sim_group *group, struct ss_sim_rank *rank,
                          enum ss_sim_flow_kind kind, uint64_t serial);
/* Shares out the bandwidths, as what moves has changed. */
void ss_sim_flow_share(struct ss_sim_group *group);
/* Counts the rank's time, before what it does changes. */
void ss_sim_count_time(struct ss_sim_group *group, struct ss_sim_rank *rank);

/* load.c: a rank's link. */
void ss_sim_load_add(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     struct ss_sim_entry *entry);
void ss_sim_load_promote(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number);
void ss_sim_load_cancel(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number);
void ss_sim_load_advance(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_load_moved(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t bytes);

/* copy.c: a rank's copy streams, for KV that leaves and comes back and for copying drops. PAGES are
 * for the audit. */
void ss_sim_copy_out(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                     uint64_t bytes);
void ss_sim_copy_in(struct ss_sim_group *group, struct ss_sim_rank *rank,
                    struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                    uint64_t bytes);
void ss_sim_copies_advance(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_copied_out(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_copied_in(struct ss_sim_group *group, struct ss_sim_rank *rank);

/* compute.c: a stage's compute stream. The first two put work at its end. */
void ss_sim_compute_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          struct ss_sim_entry *entry);
void ss_sim_compute_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                         struct ss_sim_entry *entry);
/* Computes what can be; true: the entry COMPUTED is over, and what comes next is to be asked for.
 */
bool ss_sim_compute_advance(struct ss_sim_group *group, struct ss_sim_stage *stage);
void ss_sim_compute_over(struct ss_sim_group *group, struct ss_sim_stage *stage);

/* stage.c: what one stream has done lets others go on. */
void ss_sim_stage_advance(struct ss_sim_group *group, struct ss_sim_stage *stage);
/* Some chunks of a batch are computed, or a move. */
void ss_sim_stage_computed(struct ss_sim_group *group, struct ss_sim_stage *stage);
/* A rank's flow is over, by its event SERIAL. */
void ss_sim_stage_moved(struct ss_sim_group *group, struct ss_sim_rank *rank,
                        enum ss_sim_flow_kind kind, uint64_t serial);

/* intake.c: a stage takes an entry. */
void ss_sim_intake(struct ss_sim_group *group, struct ss_sim_stage *stage,
                   struct ss_sim_entry *entry);

#endif
