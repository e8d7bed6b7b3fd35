/* Pages that changed hands while a batch that reads them is still to be computed. They are few, and
 * mostly none: models that are dropped have been idle. */
#include "engine/base/memory.h"
#include "engine/sim/internal.h"

void ss_sim_give_up(struct ss_sim_stage *stage, uint32_t page, uint32_t pages, uint64_t by)
{
    uint32_t count = stage->given_up_count;
    if (by <= stage->computed)
        return;
    if (count > 0 && stage->given_up[count - 1].by == by &&
        stage->given_up[count - 1].end == page) {
        stage->given_up[count - 1].end += pages;
        return;
    }
    if (count == stage->given_up_max) {
        stage->given_up_max = count > 0 ? 2 * count : 64;
        enum ss_status status = ss_realloc(&stage->given_up, stage->given_up_max,
                                           sizeof *stage->given_up, "simulation");
        SS_ASSERT(status == SS_OK);
    }
    stage->given_up[stage->given_up_count++] =
        (struct ss_sim_given_up){.page = page, .end = page + pages, .by = by};
}

uint64_t ss_sim_free_value(const struct ss_sim_stage *stage, uint32_t page, uint32_t end)
{
    uint64_t latest = 0;
    for (uint32_t i = 0; i < stage->given_up_count; i++) {
        const struct ss_sim_given_up *range = &stage->given_up[i];
        if (range->page < end && page < range->end && range->by > latest)
            latest = range->by;
    }
    return latest;
}

void ss_sim_give_up_computed(struct ss_sim_stage *stage)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stage->given_up_count; i++)
        if (stage->given_up[i].by > stage->computed)
            stage->given_up[kept++] = stage->given_up[i];
    stage->given_up_count = kept;
}
