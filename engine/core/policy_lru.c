/* Computron's rules: the oldest request is served first, and the model that was used longest ago
 * makes room for it. A model with work makes room only for an older request, and not before it has
 * served a batch: each load serves at least the request that it was made for. */
#include "engine/core/policy.h"

static bool loads_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b)
{
    (void)context;
    return a->oldest_order < b->oldest_order;
}

static bool may_drop(const struct ss_policy_context *context, const struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim)
{
    (void)context;
    if (victim->oldest_order == SS_NO_ORDER)
        return true;
    return victim->oldest_order > claim->order && (victim->batches_of_stay > 0 || victim->stuck);
}

/* All of a model goes, and only the order counts. */
static void appraise(const struct ss_policy_context *context, struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim)
{
    (void)context;
    (void)claim;
    victim->price = 0;
    victim->share = 1;
}

static bool drops_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b)
{
    (void)context;
    bool a_idle = a->oldest_order == SS_NO_ORDER, b_idle = b->oldest_order == SS_NO_ORDER;
    if (a_idle != b_idle)
        return a_idle;
    if (!a_idle)
        return a->oldest_order > b->oldest_order;
    return a->last_used_ns != b->last_used_ns ? a->last_used_ns < b->last_used_ns
                                              : a->model < b->model;
}

static bool serves_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                          const struct ss_policy_model *b)
{
    (void)context;
    return a->last_turn != b->last_turn ? a->last_turn < b->last_turn
                                        : a->oldest_order < b->oldest_order;
}

/* At once where nobody would be stalled, or not for long. */
static uint64_t follows_after(const struct ss_policy_context *context,
                              const struct ss_policy_follow *follow)
{
    (void)context;
    if (!follow->others || follow->reported_ns <= follow->stall_max_ns)
        return 0;
    return follow->reported_ns == UINT64_MAX ? UINT64_MAX
                                             : follow->reported_ns - follow->stall_max_ns;
}

const struct ss_policy ss_policy_lru = {
    .name = "lru",
    .loads_before = loads_before,
    .may_drop = may_drop,
    .appraise = appraise,
    .drops_before = drops_before,
    .serves_before = serves_before,
    .follows_after = follows_after,
};
