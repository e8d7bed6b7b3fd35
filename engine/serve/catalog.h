/* The catalog: every model of a config, read, checked and cut for the group.
 *
 * All ranks build the same catalog from the same files; what differs between them is made from it
 * (a rank's images). Tensor-parallel peers hold equally many bytes, so sizes are per stage. */
#ifndef SS_ENGINE_CATALOG_H
#define SS_ENGINE_CATALOG_H

#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"
#include "engine/config/config.h"
#include "engine/config/profile.h"
#include "engine/core/controller.h"
#include "pipeline/models/model.h"

/* What hangs on a model's pointers is shared by all that the config made from one entry. */
struct ss_catalog_model {
    const struct ss_config_model *config;
    struct ss_shape shape;
    struct ss_partition partition;
    uint32_t context_max;
    uint32_t batch_max;
    struct ss_image images[SS_STAGES_MAX]; /* of tp rank 0: sizes and chunks of each stage */
    uint32_t *chunk_pages[SS_STAGES_MAX];
    uint64_t *chunk_bytes[SS_STAGES_MAX];
    uint64_t kv_block_bytes[SS_STAGES_MAX];
    uint32_t kv_block_pages[SS_STAGES_MAX];
    uint64_t arena_offset[SS_STAGES_MAX]; /* of its shard, in a rank's part of the arena */
};

struct ss_catalog {
    const struct ss_config *config; /* borrowed */
    struct ss_profile *profile;     /* of the machine; null where the config names none */
    int tp, pp;
    size_t activation_bytes; /* each element of activations and KV cache */
    int model_count;
    struct ss_catalog_model *models;
    uint64_t shards_bytes[SS_STAGES_MAX]; /* all in the arena; the spill area is behind them */
};

/* Reads every model's config and checkpoint headers. Every mistake of every model is written to
 * MISTAKES, a line each, with the config's line; the status message counts them. */
SS_MUST_CHECK enum ss_status ss_catalog_open(const struct ss_config *config, FILE *mistakes,
                                             struct ss_catalog **out);
void ss_catalog_close(struct ss_catalog *catalog);

/* Bytes of MODEL's shard on a rank of STAGE, in whole pages. */
uint64_t ss_catalog_shard_bytes(const struct ss_catalog *catalog, int model, int stage);

/* Pool bytes that a sequence of full length takes on a rank of STAGE. */
uint64_t ss_catalog_sequence_bytes(const struct ss_catalog *catalog, int model, int stage);

/* Host arena bytes of a rank of STAGE: all shards, and the spill area. */
uint64_t ss_catalog_arena_bytes(const struct ss_catalog *catalog, int stage);

/* The largest KV block of any model on a rank of STAGE. */
uint64_t ss_catalog_spill_unit(const struct ss_catalog *catalog, int stage);

/* Batches that may be in flight: the config's number, or what keeps all stages busy. */
uint32_t ss_catalog_batches_in_flight(const struct ss_catalog *catalog);

/* Bytes of the largest message between ranks. */
size_t ss_catalog_message_bytes_max(const struct ss_catalog *catalog);

/* Refuses a pool in which some model cannot run, with the numbers, a line per model and stage in
 * MISTAKES. */
SS_MUST_CHECK enum ss_status ss_catalog_check(const struct ss_catalog *catalog, FILE *mistakes);

/* The plan, for people: ranks, stages, bytes per rank, what fits. */
void ss_catalog_print(const struct ss_catalog *catalog, FILE *file);

/* Model INDEX as the controller sees it; its arrays belong to the catalog. */
void ss_catalog_controller_model(const struct ss_catalog *catalog, int index,
                                 struct ss_controller_model *out);

/* Fills OPTIONS for the group's controller; what it points to belongs to the catalog or to MODELS,
 * which has room for model_count. */
void ss_catalog_controller_options(const struct ss_catalog *catalog,
                                   struct ss_controller_model *models,
                                   struct ss_controller_options *options);

#endif
