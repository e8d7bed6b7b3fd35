/* Simulated ranks that take entries from a test instead of from their controller. */
#ifndef SS_UNIT_SIM_BENCH_H
#define SS_UNIT_SIM_BENCH_H

#include "engine/sim/internal.h"

#define BENCH_MODELS 4
#define BENCH_CHUNKS 2
#define BENCH_PAGE   1000000 /* bytes */
#define BENCH_PAGES  64      /* of a chunk */
#define BENCH_POOL   1024
#define BENCH_SEEN   256

struct bench {
    struct ss_sim_options options;
    struct ss_controller_model models[BENCH_MODELS];
    struct ss_sim_model costs[BENCH_MODELS];
    struct ss_step_cost chunks[BENCH_CHUNKS];
    uint32_t pages[BENCH_CHUNKS];
    uint64_t bytes[BENCH_CHUNKS];
    struct ss_sim_request plan;
    uint32_t tokens_max; /* of each request */
    struct ss_sim_queue queue;
    struct ss_sim_group *group;
    uint64_t number;
    /* Reports, when they reach the controller. */
    struct bench_report {
        uint64_t at_ns, number;
        enum ss_report_kind kind;
        uint32_t rank, count;
    } seen[BENCH_SEEN];
    uint32_t seen_count;
};

/* 50 GB/s alone, 100 GB/s together, pieces of 16 MB, nothing else takes time. Options may be
 * changed before bench_open(). */
void bench_set(struct bench *bench, int tp, int pp);
void bench_open(struct bench *bench);
void bench_close(struct bench *bench);

/* Sends the entry with the next number, at the time of the latest event. */
uint64_t bench_send(struct bench *bench, struct ss_entry entry);
/* Chunk 0 of MODEL to its own place on every stage. */
uint64_t bench_load(struct bench *bench, uint16_t model, enum ss_entry_lane lane);
/* One prompt of MODEL in one step: 4 rows, the slot of the model's number. */
uint64_t bench_batch(struct bench *bench, uint16_t model);

void bench_run_until(struct bench *bench, uint64_t at_ns);
/* When the first report of KIND about entry NUMBER by RANK came; 0: not yet. */
uint64_t bench_when(const struct bench *bench, enum ss_report_kind kind, uint64_t number,
                    uint32_t rank);

#endif
