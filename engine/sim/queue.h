/* Things that will happen, by virtual time; those of one time in the order they were added. */
#ifndef SS_SIM_QUEUE_H
#define SS_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ss_sim_event {
    uint64_t at_ns, order;
    int kind; /* whose meaning is the owner's, as is that of the rest */
    uint32_t a, b;
    void *subject;
};

struct ss_sim_queue {
    struct ss_sim_event *heap;
    size_t count, count_max;
    uint64_t next_order;
};

void ss_sim_queue_add(struct ss_sim_queue *queue, struct ss_sim_event event);
bool ss_sim_queue_take(struct ss_sim_queue *queue, struct ss_sim_event *out);
void ss_sim_queue_close(struct ss_sim_queue *queue);

#endif
