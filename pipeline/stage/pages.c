/* Pages of the pool on this rank: where they lie, and what computed over them last. */
#include <inttypes.h>

#include "pipeline/stage/internal.h"

ss_device_address ss_stage_page_address(const struct ss_stage *stage, uint32_t page)
{
    return stage->pool + (uint64_t)page * stage->options.limits.page_bytes;
}

static uint64_t pages_of(const struct ss_stage *stage, uint64_t bytes)
{
    uint64_t page = stage->options.limits.page_bytes;
    return (bytes + page - 1) / page;
}

enum ss_status ss_stage_check_pages(const struct ss_stage *stage, uint32_t page, uint64_t bytes,
                                    const char *what)
{
    if (page + pages_of(stage, bytes) <= stage->page_count)
        return SS_OK;
    return ss_fail(SS_INVALID,
                   "%s at page %" PRIu32 " of %" PRIu64 " bytes: the pool has %" PRIu32 " pages",
                   what, page, bytes, stage->page_count);
}

void ss_stage_touch_pages(struct ss_stage *stage, uint32_t page, uint64_t bytes, uint64_t number)
{
    uint64_t end = page + pages_of(stage, bytes);
    for (uint64_t i = page; i < end; i++)
        if (stage->page_last_use[i] < number)
            stage->page_last_use[i] = number;
}

uint64_t ss_stage_last_use(const struct ss_stage *stage, uint32_t page, uint64_t bytes)
{
    uint64_t latest = 0, end = page + pages_of(stage, bytes);
    for (uint64_t i = page; i < end; i++)
        if (latest < stage->page_last_use[i])
            latest = stage->page_last_use[i];
    return latest;
}
