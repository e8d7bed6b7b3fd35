/* The stage executor's own structures: residency, slots, flights. Only pipeline/stage includes it.
 *
 * Everything here is touched by the link thread alone, but for a flight's results, which belong to
 * stream threads from the moment its work is queued until its last end has passed. */
#ifndef SS_PIPELINE_STAGE_INTERNAL_H
#define SS_PIPELINE_STAGE_INTERNAL_H

#include <stdatomic.h>

#include "pipeline/models/graph.h"
#include "pipeline/stage/stage.h"
#include "swap/transfer.h"

/* One chunk of one model on this rank. */
struct resident {
    bool held;         /* loaded or being loaded */
    uint32_t page;     /* first pool page */
    uint64_t load;     /* entry that loads it; ready reaches this value */
    uint64_t last_use; /* entry whose compute read or moved it last */
    struct ss_timeline *ready;
};

struct stage_model {
    struct ss_stage_model given;
    struct ss_kv_layout kv;
    ss_device_address frequencies; /* 0 if the family has none */
    uint32_t first_layer_chunk;
    uint32_t blocks_max; /* KV blocks of one sequence */
    struct resident *chunks;
    bool
        awaited; /* a batch has been queued behind all loads: no later one needs to wait for them */
};

struct slot {
    bool open;
    uint16_t model;
    uint32_t block_count;
    uint32_t *blocks;     /* pool page of each; room for blocks_max of the longest model */
    uint64_t last_batch;  /* compute that reads the blocks */
    uint64_t last_sample; /* batch whose token is, or will be, written to the table last */
    /* Of the sequence that has the slot: the batch that sampled last, and the one before it, whose
     * tokens are reported when a batch follows. 0: none. */
    uint64_t sampled, sampled_before;
    uint64_t restored;         /* entry whose restore the next batch waits for; 0: none */
    struct ss_opening opening; /* prompt not kept */
};

/* What the last stage checks of one sampled token. */
struct token_limits {
    uint16_t slot;
    uint32_t position, length_max;
    uint32_t stop_id_count, eos_id_count;
    int32_t stop_ids[SS_STOP_IDS_MAX];
};

#define FLIGHT_KEPT 1

/* One batch under way: its staging memory, what edges carry of it, and its results. Its arrays on
 * the device, and the residual stream while it computes, are the stage's: compute is serial. */
struct flight {
    struct ss_stage *stage;
    uint64_t number;
    uint16_t model;
    atomic_int ends; /* 0: free; else FLIGHT_KEPT and the streams still to pass their last use */
    uint32_t sequences, rows, samples;
    bool settled;     /* nothing before it on the compute stream waits for copies */
    bool alike;       /* every sequence has one row and samples: shapes repeat from step to step */
    uint32_t padding; /* rows, sequences and samples more, which belong to nobody */

    unsigned char *staged;        /* registered host memory, laid out as the device's arrays */
    ss_device_address hidden;     /* [step_tokens_max][hidden]: received or to be sent; pp > 1 */
    ss_device_address tokens_out; /* int32[batch_max], to be sent; pp > 1 */
    int32_t *tokens;              /* sampled, on the host; part of STAGED's registration */
    float *logits;                /* for on_logits; null without */

    struct token_limits *endings;
    struct ss_report_token *report_tokens;
    uint64_t started_ns, wait_began_ns, waited_ns, computed_ns;
};

/* Tokens on their way back to the first stage: the batch that sampled them may be over by then.
 * Its place is free again once they are in the table. Each holds a slot whose next batch waits for
 * it, so there are never more of them than slots, and those of the batches in flight. */
struct token_return {
    uint64_t number;
    ss_device_address tokens;   /* int32[batch_max] */
    ss_device_address sampling; /* struct ss_sampling[batch_max] */
};

/* A step recorded for one model, one shape, and weights at one place. */
struct recorded {
    struct ss_recording *recording; /* null: the place is free */
    uint16_t model;
    uint32_t rows, context;
    uint64_t used;   /* the latest batch that played it */
    uint32_t *pages; /* of each chunk */
};

/* Where each array of a batch lies, in bytes. */
struct flight_layout {
    size_t positions, sequence_of, row_begin, slots, blocks, sample_rows, sampling; /* copied in */
    size_t copied_bytes;
    size_t prompts; /* host only */
    size_t host_bytes;
    size_t tokens_in, tokens_out; /* device only */
    size_t device_bytes;
};

/* Work buffers shared by all batches: compute is serial. Sizes in elements per row. */
struct workspace {
    struct ss_graph_widths widths;
    size_t activation_bytes, sum_bytes;
    uint32_t blocks_stride; /* KV blocks of the longest sequence */
    uint32_t tokens_max;    /* of a sequence, and one more */
    uint32_t vocab_max;
};

/* The device buffers besides the pool, in the order that create takes them. */
enum {
    HIDDEN,
    NORMED,
    QKV,
    ATTENDED,
    PROJECTED,
    INNER,
    GATED,
    LOGITS_PART,
    LOGITS,
    TABLE,
    ARRAYS,
    RETURNS,
    BUFFERS
};

struct needs {
    struct workspace workspace;
    struct flight_layout layout;
    uint64_t buffer_bytes[BUFFERS];
    size_t edge_tokens_at, edge_bytes; /* of a batch in flight */
    uint32_t return_count;
    size_t return_tokens_at, return_bytes; /* of each */
    uint32_t recorded_count;
    uint64_t recorded_bytes; /* of all */
};

/* A load under way, for counting and the trace; the transfer thread's once it is queued. What is
 * atomic, others read as well. */
struct load {
    atomic_bool used;
    atomic_uint_fast64_t number;
    uint64_t begun_ns;
    atomic_int model;
    atomic_int count, counted; /* chunks */
    uint64_t *chunk_bytes;     /* of each chunk of the load */
};

/* Where the link thread is; others read it. */
struct place {
    atomic_uint_fast64_t entry, since_ns; /* that it takes, and since when; 0: none */
    atomic_int kind, model, chunk;        /* of that entry; CHUNK, that it queues, below 0: none */
    atomic_uint_fast64_t taken, queued;   /* latest entry, and latest that COMPUTED is to reach */
};

struct ss_standstill;

/* Work that is reported when a stream has passed it: spills, moves, drops that copy back. */
struct completion {
    struct ss_stage *stage;
    uint64_t number;
    atomic_bool used;
};

#define COMPLETIONS_MAX 256

struct ss_stage {
    struct ss_stage_options options;
    const struct ss_device_ops *device;
    int stage, tp, tp_rank, pp;
    uint64_t next_number;
    atomic_bool failure_reported;

    struct ss_stream *compute, *edge_in, *edge_out, *restore, *unload;
    /* Signalled to an entry's number when: its compute is done; its arrays are on the device; its
     * activations arrived; its tokens are in the table; its blocks came back. */
    struct ss_timeline *computed, *staged, *received, *tokened, *restored;

    struct ss_transfer *transfer;
    struct ss_transfer_chunk *load_chunks; /* room to build one load */
    struct load *loads;                    /* [loads_in_flight] */
    uint64_t *load_chunk_bytes;            /* storage of their chunk_bytes */
    atomic_uint_fast64_t loaded_bytes, copied_back_bytes;

    ss_device_address pool;
    uint32_t page_count;
    uint64_t spill_unit;     /* bytes of this rank's largest KV block */
    uint64_t *page_last_use; /* entry whose compute last touched the page */

    struct stage_model *models;
    struct slot *slots;
    uint32_t *slot_blocks; /* storage of all block tables */
    struct flight *flights;
    struct token_return *returns; /* the first stage's, where there are several */
    ss_device_address arrays;     /* of the batch that computes */
    unsigned char *host_memory;   /* registered: staging of all flights */
    size_t host_bytes;
    bool host_registered;
    struct needs needs;
    struct ss_graph graph; /* buffers set once; step and chunk per batch */
    struct ss_token_table table;
    uint64_t awaiting;         /* the latest entry whose compute waits for copies */
    bool pads;                 /* steps of one token a sequence, to few numbers of rows */
    struct recorded *recorded; /* none where steps are not recorded */
    bool recorded_full;        /* there is no memory for more of them */
    uint32_t *recorded_pages;

    struct place place;
    struct ss_standstill *standstill; /* null: none */

    struct completion completions[COMPLETIONS_MAX];
    uint32_t next_completion;

    ss_device_address *allocations; /* freed at the end */
    uint32_t allocation_count, allocations_max;
};

/* measure.c */
void ss_stage_measure(const struct ss_stage_options *options, struct needs *out);
static inline size_t ss_stage_align(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* pages.c */
ss_device_address ss_stage_page_address(const struct ss_stage *stage, uint32_t page);
SS_MUST_CHECK enum ss_status ss_stage_check_pages(const struct ss_stage *stage, uint32_t page,
                                                  uint64_t bytes, const char *what);
void ss_stage_touch_pages(struct ss_stage *stage, uint32_t page, uint64_t bytes, uint64_t number);
/* The latest entry whose compute touched any page of the range. */
uint64_t ss_stage_last_use(const struct ss_stage *stage, uint32_t page, uint64_t bytes);

/* residency.c */
SS_MUST_CHECK enum ss_status ss_stage_load(struct ss_stage *stage, const struct ss_entry *entry);
SS_MUST_CHECK enum ss_status ss_stage_drop(struct ss_stage *stage, const struct ss_entry *entry);
/* From entry NUMBER on the chunk is where it moves to; its bytes. */
SS_MUST_CHECK enum ss_status ss_stage_move_chunk(struct ss_stage *stage,
                                                 const struct ss_page_move *move, uint64_t number,
                                                 uint64_t *bytes);
void ss_stage_arrived(void *user, uint64_t number, int count, uint64_t now_ns);
void ss_stage_load_ended(void *user, uint64_t number, int count, enum ss_status status);

/* slots.c */
SS_MUST_CHECK enum ss_status ss_stage_update_slots(struct ss_stage *stage,
                                                   const struct ss_entry *entry,
                                                   const struct ss_opening *openings,
                                                   uint32_t opening_count);
SS_MUST_CHECK enum ss_status ss_stage_close(struct ss_stage *stage, const struct ss_entry *entry);
SS_MUST_CHECK enum ss_status ss_stage_spill(struct ss_stage *stage, const struct ss_entry *entry);
SS_MUST_CHECK enum ss_status ss_stage_restore(struct ss_stage *stage, const struct ss_entry *entry);
/* As ss_stage_move_chunk(). */
SS_MUST_CHECK enum ss_status ss_stage_move_block(struct ss_stage *stage,
                                                 const struct ss_page_move *move, uint64_t number,
                                                 uint64_t *bytes);
uint64_t ss_stage_block_bytes(const struct ss_stage *stage, uint16_t model);

/* move.c */
SS_MUST_CHECK enum ss_status ss_stage_move(struct ss_stage *stage, const struct ss_entry *entry);

/* batch.c, flight.c */
SS_MUST_CHECK enum ss_status ss_stage_batch(struct ss_stage *stage, const struct ss_entry *entry,
                                            const struct ss_opening *openings,
                                            uint32_t opening_count);
/* RETURNED: where the sampling of its tokens is kept for their return; null: not here. */
SS_MUST_CHECK enum ss_status ss_flight_stage(struct flight *flight, const struct ss_entry *entry,
                                             const struct ss_opening *openings,
                                             const struct token_return *returned,
                                             struct ss_step *step);
/* The rows that ROWS are padded to. */
uint32_t ss_stage_padded(const struct ss_stage *stage, uint32_t rows);
void ss_flight_started(void *flight);
void ss_flight_wait_began(void *flight);
void ss_flight_wait_ended(void *flight);
void ss_flight_sampled(void *flight);
void ss_flight_logits(void *flight);
void ss_flight_computed(void *flight);
void ss_flight_ended(void *flight);

/* pass.c: sets the graph to the batch and the step; queues its compute. */
void ss_stage_point_graph(struct ss_stage *stage, struct flight *flight,
                          const struct ss_step *step);
SS_MUST_CHECK enum ss_status ss_stage_run_pass(struct ss_stage *stage, struct flight *flight);

/* recorded.c */
SS_MUST_CHECK enum ss_status ss_stage_recorded_create(struct ss_stage *stage);
void ss_stage_recorded_destroy(struct ss_stage *stage);
bool ss_stage_may_play(const struct ss_stage *stage, const struct flight *flight);
SS_MUST_CHECK enum ss_status ss_stage_play(struct ss_stage *stage, struct flight *flight);

/* standstill.c: from the end of creation to the beginning of destruction. */
SS_MUST_CHECK enum ss_status ss_standstill_watch(struct ss_stage *stage);
void ss_standstill_end(struct ss_stage *stage);

/* report.c */
void ss_stage_report(struct ss_stage *stage, enum ss_report_kind kind, uint64_t number,
                     uint32_t count);
void ss_stage_report_full(struct ss_stage *stage, struct ss_report *report);
/* Says in this thread's latest message which rank's entry it is about, and MODEL (below 0: none, or
 * several), and reports that this rank cannot go on. */
void ss_stage_report_failure(struct ss_stage *stage, uint64_t number, int model);
/* False, once with such a report, where queued work of the device has failed: what a signal or a
 * host call then stands behind means nothing. */
bool ss_stage_is_well(struct ss_stage *stage, uint64_t number, int model);
SS_MUST_CHECK enum ss_status ss_stage_report_when_done(struct ss_stage *stage,
                                                       struct ss_stream *stream, uint64_t number);

#endif
