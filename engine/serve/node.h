/* Bringing up one rank: arena, device, operations, comm, stage; and taking it down again.
 *
 * Every step that can fail on one rank alone is agreed on by all before the next begins, so that a
 * failure anywhere is one clear message and an exit everywhere, and never a hang. */
#ifndef SS_ENGINE_NODE_H
#define SS_ENGINE_NODE_H

#include <stdbool.h>

#include "engine/base/status.h"
#include "engine/serve/catalog.h"
#include "pipeline/link/link.h"
#include "pipeline/stage/rank.h"

struct ss_arena;

/* Who else hears of a rank's work; each may be null. As in struct ss_stage_options. */
struct ss_node_hooks {
    /* In place of posting reports to rank 0. */
    void (*on_report)(void *user, const struct ss_report *report);
    void (*on_logits)(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits);
    void *user;
};

struct ss_node {
    const struct ss_catalog *catalog;
    struct ss_link *link;
    struct ss_node_hooks hooks;
    int stage, tp_rank;
    struct ss_arena *arena;
    unsigned char *shards; /* this rank's part of the arena */
    size_t shards_offset, shard_bytes;
    int threads; /* that reserve and fill */
    bool registered;
    struct ss_image *images; /* of this rank, per model */
    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stage_model *models;
    struct ss_trace *trace;
    struct ss_rank_reporter reporter;
    struct ss_stage *executor;
};

/* All ranks of LINK call it; HOOKS may be null. On failure NODE is empty again, and rank 0's
 * message has every rank's. */
SS_MUST_CHECK enum ss_status ss_node_open(const struct ss_catalog *catalog, struct ss_link *link,
                                          const struct ss_node_hooks *hooks, struct ss_node *node);
void ss_node_close(struct ss_node *node);

/* Writes all ranks' traces to PATH, one after another; all ranks call it, on one node or a shared
 * file system. */
SS_MUST_CHECK enum ss_status ss_node_write_trace(struct ss_node *node, const char *path);

#endif
