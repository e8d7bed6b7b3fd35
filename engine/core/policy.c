#include "engine/core/policy.h"

double ss_policy_span_ns(const struct ss_policy_context *context, const uint32_t *pages)
{
    double longest = 0;
    for (int stage = 0; stage < context->stages; stage++)
        if (pages[stage] * context->page_ns[stage] > longest)
            longest = pages[stage] * context->page_ns[stage];
    return longest;
}

double ss_policy_missing_ns(const struct ss_policy_context *context,
                            const struct ss_policy_model *model)
{
    return ss_policy_span_ns(context, model->missing_pages);
}

double ss_policy_whole_ns(const struct ss_policy_context *context,
                          const struct ss_policy_model *model)
{
    uint32_t pages[SS_STAGES_MAX];
    for (int stage = 0; stage < context->stages; stage++)
        pages[stage] = model->missing_pages[stage] + model->resident_pages[stage];
    return ss_policy_span_ns(context, pages);
}
