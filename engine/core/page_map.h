/* Which pages of a pool are free: an allocator of contiguous ranges, pure and deterministic.
 *
 * Address-ordered first fit, from either end: weights are taken from the low end and KV blocks from
 * the high end, so that short-lived blocks do not cut up the room for chunks. First fit by address
 * fragments as little as best fit (Wilson, Johnstone, Neely, Boles, "Dynamic storage allocation: a
 * survey and critical review", 1995), and a binary tree whose nodes know the longest free run below
 * them (a buddy of none: any range may be taken), over words of 64 pages, answers it in
 * O(log pages). */
#ifndef SS_CORE_PAGE_MAP_H
#define SS_CORE_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define SS_NO_PAGE UINT32_MAX

struct ss_page_map;

enum ss_page_end { SS_PAGES_LOW, SS_PAGES_HIGH };

/* PAGES free pages, 1 at least. All memory is taken here. */
SS_MUST_CHECK enum ss_status ss_page_map_create(uint32_t pages, struct ss_page_map **out);
void ss_page_map_destroy(struct ss_page_map *map);

/* The first page of a free range of PAGES (1 at least), taken; SS_NO_PAGE where no run is long
 * enough. At PREFERRED if that is free there (SS_NO_PAGE: no preference), else nearest to END. */
uint32_t ss_page_map_take(struct ss_page_map *map, uint32_t pages, uint32_t preferred,
                          enum ss_page_end end);

/* Takes exactly this range, which must be free. */
void ss_page_map_take_at(struct ss_page_map *map, uint32_t page, uint32_t pages);

/* Gives a range back, all of which must be taken; it joins its free neighbours. */
void ss_page_map_release(struct ss_page_map *map, uint32_t page, uint32_t pages);

bool ss_page_map_is_free(const struct ss_page_map *map, uint32_t page, uint32_t pages);

uint32_t ss_page_map_pages(const struct ss_page_map *map);
uint32_t ss_page_map_free(const struct ss_page_map *map);
uint32_t ss_page_map_largest_run(const struct ss_page_map *map);

#endif
