/* From the front end's handle of a request to its index here: a hash table of fixed size. */
#ifndef SS_CORE_HANDLE_MAP_H
#define SS_CORE_HANDLE_MAP_H

#include <stdint.h>

#include "engine/base/status.h"

struct ss_handle_map {
    uint32_t mask, count;
    struct ss_handle_place {
        uint64_t handle;
        uint32_t index; /* SS_NO_INDEX: empty */
    } * places;
};

#define SS_NO_INDEX UINT32_MAX

/* Room for COUNT_MAX handles. */
SS_MUST_CHECK enum ss_status ss_handle_map_open(uint32_t count_max, struct ss_handle_map *map);
void ss_handle_map_close(struct ss_handle_map *map);

void ss_handle_map_add(struct ss_handle_map *map, uint64_t handle, uint32_t index); /* new */
uint32_t ss_handle_map_find(const struct ss_handle_map *map, uint64_t handle);
void ss_handle_map_remove(struct ss_handle_map *map, uint64_t handle); /* known */

#endif
