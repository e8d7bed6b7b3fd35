#include "engine/core/pool.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

enum ss_status ss_pool_open(uint32_t pages, struct ss_pool *pool)
{
    struct ss_pool made = {.pages = pages};
    enum ss_status status = ss_page_map_create(pages, &made.map);
    if (status != SS_OK)
        return status;
    status = ss_alloc(&made.ranges, pages, sizeof *made.ranges, "owners of a pool's pages");
    if (status != SS_OK) {
        ss_page_map_destroy(made.map);
        return status;
    }
    *pool = made;
    return SS_OK;
}

void ss_pool_close(struct ss_pool *pool)
{
    ss_page_map_destroy(pool->map);
    ss_free(pool->ranges);
    *pool = (struct ss_pool){0};
}

uint32_t ss_pool_take(struct ss_pool *pool, struct ss_page_range range, uint32_t preferred,
                      enum ss_page_end end)
{
    SS_ASSERT(range.use != SS_PAGE_FREE && !range.leaving);
    uint32_t page = ss_page_map_take(pool->map, range.pages, preferred, end);
    if (page != SS_NO_PAGE)
        pool->ranges[page] = range;
    return page;
}

static struct ss_page_range *range_at(struct ss_pool *pool, uint32_t page)
{
    SS_ASSERT(page < pool->pages && pool->ranges[page].use != SS_PAGE_FREE);
    return &pool->ranges[page];
}

void ss_pool_set_fixed(struct ss_pool *pool, uint32_t page, bool fixed)
{
    range_at(pool, page)->fixed = fixed;
}

void ss_pool_set_leaving(struct ss_pool *pool, uint32_t page, bool leaving)
{
    struct ss_page_range *range = range_at(pool, page);
    if (range->leaving == leaving)
        return;
    range->leaving = leaving;
    pool->leaving_pages += leaving ? range->pages : -range->pages;
}

void ss_pool_release(struct ss_pool *pool, uint32_t page)
{
    ss_pool_set_leaving(pool, page, false);
    ss_page_map_release(pool->map, page, pool->ranges[page].pages);
    pool->ranges[page] = (struct ss_page_range){0};
}

uint32_t ss_pool_free_pages(const struct ss_pool *pool)
{
    return ss_page_map_free(pool->map);
}

uint32_t ss_pool_largest_run(const struct ss_pool *pool)
{
    return ss_page_map_largest_run(pool->map);
}

/* Pages of the piece that starts at PAGE: a range, or one free page. */
static uint32_t piece_pages(const struct ss_pool *pool, uint32_t page)
{
    const struct ss_page_range *range = &pool->ranges[page];
    return range->use == SS_PAGE_FREE ? 1 : range->pages;
}

bool ss_pool_plan_slide(const struct ss_pool *pool, uint32_t need, struct ss_pool_slide *out)
{
    bool found = false;
    struct ss_pool_slide window = {0};
    uint32_t free_pages = 0;
    for (uint32_t page = 0; page < pool->pages;) {
        const struct ss_page_range *range = &pool->ranges[page];
        uint32_t pages = piece_pages(pool, page);
        page += pages;
        window.to = page;
        if (range->use == SS_PAGE_FREE) {
            free_pages++;
        } else if (range->fixed) {
            window = (struct ss_pool_slide){.from = page, .to = page};
            free_pages = 0;
        } else {
            window.moves++;
            window.moved_pages += pages;
        }
        /* Shorten from below while enough is left: ranges there need not move, nor do those below
         * the first free page. */
        for (;;) {
            if (window.from == window.to)
                break;
            const struct ss_page_range *first = &pool->ranges[window.from];
            if (first->use == SS_PAGE_FREE) {
                if (free_pages <= need)
                    break;
                free_pages--;
            } else {
                window.moves--;
                window.moved_pages -= first->pages;
            }
            window.from += piece_pages(pool, window.from);
        }
        if (free_pages < need || (found && out->moved_pages <= window.moved_pages))
            continue;
        *out = window;
        found = true;
    }
    return found;
}

bool ss_pool_slide_next(struct ss_pool *pool, uint32_t *at, uint32_t to, uint32_t destination)
{
    uint32_t from = *at;
    while (from < to && pool->ranges[from].use == SS_PAGE_FREE)
        from++;
    if (from >= to)
        return false;
    struct ss_page_range range = pool->ranges[from];
    SS_ASSERT(destination < from && !range.fixed && !range.leaving);
    pool->ranges[from] = (struct ss_page_range){0};
    ss_page_map_release(pool->map, from, range.pages);
    ss_page_map_take_at(pool->map, destination, range.pages);
    pool->ranges[destination] = range;
    *at = from;
    return true;
}
