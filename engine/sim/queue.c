#include "engine/sim/queue.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"

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
    while (at > 0 && before(&event, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = event;
}

bool ss_sim_queue_take(struct ss_sim_queue *queue, struct ss_sim_event *out)
{
    if (queue->count == 0)
        return false;
    *out = queue->heap[0];
    struct ss_sim_event last = queue->heap[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (child >= queue->count || !before(&queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    return true;
}

void ss_sim_queue_close(struct ss_sim_queue *queue)
{
    ss_free(queue->heap);
    *queue = (struct ss_sim_queue){0};
}
