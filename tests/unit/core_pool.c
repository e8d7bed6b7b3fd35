/* Owners of pages, and slides that make free pages contiguous. */
#include <criterion/criterion.h>

#include "engine/base/random.h"
#include "engine/core/pool.h"

static uint32_t take(struct ss_pool *pool, uint32_t pages, uint32_t index)
{
    struct ss_page_range range = {.use = SS_PAGE_CHUNK, .index = index, .pages = pages};
    return ss_pool_take(pool, range, SS_NO_PAGE, SS_PAGES_LOW);
}

static void slide(struct ss_pool *pool, const struct ss_pool_slide *plan)
{
    uint32_t at = plan->from, to = plan->from, moves = 0;
    while (ss_pool_slide_next(pool, &at, plan->to, to)) {
        to += pool->ranges[to].pages;
        at++;
        moves++;
    }
    cr_assert_eq(moves, plan->moves);
}

Test(core_pool, the_cheapest_slide_is_chosen)
{
    struct ss_pool pool;
    cr_assert_eq(ss_pool_open(12, &pool), SS_OK);
    cr_assert_eq(take(&pool, 2, 0), 0);
    cr_assert_eq(take(&pool, 4, 1), 2);
    cr_assert_eq(take(&pool, 2, 2), 6);
    cr_assert_eq(take(&pool, 1, 3), 8);
    cr_assert_eq(take(&pool, 2, 4), 9);
    cr_assert_eq(take(&pool, 1, 5), 11);
    ss_pool_release(&pool, 0);
    ss_pool_release(&pool, 6);
    ss_pool_release(&pool, 9);
    struct ss_pool_slide plan;
    cr_assert(ss_pool_plan_slide(&pool, 4, &plan));
    cr_assert_eq(plan.from, 6);
    cr_assert_eq(plan.moves, 1);
    cr_assert_eq(plan.moved_pages, 1, "the one page at 8, not the four at 2");
    slide(&pool, &plan);
    cr_assert_eq(ss_pool_largest_run(&pool), 4);
    cr_assert_eq(pool.ranges[6].index, 3);
    cr_assert(ss_pool_plan_slide(&pool, 6, &plan));
    cr_assert_not(ss_pool_plan_slide(&pool, 7, &plan));
    ss_pool_close(&pool);
}

Test(core_pool, fixed_ranges_are_not_crossed)
{
    struct ss_pool pool;
    cr_assert_eq(ss_pool_open(6, &pool), SS_OK);
    for (uint32_t i = 0; i < 6; i++)
        take(&pool, 1, i);
    ss_pool_release(&pool, 0);
    ss_pool_release(&pool, 2);
    ss_pool_release(&pool, 4);
    struct ss_pool_slide plan;
    ss_pool_set_fixed(&pool, 1, true);
    cr_assert(ss_pool_plan_slide(&pool, 2, &plan));
    cr_assert_eq(plan.from, 2);
    ss_pool_set_fixed(&pool, 3, true);
    cr_assert_not(ss_pool_plan_slide(&pool, 2, &plan));
    ss_pool_set_fixed(&pool, 1, false);
    cr_assert(ss_pool_plan_slide(&pool, 2, &plan));
    cr_assert_eq(plan.from, 0);
    ss_pool_close(&pool);
}

Test(core_pool, leaving_pages_are_counted)
{
    struct ss_pool pool;
    cr_assert_eq(ss_pool_open(8, &pool), SS_OK);
    uint32_t page = take(&pool, 3, 0);
    ss_pool_set_leaving(&pool, page, true);
    ss_pool_set_leaving(&pool, page, true);
    cr_assert_eq(pool.leaving_pages, 3);
    ss_pool_release(&pool, page);
    cr_assert_eq(pool.leaving_pages, 0);
    cr_assert_eq(ss_pool_free_pages(&pool), 8);
    ss_pool_close(&pool);
}

/* Whatever is free can be made contiguous, and every range keeps what it is. */
Test(core_pool, all_free_pages_can_be_joined)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct ss_pool pool;
        cr_assert_eq(ss_pool_open(80, &pool), SS_OK);
        uint32_t count = 0;
        while (take(&pool, 1 + (uint32_t)(ss_random_u64(seed, count) % 6), count) != SS_NO_PAGE)
            count++;
        uint32_t gone = 0;
        for (uint32_t page = 0; page < 80; page++)
            if (pool.ranges[page].use && ss_random_u64(seed, 1000 + page) % 2) {
                ss_pool_release(&pool, page);
                gone++;
            }
        uint32_t free_pages = ss_pool_free_pages(&pool);
        for (uint32_t need = 1; need <= free_pages; need++) {
            struct ss_pool_slide plan;
            cr_assert(ss_pool_plan_slide(&pool, need, &plan));
            slide(&pool, &plan);
            cr_assert_geq(ss_pool_largest_run(&pool), need);
        }
        uint32_t left = 0;
        for (uint32_t page = 0; page < 80; page++)
            left += pool.ranges[page].use != SS_PAGE_FREE;
        cr_assert_eq(left, count - gone);
        ss_pool_close(&pool);
    }
}
