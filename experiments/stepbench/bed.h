/* stepbench: how long steps take on the stage executor, without server or controller. Every rank
 * takes the same entries, made up here. */
#ifndef SS_EXPERIMENTS_STEPBENCH_BED_H
#define SS_EXPERIMENTS_STEPBENCH_BED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/link/link.h"
#include "pipeline/stage/stage.h"
#include "swap/arena.h"

#define STEP_TOKENS_MAX 4096u
#define BATCH_MAX       32u
#define CONTEXT_MAX     1024u
#define BLOCK_TOKENS    16u
#define BED_MODELS_MAX  2u
#define STEPS_KEPT      64u /* steps whose ends are remembered */

struct bed {
    struct ss_link *link;
    const char *device_kind, *operations, *model;
    double scale;
    bool deterministic; /* cuda: as in a config */
    int tp, pp;
    uint16_t models; /* so many alike, each with room in the pool; 0 is 1 */
    uint64_t link_bytes_per_s, link_latency_ns; /* cpu: as in a config's device.link */
    struct ss_ops_profile profile;              /* paced: as in its device.profile */
    uint64_t piece_bytes;
    bool graphs;
    struct ss_trace *trace; /* null: none */
    uint32_t shift;         /* pages: later loads and drops are so far behind where they would be */
    void (*on_logits)(void *bed, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits); /* as ss_stage_options has it; null: none */

    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stage *stage;
    struct ss_shape shape;
    struct ss_partition partition;
    struct ss_image image;
    struct ss_stage_model served[BED_MODELS_MAX];
    struct ss_arena *arena;
    unsigned char *base;
    uint64_t page_bytes;
    uint32_t weight_pages, block_pages, next_page;
    uint64_t number; /* of the next entry */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t done;                                      /* the latest batch or drop that ended */
    uint64_t ended;                                     /* the latest load that ended */
    uint64_t ended_ns;                                  /* when */
    uint64_t begun_ns[STEPS_KEPT], done_ns[STEPS_KEPT]; /* of the batch of this number, modulo */
    bool failed;
};

/* A text under way; its tokens are made up, as are the weights. */
struct sequence {
    uint16_t slot;
    uint32_t prompt; /* tokens */
    uint32_t position, known, blocks;
};

SS_MUST_CHECK enum ss_status bed_open(struct bed *bed);
void bed_close(struct bed *bed);

/* Queue an entry; *NUMBER is its. A batch takes all known tokens of each sequence and samples. */
SS_MUST_CHECK enum ss_status bed_load(struct bed *bed, uint16_t model, uint64_t *number);
SS_MUST_CHECK enum ss_status bed_drop(struct bed *bed, uint16_t model, uint64_t *number);
/* Of model 0. */
SS_MUST_CHECK enum ss_status bed_step(struct bed *bed, struct sequence *sequences, uint32_t count,
                                      uint64_t *number);
/* Whether load NUMBER has ended here, and when; does not wait. */
bool bed_load_ended(struct bed *bed, uint64_t number, uint64_t *at_ns);
/* When batch NUMBER ended here, of those that did, and when its compute began; only the latest
 * STEPS_KEPT are known. */
uint64_t bed_batch_ended_ns(struct bed *bed, uint64_t number);
uint64_t bed_batch_begun_ns(struct bed *bed, uint64_t number);
/* Forgets all sequences. */
void bed_clear(struct bed *bed);

SS_MUST_CHECK enum ss_status bed_await_batch(struct bed *bed, uint64_t number);
SS_MUST_CHECK enum ss_status bed_await_load(struct bed *bed, uint64_t number);

#endif
