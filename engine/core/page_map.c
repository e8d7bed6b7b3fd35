#include "engine/core/page_map.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

/* Lengths of free runs below a node: the longest, the one at its left end, the one at its right.
 * A node whose longest is 0 or all of its pages stands for itself: what its children say may be out
 * of date, and is renewed on the way down. */
struct node {
    uint32_t longest, left, right;
};

struct ss_page_map {
    uint32_t pages, free;
    uint32_t leaves; /* pages, rounded up to a power of two; those past the end are never free */
    struct node nodes[];
};

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void set_node(struct node *node, uint32_t length)
{
    *node = (struct node){length, length, length};
}

/* Marks [from, to) of the node's range [low, low + size). */
static void mark(struct ss_page_map *map, uint32_t at, uint32_t low, uint32_t size, uint32_t from,
                 uint32_t to, bool is_free)
{
    struct node *node = &map->nodes[at];
    if (from <= low && low + size <= to) {
        set_node(node, is_free ? size : 0);
        return;
    }
    uint32_t half = size / 2, middle = low + half;
    struct node *left = &map->nodes[2 * at], *right = &map->nodes[2 * at + 1];
    if (node->longest == 0 || node->longest == size) {
        set_node(left, node->longest / 2);
        set_node(right, node->longest / 2);
    }
    if (from < middle)
        mark(map, 2 * at, low, half, from, to, is_free);
    if (to > middle)
        mark(map, 2 * at + 1, middle, half, from, to, is_free);
    node->longest = larger(larger(left->longest, right->longest), left->right + right->left);
    node->left = left->left == half ? half + right->left : left->left;
    node->right = right->right == half ? half + left->right : right->right;
}

enum ss_status ss_page_map_create(uint32_t pages, struct ss_page_map **out)
{
    SS_ASSERT(pages > 0);
    if (pages > UINT32_MAX / 4)
        return ss_fail(SS_INVALID, "a pool of %u pages, expected at most %u: larger pages", pages,
                       UINT32_MAX / 4);
    uint32_t leaves = 1;
    while (leaves < pages)
        leaves *= 2;
    struct ss_page_map *map;
    enum ss_status status = ss_alloc(
        &map, 1, sizeof *map + 2 * (size_t)leaves * sizeof(struct node), "map of a pool's pages");
    if (status != SS_OK)
        return status;
    map->pages = map->free = pages;
    map->leaves = leaves;
    set_node(&map->nodes[1], leaves);
    if (leaves > pages)
        mark(map, 1, 0, leaves, pages, leaves, false);
    *out = map;
    return SS_OK;
}

void ss_page_map_destroy(struct ss_page_map *map)
{
    ss_free(map);
}

/* The nearest to END of the free runs of PAGES; the root's longest is known to be enough. */
static uint32_t find(const struct ss_page_map *map, uint32_t pages, enum ss_page_end end)
{
    uint32_t at = 1, low = 0, size = map->leaves;
    for (;;) {
        const struct node *node = &map->nodes[at];
        if (node->longest == size)
            return end == SS_PAGES_LOW ? low : low + size - pages;
        const struct node *left = &map->nodes[2 * at], *right = &map->nodes[2 * at + 1];
        uint32_t half = size / 2, middle = low + half;
        const struct node *near = end == SS_PAGES_LOW ? left : right;
        bool go_near = near->longest >= pages;
        if (!go_near && left->right + right->left >= pages)
            return end == SS_PAGES_LOW ? middle - left->right : middle + right->left - pages;
        bool go_left = go_near == (end == SS_PAGES_LOW);
        at = 2 * at + (go_left ? 0 : 1);
        low = go_left ? low : middle;
        size = half;
    }
}

static bool all_are(const struct ss_page_map *map, uint32_t at, uint32_t low, uint32_t size,
                    uint32_t from, uint32_t to, bool is_free)
{
    const struct node *node = &map->nodes[at];
    if (to <= low || low + size <= from)
        return true;
    if (node->longest == 0 || node->longest == size)
        return (node->longest > 0) == is_free;
    if (from <= low && low + size <= to)
        return false;
    return all_are(map, 2 * at, low, size / 2, from, to, is_free) &&
           all_are(map, 2 * at + 1, low + size / 2, size / 2, from, to, is_free);
}

bool ss_page_map_is_free(const struct ss_page_map *map, uint32_t page, uint32_t pages)
{
    if (page > map->pages || pages > map->pages - page)
        return false;
    return all_are(map, 1, 0, map->leaves, page, page + pages, true);
}

void ss_page_map_take_at(struct ss_page_map *map, uint32_t page, uint32_t pages)
{
    SS_ASSERT(pages > 0 && ss_page_map_is_free(map, page, pages));
    mark(map, 1, 0, map->leaves, page, page + pages, false);
    map->free -= pages;
}

uint32_t ss_page_map_take(struct ss_page_map *map, uint32_t pages, uint32_t preferred,
                          enum ss_page_end end)
{
    SS_ASSERT(pages > 0);
    if (map->nodes[1].longest < pages)
        return SS_NO_PAGE;
    uint32_t page = preferred;
    if (preferred == SS_NO_PAGE || !ss_page_map_is_free(map, preferred, pages))
        page = find(map, pages, end);
    ss_page_map_take_at(map, page, pages);
    return page;
}

void ss_page_map_release(struct ss_page_map *map, uint32_t page, uint32_t pages)
{
    SS_ASSERT(pages > 0 && page < map->pages && pages <= map->pages - page);
    SS_ASSERT(all_are(map, 1, 0, map->leaves, page, page + pages, false));
    mark(map, 1, 0, map->leaves, page, page + pages, true);
    map->free += pages;
}

uint32_t ss_page_map_pages(const struct ss_page_map *map)
{
    return map->pages;
}

uint32_t ss_page_map_free(const struct ss_page_map *map)
{
    return map->free;
}

uint32_t ss_page_map_largest_run(const struct ss_page_map *map)
{
    return map->nodes[1].longest;
}
