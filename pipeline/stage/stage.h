/* The stage executor: one rank's part of every model, driven by entries.
 *
 * ss_stage_take() turns an entry into stream work and returns; it waits for no data, no device and
 * no peer, but where more is queued than a stream of the device takes (CUDA: about 1,000
 * operations, experiments/stream-waits). Results come back as reports, from stream and transfer
 * threads. The streams of a rank:
 *
 *   compute    embeds, layers, head, sampling; compaction
 *   edge in    activations from the previous stage; on the first stage, tokens from the last
 *   edge out   activations to the next stage; on the last stage, tokens to the first
 *   load       pieces of chunks (the transfer engine's); KV blocks that come back
 *   unload     KV blocks set aside; weights of a drop that copies back
 *
 * What a step takes from the host and gives to it goes by small copies, on the compute stream: it
 * never stands behind the pieces of a load.
 *
 * Every wait between them names a timeline value that an entry of a lower number, or the same,
 * has queued or will queue without waiting for the waiter: no cycle is possible. */
#ifndef SS_PIPELINE_STAGE_H
#define SS_PIPELINE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/comm/comm.h"
#include "pipeline/entry/entry.h"
#include "pipeline/models/model.h"
#include "pipeline/ops/ops.h"
#include "pipeline/stage/trace.h"

/* One model on this rank. All borrowed while the stage lives. */
struct ss_stage_model {
    const char *name; /* for messages */
    const struct ss_shape *shape;
    const struct ss_image *image;
    void *base; /* the image in the arena, registered with the device */
    uint32_t context_max;
};

struct ss_stage_limits {
    uint64_t page_bytes;
    uint64_t pool_bytes; /* a multiple of page_bytes */
    uint64_t piece_bytes;
    int pieces_in_flight;
    uint32_t block_tokens;
    uint32_t slots_max;
    uint32_t batch_max;       /* sequences of one batch */
    uint32_t step_tokens_max; /* rows of one batch */
    uint32_t batches_in_flight;
    uint32_t loads_in_flight;
    uint64_t message_bytes_max; /* of an entry: bounds the prompts that one can carry */
};

struct ss_stage_options {
    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    int rank; /* stage * tp + tp_rank; the rest is in comm */
    struct ss_stage_limits limits;
    uint32_t model_count;
    const struct ss_stage_model *models;
    void *spill; /* registered host memory for KV set aside; null if spill_bytes is 0 */
    uint64_t spill_bytes;

    /* Hands a report over; REPORT and what it points to live during the call. Any thread; must not
     * block. */
    void (*report)(void *user, const struct ss_report *report);
    void *user;

    /* Where nothing gets on for so long although work is under way, a warning in the log says what
     * the link thread is at and how far streams and loads are. 0: none. Where it lasts for
     * STUCK_NS, and the link thread is in ss_stage_take() with entry NUMBER, STUCK is called, on a
     * thread of its own: that one may never come back to find out. Null: nothing is. */
    uint64_t standstill_ns, stuck_ns;
    void (*stuck)(void *user, uint64_t number);

    bool graphs;            /* steps of one token a sequence are recorded, where the device can */
    struct ss_trace *trace; /* null: none */

    /* For tests: the logits of the rows that batch NUMBER sampled, [count][vocab], on the last
     * stage's ranks, in stream order. Null: none. */
    void (*on_logits)(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits);
};

struct ss_stage;

/* Device memory that a stage takes besides the pool: work buffers, token table, batch arrays. */
uint64_t ss_stage_workspace_bytes(const struct ss_stage_options *options);

SS_MUST_CHECK enum ss_status ss_stage_create(const struct ss_stage_options *options,
                                             struct ss_stage **out);

/* Where operations load kernels at their first use: runs every model with every kind of row count,
 * and waits for it, so that nothing is loaded between entries. Before the first entry; ranks of a
 * tensor-parallel set do so together, when all of them have been created. */
SS_MUST_CHECK enum ss_status ss_stage_warm_up(struct ss_stage *stage);

/* Waits for all queued work. */
void ss_stage_destroy(struct ss_stage *stage);

/* Takes the next entry; numbers rise by one. A failure means that this rank cannot go on (a
 * message that breaks the protocol, a failed device); it has been reported. One thread. */
SS_MUST_CHECK enum ss_status ss_stage_take(struct ss_stage *stage, const struct ss_entry *entry,
                                           const struct ss_opening *openings,
                                           uint32_t opening_count);

#endif
