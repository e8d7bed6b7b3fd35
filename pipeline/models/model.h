/* Models: what a checkpoint's config.json (or a published shape) asks for.
 *
 * A family is one file: it reads its part of config.json, describes the tensors of each chunk, and
 * runs a chunk as a sequence of operations. Everything else in the project is family-blind. */
#ifndef SS_PIPELINE_MODEL_H
#define SS_PIPELINE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "pipeline/ops/ops.h"
#include "swap/image.h"

#define SS_EOS_IDS_MAX 8

struct ss_family;

/* rope_scaling of type llama3; factor 1 means none. */
struct ss_rope {
    float theta;
    float factor, low_frequency_factor, high_frequency_factor;
    uint32_t original_positions;
};

/* The numbers of one model, as config.json names them. Dimensions are elements. */
struct ss_shape {
    const struct ss_family *family;
    uint32_t layers;
    uint32_t hidden;
    uint32_t heads, kv_heads, head_dim;
    uint32_t ffn;
    uint32_t vocab;
    uint32_t positions; /* longest context the model was made for */
    uint32_t embedding; /* width of the token embedding: hidden, but for some OPT */
    float norm_epsilon;
    enum ss_activation activation;
    bool tied;           /* the head is the token embedding */
    bool attention_bias; /* on q, k, v */
    bool output_bias;    /* on the attention's output */
    bool ffn_bias;
    bool norm_first;  /* OPT: layer norm before attention and ffn, not after */
    bool norm_affine; /* OPT: layer norms have weights */
    bool final_norm;
    struct ss_rope rope;
    enum ss_dtype dtype; /* of the stored weights */
    char prefix[32];     /* of tensor names: "model." or "" */
    int eos_count;
    int32_t eos[SS_EOS_IDS_MAX];
};

/* How a model is cut: TP ranks a stage, and which rank this is. */
struct ss_cut {
    int tp, tp_rank;
};

struct ss_graph;

struct ss_family {
    const char *model_type; /* as config.json spells it */
    const char *name;       /* for people */

    /* Reads the family's keys of CONFIG (a json_t object) into SHAPE; what is missing, wrong or not
     * supported is named. WHERE names the file. */
    enum ss_status (*parse)(const void *config, const char *where, struct ss_shape *shape);

    /* Describe the tensors of one chunk of one rank. TIED_HERE: the head finds the embedding in
     * this rank's own embedding chunk and needs no copy. */
    void (*describe_embedding)(const struct ss_shape *shape, struct ss_cut cut,
                               struct ss_chunk *chunk);
    void (*describe_layer)(const struct ss_shape *shape, struct ss_cut cut, int layer,
                           struct ss_chunk *chunk);
    void (*describe_head)(const struct ss_shape *shape, struct ss_cut cut, bool tied_here,
                          struct ss_chunk *chunk);

    /* Queue one chunk's operations on the graph's stream; see graph.h. */
    enum ss_status (*run_embedding)(struct ss_graph *graph);
    enum ss_status (*run_layer)(struct ss_graph *graph, uint32_t layer_in_stage);
    enum ss_status (*run_head)(struct ss_graph *graph);
};

/* The family of MODEL_TYPE; null where there is none. */
const struct ss_family *ss_family_find(const char *model_type);

/* All model types, comma-separated, for messages. This thread's until its next call. */
const char *ss_family_names(void);

/* Reads FOLDER/config.json and generation_config.json. Dtype and prefix are left to the checkpoint:
 * ss_shape_settle(). */
SS_MUST_CHECK enum ss_status ss_shape_read(const char *folder, struct ss_shape *out);

struct ss_checkpoint;

/* Finds dtype and name prefix in CHECKPOINT. */
SS_MUST_CHECK enum ss_status ss_shape_settle(struct ss_shape *shape,
                                             const struct ss_checkpoint *checkpoint);

/* The published shape NAME ("opt-13b"), with round(SCALE * layers) layers, one at least.
 * SS_NOT_FOUND lists the names. */
SS_MUST_CHECK enum ss_status ss_shape_synthetic(const char *name, double scale, enum ss_dtype dtype,
                                                struct ss_shape *out);

/* How the layers of a model lie on the stages of a group, and what each rank holds. */
struct ss_partition {
    int tp, pp;
    uint32_t first_layer[17]; /* [stage]; first_layer[pp] = layers */
};

/* Balances stages: the largest stage's cost is least, where a chunk costs its bytes (a load moves
 * them) plus what a decode step reads of it (an embedding: next to nothing). SS_INVALID with the
 * numbers where TP does not divide the heads or there are fewer layers than stages. */
SS_MUST_CHECK enum ss_status ss_partition_make(const struct ss_shape *shape, int tp, int pp,
                                               struct ss_partition *out);

/* The image of one rank's shard. Release with ss_image_release(). */
SS_MUST_CHECK enum ss_status ss_partition_image(const struct ss_partition *partition,
                                                const struct ss_shape *shape, int stage,
                                                int tp_rank, struct ss_image *out);

/* Bytes that one token's keys and values take per layer on one rank, in elements of BYTES_EACH. */
uint64_t ss_kv_bytes_per_token_layer(const struct ss_shape *shape, int tp, size_t bytes_each);

/* The rotary frequencies: angle per position of each pair, float[head_dim / 2]. */
void ss_rope_frequencies(const struct ss_shape *shape, float *out);

#endif
