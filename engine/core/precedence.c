#include "engine/core/precedence.h"

uint64_t ss_precedence_age_ns(const struct ss_controller *controller, enum ss_class class)
{
    const struct ss_controller_limits *limits = &controller->limits;
    bool longer = class == SS_CLASS_BATCH && limits->overdue_batch_ns > limits->overdue_ns;
    return longer ? limits->overdue_batch_ns : limits->overdue_ns;
}

bool ss_precedence_is_overdue(const struct ss_controller *controller,
                              const struct ss_sequence *sequence)
{
    return controller->limits.overdue_ns > 0 && sequence->state == SS_SEQUENCE_QUEUED &&
           controller->now_ns - sequence->arrived_ns >=
               ss_precedence_age_ns(controller, (enum ss_class)sequence->class);
}

uint64_t ss_precedence_of(const struct ss_controller *controller, uint32_t index)
{
    const struct ss_sequence *sequence = &controller->sequences[index];
    bool turn = sequence->model == controller->turn_model;
    if (ss_precedence_is_overdue(controller, sequence))
        return ss_precedence_at(turn ? SS_LEVEL_TURN : SS_LEVEL_OVERDUE, sequence->order);
    if (turn && !controller->turn_has_progressed && sequence->state != SS_SEQUENCE_QUEUED)
        return ss_precedence_at(SS_LEVEL_TURN_BEGUN, sequence->order);
    return ss_precedence_of_class(controller, (enum ss_class)sequence->class, sequence->order);
}

uint32_t ss_precedence_first(const struct ss_controller *controller, const struct ss_list *lists)
{
    uint32_t first = SS_NONE;
    for (int class = 0; class < SS_CLASSES; class ++) {
        uint32_t head = lists[class].first;
        if (head != SS_NONE && (first == SS_NONE || ss_precedence_of(controller, head) <
                                                        ss_precedence_of(controller, first)))
            first = head;
    }
    return first;
}
