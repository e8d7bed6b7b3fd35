#include "engine/core/page_map.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

#define WORD 64 /* pages of a leaf: a bit each, set where it is free */

/* Lengths of free runs below a node: the longest, the one at its left end, the one at its right. */
struct node {
    uint32_t longest, left, right;
};

/* Heap order: the children of node i are 2i and 2i + 1, leaf i is node leaves + i. The map of a
 * pool of 64 Ki pages is some 32 KiB: it stays in the cache. */
struct ss_page_map {
    uint32_t pages, free;
    uint32_t leaves; /* a power of two; pages past the end are never free */
    uint64_t *words; /* by leaf; behind the nodes */
    struct node nodes[];
};

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct node leaf_of(uint64_t word)
{
    if (word == UINT64_MAX)
        return (struct node){WORD, WORD, WORD};
    if (word == 0)
        return (struct node){0, 0, 0};
    struct node node = {.left = (uint32_t)__builtin_ctzll(~word),
                        .right = (uint32_t)__builtin_clzll(~word)};
    while (word != 0) {
        word >>= __builtin_ctzll(word);
        uint32_t run = (uint32_t)__builtin_ctzll(~word);
        node.longest = larger(node.longest, run);
        word >>= run;
    }
    return node;
}

static void join(struct ss_page_map *map, uint32_t at, uint32_t half)
{
    const struct node *left = &map->nodes[2 * at], *right = &map->nodes[2 * at + 1];
    map->nodes[at] = (struct node){
        .longest = larger(larger(left->longest, right->longest), left->right + right->left),
        .left = left->left == half ? half + right->left : left->left,
        .right = right->right == half ? half + left->right : right->right,
    };
}

/* The pages of [from, to) that lie in a leaf, as bits of its word. */
static uint64_t bits_in(uint32_t leaf, uint32_t from, uint32_t to)
{
    uint32_t low = leaf * WORD, begin = from > low ? from - low : 0;
    uint32_t end = to - low < WORD ? to - low : WORD;
    return (end == WORD ? UINT64_MAX : (UINT64_C(1) << end) - 1) & (UINT64_MAX << begin);
}

static void mark(struct ss_page_map *map, uint32_t from, uint32_t to, bool is_free)
{
    uint32_t low = from / WORD, high = (to - 1) / WORD;
    for (uint32_t leaf = low; leaf <= high; leaf++) {
        uint64_t bits = bits_in(leaf, from, to);
        map->words[leaf] = is_free ? map->words[leaf] | bits : map->words[leaf] & ~bits;
        map->nodes[map->leaves + leaf] = leaf_of(map->words[leaf]);
    }
    low = (map->leaves + low) / 2;
    high = (map->leaves + high) / 2;
    for (uint32_t half = WORD; low > 0; low /= 2, high /= 2, half *= 2)
        for (uint32_t at = low; at <= high; at++)
            join(map, at, half);
}

enum ss_status ss_page_map_create(uint32_t pages, struct ss_page_map **out)
{
    SS_ASSERT(pages > 0);
    if (pages > UINT32_MAX / 4)
        return ss_fail(SS_INVALID, "a pool of %u pages, expected at most %u: larger pages", pages,
                       UINT32_MAX / 4);
    size_t leaves = 1;
    while (leaves * WORD < pages)
        leaves *= 2;
    size_t nodes = (sizeof(struct ss_page_map) + 2 * leaves * sizeof(struct node) + 7) / 8 * 8;
    struct ss_page_map *map;
    enum ss_status status =
        ss_alloc(&map, 1, nodes + leaves * sizeof(uint64_t), "map of a pool's pages");
    if (status != SS_OK)
        return status;
    map->pages = map->free = pages;
    map->leaves = (uint32_t)leaves;
    map->words = (uint64_t *)(void *)((char *)map + nodes);
    mark(map, 0, pages, true);
    *out = map;
    return SS_OK;
}

void ss_page_map_destroy(struct ss_page_map *map)
{
    ss_free(map);
}

static uint32_t find_in_word(uint64_t word, uint32_t pages, enum ss_page_end end)
{
    /* Bit i stays if a run of PAGES starts there. */
    for (uint32_t left = pages; left > 1;) {
        uint32_t step = left / 2;
        word &= word >> step;
        left -= step;
    }
    return end == SS_PAGES_LOW ? (uint32_t)__builtin_ctzll(word)
                               : WORD - 1 - (uint32_t)__builtin_clzll(word);
}

/* The nearest to END of the free runs of PAGES; the root's longest is known to be enough. */
static uint32_t find(const struct ss_page_map *map, uint32_t pages, enum ss_page_end end)
{
    uint32_t at = 1, low = 0, size = map->leaves * WORD;
    while (at < map->leaves) {
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
    return low + find_in_word(map->words[at - map->leaves], pages, end);
}

static bool all_are(const struct ss_page_map *map, uint32_t from, uint32_t to, bool is_free)
{
    for (uint32_t leaf = from / WORD; leaf <= (to - 1) / WORD; leaf++) {
        uint64_t bits = bits_in(leaf, from, to);
        if ((map->words[leaf] & bits) != (is_free ? bits : 0))
            return false;
    }
    return true;
}

bool ss_page_map_is_free(const struct ss_page_map *map, uint32_t page, uint32_t pages)
{
    if (page > map->pages || pages > map->pages - page)
        return false;
    return pages == 0 || all_are(map, page, page + pages, true);
}

void ss_page_map_take_at(struct ss_page_map *map, uint32_t page, uint32_t pages)
{
    SS_ASSERT(pages > 0 && ss_page_map_is_free(map, page, pages));
    mark(map, page, page + pages, false);
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
    SS_ASSERT(all_are(map, page, page + pages, false));
    mark(map, page, page + pages, true);
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
