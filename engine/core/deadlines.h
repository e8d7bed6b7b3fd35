/* Which request's deadline comes first: a binary heap of fixed size. */
#ifndef SS_CORE_DEADLINES_H
#define SS_CORE_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_deadlines {
    uint32_t count;
    uint32_t *heap;     /* indexes */
    uint32_t *place_of; /* by index: 1 + its place in the heap; 0: not there */
    uint64_t *at_ns;    /* by index */
};

SS_MUST_CHECK enum ss_status ss_deadlines_open(uint32_t index_count,
                                               struct ss_deadlines *deadlines);
void ss_deadlines_close(struct ss_deadlines *deadlines);

void ss_deadlines_add(struct ss_deadlines *deadlines, uint32_t index, uint64_t at_ns);
void ss_deadlines_remove(struct ss_deadlines *deadlines,
                         uint32_t index); /* one not there is fine */

/* UINT64_MAX where there is none. *INDEX is whose it is. */
uint64_t ss_deadlines_first(const struct ss_deadlines *deadlines, uint32_t *index);

#endif
