/* Who goes before whom: the one total order by which sequences are served and by which claims for
 * room are judged. A precedence is a number: the smaller goes first. Its level comes first, then
 * age. A policy orders models within a level.
 *
 * It changes while a sequence lives, but not while a decision is made. */
#ifndef SS_CORE_PRECEDENCE_H
#define SS_CORE_PRECEDENCE_H

#include "engine/core/state.h"

#define SS_LEVEL_NONE UINT64_C(255) /* of nothing: behind all others */

enum ss_level {
    SS_LEVEL_TURN,       /* first steps that an overdue model's turn is for */
    SS_LEVEL_TURN_BEGUN, /* its other requests, until one of them got on by a token */
    SS_LEVEL_OVERDUE,    /* first steps that wait for such a turn */
    SS_LEVEL_CLASSES,    /* and on: the classes */
};

static inline uint64_t ss_precedence_at(uint64_t level, uint64_t order)
{
    return level << SS_LEVEL_SHIFT | order;
}

/* What has no place but its class and its age. */
static inline uint64_t ss_precedence_of_class(const struct ss_controller *controller,
                                              enum ss_class class, uint64_t order)
{
    return ss_precedence_at(controller->class_levels[class], order);
}

/* How long a request of the class waits for its first step until it is overdue, where there are
 * turns (overdue.h). */
uint64_t ss_precedence_age_ns(const struct ss_controller *controller, enum ss_class class);

/* The request waits for its first step, and has waited too long. */
bool ss_precedence_is_overdue(const struct ss_controller *controller,
                              const struct ss_sequence *sequence);

uint64_t ss_precedence_of(const struct ss_controller *controller, uint32_t sequence);

/* The first of the heads of a model's LISTS, one for each class; SS_NONE: all are empty. In a list
 * the oldest always goes first. */
uint32_t ss_precedence_first(const struct ss_controller *controller, const struct ss_list *lists);

#endif
