/* The inside of a simulated group. */
#ifndef SS_SIM_INTERNAL_H
#define SS_SIM_INTERNAL_H

#include "engine/base/assert.h"
#include "engine/sim/group.h"

struct ss_sim_page {
    uint64_t tag; /* what lies there physically */
    uint32_t
        owner; /* in the order of entries: 0 nobody, else ss_sim_chunk_owner, ss_sim_slot_owner */
    uint32_t busy;     /* copies outside the order of entries that are not over */
    uint64_t last_use; /* the latest compute that touches it */
};

/* An entry with arrays of its own, kept until the end of the run. */
struct ss_sim_entry {
    struct ss_sim_entry *next;
    struct ss_entry entry;
    const struct ss_sim_request *opened[64]; /* per sequence of a batch: its plan */
};

struct ss_sim_chunk {
    bool held; /* in the order of entries */
    uint32_t page, pages;
    uint64_t bytes, load; /* number of the entry that brings it */
};

struct ss_sim_slot {
    bool open;
    const struct ss_sim_request *request;
    uint16_t model;
    uint32_t known, kv; /* tokens it has or has ordered; positions in its KV */
    uint32_t block_count;
    uint32_t *blocks;
    uint64_t last_sample, restored; /* numbers of entries */
};

/* A batch or move on its way through a stage's compute stream. */
struct ss_sim_compute {
    struct ss_sim_compute *next;
    struct ss_sim_entry *entry;
    uint32_t chunk; /* next one to compute */
    bool started, running;
    uint64_t tokens_needed, restore_needed;
    uint32_t *chunk_pages;
    uint64_t *chunk_loads;
    uint32_t *block_pages; /* of all sequences, one after the other */
    uint32_t block_begin[65];
};

struct ss_sim_load {
    struct ss_sim_load *next;
    struct ss_sim_entry *entry;
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
    uint64_t after, bytes;
    bool running;
    uint32_t count; /* blocks, or pages of a copying drop */
    uint32_t *pages;
};

struct ss_sim_rank {
    uint32_t index, stage;
    struct ss_sim_page *pages;
    uint64_t *spill;
    uint64_t **ready;           /* [model][chunk]: the load that brought it last */
    struct ss_sim_load *loads;  /* in order */
    struct ss_sim_load *moving; /* whose piece is on the link */
    uint64_t piece_bytes;
    struct ss_sim_copy *unloads, *restores;
    uint64_t restored;
    uint64_t reported_ns; /* reports of a rank keep their order */
    uint64_t serial;      /* of its latest report */
    uint32_t tenths;      /* of the links' rate */
};

struct ss_sim_stage {
    uint32_t index;
    uint64_t next_number;
    struct ss_sim_chunk **chunks; /* [model][chunk] */
    struct ss_sim_slot *slots;
    struct ss_sim_compute *first, *last;
    uint64_t computed;     /* the latest entry whose compute is over */
    uint64_t last_compute; /* the latest entry that was queued for compute */
    uint64_t input;        /* the latest batch whose activations are here */
    uint64_t tokens;       /* first stage: the latest batch whose tokens are here */
    uint32_t batches;      /* taken and not computed */
};

struct ss_sim_group {
    struct ss_sim_options options;
    struct ss_sim_queue *queue;
    struct ss_controller *controller;
    uint64_t now_ns, timer_ns, random_index;
    int tp, pp;
    uint32_t rank_count, blocks_max;
    struct ss_sim_rank *ranks;
    struct ss_sim_stage *stages;
    struct ss_sim_entry *entries; /* all, newest first */
    uint64_t last_number;
    uint64_t loaded_bytes, copied_back_bytes;
    uint64_t entry_counts[SS_ENTRY_KINDS];
    void **memory; /* all that is freed at the end */
    size_t memory_count, memory_max;
    char failure[512];
};

/* Zeroed memory that lives as long as the group. */
void *ss_sim_take(struct ss_sim_group *group, size_t count, size_t size);

void ss_sim_fail(struct ss_sim_group *group, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

uint64_t ss_sim_random(struct ss_sim_group *group);

void ss_sim_at(struct ss_sim_group *group, uint64_t delay_ns, enum ss_sim_kind kind, uint32_t a,
               uint32_t b, void *subject);

void ss_sim_report(struct ss_sim_group *group, struct ss_sim_rank *rank,
                   const struct ss_report *report);
void ss_sim_report_done(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number);

/* intake.c: a stage takes an entry. */
void ss_sim_intake(struct ss_sim_group *group, struct ss_sim_stage *stage,
                   struct ss_sim_entry *entry);

/* compute.c */
void ss_sim_compute_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          struct ss_sim_entry *entry);
void ss_sim_compute_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                         struct ss_sim_entry *entry);
void ss_sim_compute_advance(struct ss_sim_group *group, struct ss_sim_stage *stage);
void ss_sim_compute_chunk_over(struct ss_sim_group *group, struct ss_sim_stage *stage);
void ss_sim_compute_move_over(struct ss_sim_group *group, struct ss_sim_stage *stage);

/* copies.c: links and copy streams. */
void ss_sim_link_load(struct ss_sim_group *group, struct ss_sim_rank *rank,
                      struct ss_sim_entry *entry);
void ss_sim_link_cancel(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number);
void ss_sim_link_advance(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_link_piece_over(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_unload(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_entry *entry,
                   const uint32_t *pages, uint32_t count, uint64_t bytes);
void ss_sim_restore(struct ss_sim_group *group, struct ss_sim_rank *rank,
                    struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                    uint64_t bytes);
void ss_sim_copies_advance(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_unload_over(struct ss_sim_group *group, struct ss_sim_rank *rank);
void ss_sim_restore_over(struct ss_sim_group *group, struct ss_sim_rank *rank);

#define SS_SIM_GARBAGE 1

static inline uint64_t ss_sim_mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t z = a * 0x9e3779b97f4a7c15ull + b * 0xc2b2ae3d27d4eb4full + c + 12345;
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ull;
    return (z ^ (z >> 32)) | 2;
}

static inline uint64_t ss_sim_chunk_tag(uint32_t model, uint32_t chunk)
{
    return ss_sim_mix(model, chunk, 7);
}

/* A KV block of a request with FILLED of its tokens. */
static inline uint64_t ss_sim_block_tag(uint64_t request, uint32_t block, uint32_t filled)
{
    return ss_sim_mix(request, block, 1000 + filled);
}

static inline uint32_t ss_sim_chunk_owner(uint32_t model, uint32_t chunk)
{
    return 0x80000000u | model << 16 | chunk;
}

static inline uint32_t ss_sim_slot_owner(uint32_t slot)
{
    return 1 + slot;
}

static inline uint32_t ss_sim_block_pages(const struct ss_sim_group *group, uint32_t stage,
                                          uint32_t model)
{
    return group->options.controller.models[model].kv_block_pages[stage];
}

/* A range's tag, on one rank. */
void ss_sim_write(struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag);
bool ss_sim_holds(const struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag);

static inline struct ss_sim_rank *ss_sim_rank_of(struct ss_sim_group *group, uint32_t stage, int tp)
{
    return &group->ranks[(int)stage * group->tp + tp];
}

#endif
