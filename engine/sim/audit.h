/* The audit: what lies in each page of each rank, as a tag, and whose it is in the order of
 * entries. On with the group's CHECK; every function does nothing, or finds all well, where it is
 * off. */
#ifndef SS_SIM_AUDIT_H
#define SS_SIM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/entry/entry.h"

struct ss_sim_group;
struct ss_sim_stage;
struct ss_sim_rank;
struct ss_sim_load;
struct ss_sim_copy;
struct ss_sim_compute;
struct ss_sim_slot;

struct ss_sim_page {
    uint64_t tag;   /* what lies there physically */
    uint32_t owner; /* in the order of entries: 0 nobody, else ss_sim_audit_chunk() and _slot() */
    uint32_t busy;  /* copies outside the order of entries that are not over */
};

static inline uint32_t ss_sim_audit_chunk(uint32_t model, uint32_t chunk)
{
    return 0x80000000u | model << 16 | chunk;
}

static inline uint32_t ss_sim_audit_slot(uint32_t slot)
{
    return 1 + slot;
}

/* In the order of entries. The range must belong to nobody, and nothing that runs outside that
 * order may touch it; false, and the run fails, if not so. */
bool ss_sim_audit_claim(struct ss_sim_group *group, const struct ss_sim_stage *stage, uint32_t page,
                        uint32_t pages, uint32_t owner, const struct ss_entry *entry);
void ss_sim_audit_release(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          uint32_t page, uint32_t pages);
void ss_sim_audit_move(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                       const struct ss_page_move *move, const struct ss_entry *entry);

/* A load uses the pages of its chunk INDEX, starts to write them, has written them, or no longer
 * does. */
void ss_sim_audit_load_take(struct ss_sim_group *group, struct ss_sim_rank *rank,
                            const struct ss_sim_load *load, uint32_t index);
void ss_sim_audit_load_begin(struct ss_sim_group *group, struct ss_sim_rank *rank,
                             const struct ss_sim_load *load, uint32_t index);
void ss_sim_audit_load_end(struct ss_sim_group *group, struct ss_sim_rank *rank,
                           const struct ss_sim_load *load, uint32_t index, bool written);

void ss_sim_audit_copy_begin(struct ss_sim_group *group, struct ss_sim_rank *rank,
                             const struct ss_sim_copy *copy);
void ss_sim_audit_copy_end(struct ss_sim_group *group, struct ss_sim_rank *rank,
                           const struct ss_sim_copy *copy);

/* Notes where the batch's chunks and KV blocks are, as later entries may move them. */
void ss_sim_audit_batch_take(struct ss_sim_group *group, struct ss_sim_stage *stage,
                             struct ss_sim_compute *work);
void ss_sim_audit_batch_free(struct ss_sim_group *group, struct ss_sim_compute *work);
/* Chunk CHUNK must be there. */
void ss_sim_audit_batch_chunk(struct ss_sim_group *group, struct ss_sim_stage *stage,
                              const struct ss_sim_compute *work, uint32_t chunk);
/* The sequences' KV must be there as the batch finds it, or is written. */
void ss_sim_audit_batch_blocks(struct ss_sim_group *group, struct ss_sim_stage *stage,
                               const struct ss_sim_compute *work, bool write);
void ss_sim_audit_moved(struct ss_sim_group *group, struct ss_sim_stage *stage,
                        const struct ss_entry *entry);

#endif
