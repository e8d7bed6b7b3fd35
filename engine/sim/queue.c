#include "engine/sim/queue.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

#define CHILDREN 4

static bool before(const struct ss_sim_event *a, const struct ss_sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void ss_sim_queue_add(struct ss_sim_queue *queue, struct ss_sim_event event)
{
    if (queue->count == queue->count_max) {
        queue->count_max = queue->count_max ? 2 * queue->count_max : 256;
        enum ss_status status =
            ss_realloc(&queue->heap, queue->count_max, sizeof *queue->heap, "simulated events");
        SS_ASSERT(status == SS_OK);
    }
    event.order = queue->next_order++;
    size_t at = queue->count++;
    while (at > 0 && before(&event, &queue->heap[(at - 1) / CHILDREN])) {
        queue->heap[at] = queue->heap[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    queue->heap[at] = event;
}

const struct ss_sim_event *ss_sim_queue_first(const struct ss_sim_queue *queue)
{
    return queue->count > 0 ? &queue->heap[0] : 0;
}

bool ss_sim_queue_take(struct ss_sim_queue *queue, struct ss_sim_event *out)
{
    struct ss_sim_event *heap = queue->heap;
    if (queue->count == 0)
        return false;
    *out = heap[0];
    queue->now_ns = out->at_ns;
    struct ss_sim_event last = heap[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t first = CHILDREN * at + 1, end = first + CHILDREN, best = first;
        if (first >= queue->count)
            break;
        end = end < queue->count ? end : queue->count;
        for (size_t child = first + 1; child < end; child++)
            if (before(&heap[child], &heap[best]))
                best = child;
        if (!before(&heap[best], &last))
            break;
        heap[at] = heap[best];
        at = best;
    }
    heap[at] = last;
    return true;
}

void ss_sim_queue_close(struct ss_sim_queue *queue)
{
    ss_free(queue->heap);
    *queue = (struct ss_sim_queue){0};
}
