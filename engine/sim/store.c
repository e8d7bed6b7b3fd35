#include "engine/sim/store.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/memory.h"

#define SMALLEST   ((size_t)32)
#define SLAB_BYTES ((size_t)65536)

void *ss_sim_store_keep(struct ss_sim_store *store, size_t count, size_t size)
{
    enum ss_status status = SS_OK;
    void *made;
    if (store->slab_count == store->slab_max) {
        store->slab_max = store->slab_max ? 2 * store->slab_max : 64;
        status = ss_realloc(&store->slabs, store->slab_max, sizeof *store->slabs, "simulation");
    }
    if (status == SS_OK)
        status = ss_alloc(&made, count, size, "simulation");
    SS_ASSERT(status == SS_OK);
    store->slabs[store->slab_count++] = made;
    return made;
}

static int class_of(size_t bytes)
{
    int class = bytes <= SMALLEST ? 0 : 59 - __builtin_clzl(bytes - 1);
    SS_ASSERT(class < SS_SIM_STORE_CLASSES);
    return class;
}

static void push(struct ss_sim_store *store, int class, void *block)
{
    memcpy(block, &store->free[class], sizeof(void *));
    store->free[class] = block;
}

static void refill(struct ss_sim_store *store, int class)
{
    size_t bytes = SMALLEST << class, count = SLAB_BYTES / bytes;
    char *slab = ss_sim_store_keep(store, count > 0 ? count : 1, bytes);
    for (size_t i = count > 0 ? count : 1; i-- > 0;)
        push(store, class, slab + i * bytes);
}

void *ss_sim_store_take(struct ss_sim_store *store, size_t bytes)
{
    int class = class_of(bytes);
    if (!store->free[class])
        refill(store, class);
    void *block = store->free[class];
    memcpy(&store->free[class], block, sizeof(void *));
    if (++store->live > store->live_max)
        store->live_max = store->live;
    return block;
}

void ss_sim_store_give(struct ss_sim_store *store, void *block, size_t bytes)
{
    SS_ASSERT(store->live > 0);
    store->live--;
    if (store->spoil)
        memset(block, 0xa5, bytes);
    push(store, class_of(bytes), block);
}

void ss_sim_store_close(struct ss_sim_store *store)
{
    for (size_t i = 0; i < store->slab_count; i++)
        ss_free(store->slabs[i]);
    ss_free(store->slabs);
    *store = (struct ss_sim_store){0};
}
