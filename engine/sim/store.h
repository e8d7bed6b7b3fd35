/* Memory of what lives for a while in a simulation: blocks by size class that are used again, so
 * that nothing is allocated once as much as ever lives at once has lived. */
#ifndef SS_SIM_STORE_H
#define SS_SIM_STORE_H

#include <stdbool.h>
#include <stddef.h>

#define SS_SIM_STORE_CLASSES 32

/* Zero is an empty store. */
struct ss_sim_store {
    void *free[SS_SIM_STORE_CLASSES]; /* blocks of 32 << class bytes */
    void **slabs;
    size_t slab_count, slab_max;
    size_t live, live_max; /* blocks taken and not given back; the most there ever were */
    bool spoil;            /* overwrite what is given back, so that its use is noticed */
};

/* BYTES that are not cleared. Running out of memory ends the program. */
void *ss_sim_store_take(struct ss_sim_store *store, size_t bytes);
void ss_sim_store_give(struct ss_sim_store *store, void *block, size_t bytes);

/* Zeroed memory for as long as the store; it does not count as live. */
void *ss_sim_store_keep(struct ss_sim_store *store, size_t count, size_t size);

void ss_sim_store_close(struct ss_sim_store *store);

#endif
