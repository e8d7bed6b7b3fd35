/* What a policy is shown: a model, and what is the same for all models of a decision. */
#ifndef SS_CORE_POLICY_VIEW_H
#define SS_CORE_POLICY_VIEW_H

#include "engine/core/state.h"

struct ss_policy_context ss_policy_context_of(const struct ss_controller *controller);

/* What the policy answers to a question that it may leave out. */
static inline bool ss_policy_says(const struct ss_controller *controller,
                                  bool (*question)(const struct ss_policy_context *))
{
    if (!question)
        return false;
    struct ss_policy_context context = ss_policy_context_of(controller);
    return question(&context);
}

struct ss_policy_model ss_policy_view_of(const struct ss_controller *controller, uint16_t model);
/* The same, written in place: a third faster where all that wait are looked at. */
void ss_policy_view(const struct ss_controller *controller, uint16_t index,
                    struct ss_policy_model *view);

#endif
