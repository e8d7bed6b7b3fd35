/* The pool of one stage as the controller sees it: who owns each page, which pages cannot move now,
 * which will be free soon, and how to make a hole where the free pages are scattered. */
#ifndef SS_CORE_POOL_H
#define SS_CORE_POOL_H

#include "engine/core/page_map.h"

enum ss_page_use { SS_PAGE_FREE, SS_PAGE_CHUNK, SS_PAGE_BLOCK };

/* An allocated range, kept at its first page; the rest of the range is zero. */
struct ss_page_range {
    uint8_t use;     /* enum ss_page_use */
    bool fixed;      /* written or read outside the order of entries: must not move */
    bool leaving;    /* will be free when a rank's report comes: nobody needs to drop more for it */
    uint16_t holder; /* chunk: model; block: slot */
    uint32_t index;  /* chunk in the shard; block in the slot's table */
    uint32_t pages;
};

struct ss_pool {
    struct ss_page_map *map;
    struct ss_page_range *ranges; /* by first page */
    uint32_t pages, leaving_pages;
};

SS_MUST_CHECK enum ss_status ss_pool_open(uint32_t pages, struct ss_pool *pool);
void ss_pool_close(struct ss_pool *pool);

/* SS_NO_PAGE where no run of range.pages is free. RANGE.leaving must be false. */
uint32_t ss_pool_take(struct ss_pool *pool, struct ss_page_range range, uint32_t preferred,
                      enum ss_page_end end);
void ss_pool_release(struct ss_pool *pool, uint32_t page);
void ss_pool_set_fixed(struct ss_pool *pool, uint32_t page, bool fixed);
void ss_pool_set_leaving(struct ss_pool *pool, uint32_t page, bool leaving);

uint32_t ss_pool_free_pages(const struct ss_pool *pool);
uint32_t ss_pool_largest_run(const struct ss_pool *pool);

/* A stretch of the pool, [from, to), whose ranges slide to its low end so that its free pages are
 * in one piece. */
struct ss_pool_slide {
    uint32_t from, to;
    uint32_t moves;       /* ranges that change place */
    uint32_t moved_pages; /* what they cost */
};

/* The cheapest slide that makes NEED free pages contiguous: the stretch without fixed ranges that
 * holds NEED free pages and fewest others. False where there is none. O(pages). */
bool ss_pool_plan_slide(const struct ss_pool *pool, uint32_t need, struct ss_pool_slide *out);

/* Moves the lowest range at or above *AT and below TO down to DESTINATION (which must be free but
 * for the range itself). Gives its old page in *AT; false if there is none. */
bool ss_pool_slide_next(struct ss_pool *pool, uint32_t *at, uint32_t to, uint32_t destination);

#endif
