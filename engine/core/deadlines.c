#include "engine/core/deadlines.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

enum ss_status ss_deadlines_open(uint32_t index_count, struct ss_deadlines *deadlines)
{
    struct ss_deadlines made = {0};
    enum ss_status status = ss_alloc(&made.heap, index_count, sizeof *made.heap, "deadlines");
    if (status == SS_OK)
        status = ss_alloc(&made.place_of, index_count, sizeof *made.place_of, "deadlines");
    if (status == SS_OK)
        status = ss_alloc(&made.at_ns, index_count, sizeof *made.at_ns, "deadlines");
    if (status != SS_OK) {
        ss_deadlines_close(&made);
        return status;
    }
    *deadlines = made;
    return SS_OK;
}

void ss_deadlines_close(struct ss_deadlines *deadlines)
{
    ss_free(deadlines->heap);
    ss_free(deadlines->place_of);
    ss_free(deadlines->at_ns);
    *deadlines = (struct ss_deadlines){0};
}

static bool earlier(const struct ss_deadlines *deadlines, uint32_t a, uint32_t b)
{
    uint64_t a_ns = deadlines->at_ns[a], b_ns = deadlines->at_ns[b];
    return a_ns != b_ns ? a_ns < b_ns : a < b;
}

static void put(struct ss_deadlines *deadlines, uint32_t place, uint32_t index)
{
    deadlines->heap[place] = index;
    deadlines->place_of[index] = place + 1;
}

static void settle(struct ss_deadlines *deadlines, uint32_t place, uint32_t index)
{
    uint32_t *heap = deadlines->heap;
    while (place > 0 && earlier(deadlines, index, heap[(place - 1) / 2])) {
        put(deadlines, place, heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < deadlines->count && earlier(deadlines, heap[child + 1], heap[child]))
            child++;
        if (child >= deadlines->count || !earlier(deadlines, heap[child], index))
            break;
        put(deadlines, place, heap[child]);
        place = child;
    }
    put(deadlines, place, index);
}

void ss_deadlines_add(struct ss_deadlines *deadlines, uint32_t index, uint64_t at_ns)
{
    SS_ASSERT(deadlines->place_of[index] == 0);
    deadlines->at_ns[index] = at_ns;
    settle(deadlines, deadlines->count++, index);
}

void ss_deadlines_remove(struct ss_deadlines *deadlines, uint32_t index)
{
    if (deadlines->place_of[index] == 0)
        return;
    uint32_t place = deadlines->place_of[index] - 1;
    deadlines->place_of[index] = 0;
    uint32_t last = deadlines->heap[--deadlines->count];
    if (last != index)
        settle(deadlines, place, last);
}

uint64_t ss_deadlines_first(const struct ss_deadlines *deadlines, uint32_t *index)
{
    if (deadlines->count == 0)
        return UINT64_MAX;
    *index = deadlines->heap[0];
    return deadlines->at_ns[*index];
}
