/* A model running on one rank: what a family's run functions see.
 *
 * The graph holds the backend's tables, the step's arrays and work buffers, and the chunk in turn;
 * the stage executor sets them and waits for each chunk's weights before it calls a run function.
 * All buffers are device memory in the backend's activation type, sized for the largest step; inner
 * and projected have room for its type of sums. */
#ifndef SS_PIPELINE_GRAPH_H
#define SS_PIPELINE_GRAPH_H

#include <stdint.h>

#include "pipeline/comm/comm.h"
#include "pipeline/models/describe.h"
#include "pipeline/models/model.h"
#include "pipeline/ops/ops.h"

struct ss_graph {
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stream *stream;
    const struct ss_shape *shape;
    struct ss_cut cut;
    struct ss_step step;
    struct ss_kv_layout kv;
    ss_device_address frequencies; /* fp32[head_dim / 2] */

    /* The chunk in turn, and the embedding chunk when this rank holds it (null otherwise). */
    const struct ss_chunk *chunk;
    ss_device_address chunk_address;
    const struct ss_chunk *embedding;
    ss_device_address embedding_address;

    ss_device_address hidden;    /* [rows][hidden], the residual stream: in and out of a chunk */
    ss_device_address normed;    /* [rows][max(hidden, embedding)] */
    ss_device_address qkv;       /* [rows][(heads + 2 kv_heads) / tp * head_dim] */
    ss_device_address attended;  /* [rows][heads / tp * head_dim] */
    ss_device_address projected; /* [rows][max(hidden, embedding)] */
    ss_device_address inner;     /* [rows][max(2 * ffn / tp, qkv's)] */
    ss_device_address gated;     /* [rows][ffn / tp] */

    /* The head's part: rows of the step that are sampled, and their logits. */
    uint32_t sample_count;
    ss_device_address sample_rows; /* int32[sample_count] */
    ss_device_address logits_part; /* [sample_count][vocab_part] of this rank */
    ss_device_address logits;      /* [tp][sample_count][vocab_part] */
};

/* Elements per row that each work buffer needs for SHAPE under TP. */
struct ss_graph_widths {
    uint32_t hidden, wide, qkv, attended, inner, gated, vocab_part;
};
struct ss_graph_widths ss_graph_widths(const struct ss_shape *shape, int tp);

/* Tensor INDEX of the chunk in turn, as a weight in the pool; *WEIGHT must outlive the call it is
 * passed to. Null where the model has no such tensor, which operations take as "none". */
const struct ss_weight *ss_graph_weight(const struct ss_graph *graph, int index,
                                        struct ss_weight *weight);

/* Tensor INDEX of the embedding chunk, for a tied head on the embedding's own rank. */
const struct ss_weight *ss_graph_embedding_table(const struct ss_graph *graph, int index,
                                                 struct ss_weight *weight);

/* out = act(norm(in) * weight^T + bias) over the step's rows, or gated as struct ss_dense has it.
 * NORM may be null. Uses normed and inner as work memory, inner where gated: no IN or OUT then. */
SS_MUST_CHECK enum ss_status ss_graph_dense(struct ss_graph *graph, ss_device_address out,
                                            ss_device_address in, const struct ss_norm *norm,
                                            int weight, int bias, enum ss_activation activation,
                                            bool gated);

/* inner = norm(hidden) * weight^T + bias, unfinished. Uses normed as work memory. */
SS_MUST_CHECK enum ss_status
ss_graph_dense_unfinished(struct ss_graph *graph, const struct ss_norm *norm, int weight, int bias);

/* hidden += all_reduce(in * weight[OUT]^T) + bias: the row-parallel end of attention and ffn. */
SS_MUST_CHECK enum ss_status ss_graph_project(struct ss_graph *graph, ss_device_address in,
                                              int weight, int bias);

/* The vocabulary-parallel token embedding of chunk tensor INDEX into OUT[rows][columns]. */
SS_MUST_CHECK enum ss_status ss_graph_embed(struct ss_graph *graph, int index,
                                            ss_device_address out);

/* logits of norm(IN[sample_count][columns]) with the vocabulary-parallel table TABLE. NORM may be
 * null; with one, IN is not normed, which is work memory. */
SS_MUST_CHECK enum ss_status ss_graph_logits(struct ss_graph *graph, ss_device_address in,
                                             const struct ss_norm *norm,
                                             const struct ss_weight *table);

#endif
