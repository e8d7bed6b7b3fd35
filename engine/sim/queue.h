/* Things that will happen, by virtual time; those of one time in the order they were added. One
 * queue may serve several groups: GROUP tells whose an event is. */
#ifndef SS_SIM_QUEUE_H
#define SS_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ss_sim_event {
    uint64_t at_ns, order; /* ORDER is the queue's own */
    uint16_t kind;         /* whose meaning is the owner's, as is that of the rest */
    uint16_t group;
    uint32_t a;
    union {
        void *subject;
        uint64_t number;
        uint32_t b;
    };
};

/* Zero is an empty queue. */
struct ss_sim_queue {
    struct ss_sim_event *heap; /* of four children each: fewer levels, and they share cache lines */
    size_t count, count_max;
    uint64_t next_order;
    uint64_t now_ns; /* of the event that was taken last */
};

void ss_sim_queue_add(struct ss_sim_queue *queue, struct ss_sim_event event);
bool ss_sim_queue_take(struct ss_sim_queue *queue, struct ss_sim_event *out);

/* What would be taken next; null: nothing. Valid until the queue changes. */
const struct ss_sim_event *ss_sim_queue_first(const struct ss_sim_queue *queue);

void ss_sim_queue_close(struct ss_sim_queue *queue);

#endif
