#include "engine/core/handle_map.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"

enum ss_status ss_handle_map_open(uint32_t count_max, struct ss_handle_map *map)
{
    uint64_t places = 16;
    while (places < 2 * (uint64_t)count_max)
        places *= 2;
    struct ss_handle_map made = {.mask = (uint32_t)(places - 1)};
    enum ss_status status = ss_alloc(&made.places, places, sizeof *made.places, "request handles");
    if (status != SS_OK)
        return status;
    for (uint64_t i = 0; i < places; i++)
        made.places[i].index = SS_NO_INDEX;
    *map = made;
    return SS_OK;
}

void ss_handle_map_close(struct ss_handle_map *map)
{
    ss_free(map->places);
    *map = (struct ss_handle_map){0};
}

static uint32_t home_of(const struct ss_handle_map *map, uint64_t handle)
{
    return (uint32_t)ss_random_u64(handle, 0) & map->mask;
}

/* The handle's place, or the empty one where it would go. */
static uint32_t place_of(const struct ss_handle_map *map, uint64_t handle)
{
    uint32_t at = home_of(map, handle);
    while (map->places[at].index != SS_NO_INDEX && map->places[at].handle != handle)
        at = (at + 1) & map->mask;
    return at;
}

void ss_handle_map_add(struct ss_handle_map *map, uint64_t handle, uint32_t index)
{
    uint32_t at = place_of(map, handle);
    SS_ASSERT(map->places[at].index == SS_NO_INDEX && 2 * map->count <= map->mask);
    map->places[at] = (struct ss_handle_place){handle, index};
    map->count++;
}

uint32_t ss_handle_map_find(const struct ss_handle_map *map, uint64_t handle)
{
    return map->places[place_of(map, handle)].index;
}

void ss_handle_map_remove(struct ss_handle_map *map, uint64_t handle)
{
    uint32_t hole = place_of(map, handle);
    SS_ASSERT(map->places[hole].index != SS_NO_INDEX);
    map->count--;
    /* Linear probing without tombstones: what follows and may not be cut off moves into the hole
     * (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). */
    for (uint32_t at = (hole + 1) & map->mask; map->places[at].index != SS_NO_INDEX;
         at = (at + 1) & map->mask) {
        uint32_t home = home_of(map, map->places[at].handle);
        if (((at - home) & map->mask) < ((at - hole) & map->mask))
            continue;
        map->places[hole] = map->places[at];
        hole = at;
    }
    map->places[hole].index = SS_NO_INDEX;
}
