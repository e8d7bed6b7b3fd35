/* The page allocator against a plain array of flags. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/base/random.h"
#include "engine/core/page_map.h"

static struct ss_page_map *make(uint32_t pages)
{
    struct ss_page_map *map;
    cr_assert_eq(ss_page_map_create(pages, &map), SS_OK);
    return map;
}

Test(core_page_map, takes_from_the_end_that_is_asked_for)
{
    struct ss_page_map *map = make(10);
    cr_assert_eq(ss_page_map_take(map, 3, SS_NO_PAGE, SS_PAGES_LOW), 0);
    cr_assert_eq(ss_page_map_take(map, 3, SS_NO_PAGE, SS_PAGES_HIGH), 7);
    cr_assert_eq(ss_page_map_largest_run(map), 4);
    cr_assert_eq(ss_page_map_take(map, 5, SS_NO_PAGE, SS_PAGES_LOW), SS_NO_PAGE);
    cr_assert_eq(ss_page_map_take(map, 4, SS_NO_PAGE, SS_PAGES_HIGH), 3);
    cr_assert_eq(ss_page_map_free(map), 0);
    ss_page_map_destroy(map);
}

Test(core_page_map, returns_to_a_place_that_is_free)
{
    struct ss_page_map *map = make(16);
    cr_assert_eq(ss_page_map_take(map, 4, 9, SS_PAGES_LOW), 9);
    cr_assert_eq(ss_page_map_take(map, 4, 9, SS_PAGES_LOW), 0, "it is taken: the low end");
    ss_page_map_release(map, 9, 4);
    cr_assert_eq(ss_page_map_take(map, 2, 11, SS_PAGES_LOW), 11);
    cr_assert_eq(ss_page_map_take(map, 4, 14, SS_PAGES_LOW), 4, "14 + 4 is past the end");
    ss_page_map_destroy(map);
}

Test(core_page_map, released_ranges_join)
{
    struct ss_page_map *map = make(9);
    for (uint32_t i = 0; i < 9; i++)
        cr_assert_eq(ss_page_map_take(map, 1, SS_NO_PAGE, SS_PAGES_LOW), i);
    ss_page_map_release(map, 2, 1);
    ss_page_map_release(map, 4, 1);
    cr_assert_eq(ss_page_map_largest_run(map), 1);
    ss_page_map_release(map, 3, 1);
    cr_assert_eq(ss_page_map_largest_run(map), 3);
    cr_assert(ss_page_map_is_free(map, 2, 3));
    cr_assert_not(ss_page_map_is_free(map, 2, 4));
    cr_assert_not(ss_page_map_is_free(map, 8, 2));
    ss_page_map_destroy(map);
}

/* What the allocator must answer, by looking at every page. */
static uint32_t first_fit(const bool *used, uint32_t pages, uint32_t want, enum ss_page_end end)
{
    for (uint32_t i = 0; i + want <= pages; i++) {
        uint32_t page = end == SS_PAGES_LOW ? i : pages - want - i, n = 0;
        while (n < want && !used[page + n])
            n++;
        if (n == want)
            return page;
    }
    return SS_NO_PAGE;
}

static uint32_t longest_run(const bool *used, uint32_t pages)
{
    uint32_t longest = 0, run = 0;
    for (uint32_t i = 0; i < pages; i++) {
        run = used[i] ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void try_at_random(uint64_t seed)
{
    enum { PAGES_MAX = 150, STEPS = 600 };
    uint32_t pages = 1 + (uint32_t)(ss_random_u64(seed, 0) % PAGES_MAX), taken = 0;
    struct ss_page_map *map = make(pages);
    struct {
        uint32_t page, pages;
    } ranges[STEPS];
    bool used[PAGES_MAX] = {0};
    for (uint64_t step = 0; step < STEPS; step++) {
        uint64_t dice = ss_random_u64(seed, 1 + step);
        if (dice % 5 < 2 && taken > 0) {
            uint32_t at = (uint32_t)(dice >> 8) % taken;
            ss_page_map_release(map, ranges[at].page, ranges[at].pages);
            memset(used + ranges[at].page, 0, ranges[at].pages);
            ranges[at] = ranges[--taken];
        } else {
            uint32_t want = 1 + (uint32_t)(dice >> 8) % 9;
            enum ss_page_end end = dice >> 20 & 1 ? SS_PAGES_LOW : SS_PAGES_HIGH;
            uint32_t right = want > pages ? SS_NO_PAGE : first_fit(used, pages, want, end);
            uint32_t page = ss_page_map_take(map, want, SS_NO_PAGE, end);
            cr_assert_eq(page, right, "seed %llu", (unsigned long long)seed);
            if (page == SS_NO_PAGE)
                continue;
            memset(used + page, 1, want);
            ranges[taken].page = page;
            ranges[taken++].pages = want;
        }
        cr_assert_eq(ss_page_map_largest_run(map), longest_run(used, pages));
    }
    ss_page_map_destroy(map);
}

Test(core_page_map, agrees_with_looking_at_every_page)
{
    for (uint64_t seed = 0; seed < 200; seed++)
        try_at_random(seed);
}

Test(core_page_map, is_quick_with_many_pages, .timeout = 10)
{
    enum { PAGES = 100000 };
    struct ss_page_map *map = make(PAGES);
    for (uint32_t i = 0; i < PAGES; i++)
        cr_assert_eq(ss_page_map_take(map, 1, SS_NO_PAGE, SS_PAGES_HIGH), PAGES - 1 - i);
    for (uint32_t i = 0; i < PAGES; i += 2)
        ss_page_map_release(map, i, 1);
    cr_assert_eq(ss_page_map_largest_run(map), 1);
    for (uint32_t round = 0; round < 10; round++)
        for (uint32_t i = 0; i < PAGES / 2; i++) {
            uint32_t page = ss_page_map_take(map, 1, SS_NO_PAGE, SS_PAGES_LOW);
            cr_assert_eq(page, 0);
            ss_page_map_release(map, page, 1);
        }
    ss_page_map_destroy(map);
}
