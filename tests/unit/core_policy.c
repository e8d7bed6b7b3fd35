/* The rules of the policy lru, one by one. */
#include <criterion/criterion.h>

#include "engine/core/policy.h"

static const struct ss_policy_context context;
static const struct ss_policy_model idle = {.oldest_order = SS_NO_ORDER};

Test(core_policy, lru_loads_for_the_oldest_request)
{
    struct ss_policy_model a = {.oldest_order = 3}, b = {.oldest_order = 7};
    cr_assert(ss_policy_lru.loads_before(&context, &a, &b));
    cr_assert_not(ss_policy_lru.loads_before(&context, &b, &a));
}

Test(core_policy, lru_drops_idle_models_for_anyone)
{
    cr_assert(ss_policy_lru.may_drop(&context, &idle, &(struct ss_policy_claim){.order = 5}));
}

Test(core_policy, lru_drops_a_model_at_work_only_for_an_older_request)
{
    struct ss_policy_model at_work = {.oldest_order = 5, .batches_of_stay = 1};
    cr_assert(ss_policy_lru.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 4}));
    cr_assert_not(
        ss_policy_lru.may_drop(&context, &at_work, &(struct ss_policy_claim){.order = 6}));
}

Test(core_policy, lru_lets_a_loaded_model_serve_before_it_goes)
{
    struct ss_policy_model fresh = {.oldest_order = 5};
    cr_assert_not(ss_policy_lru.may_drop(&context, &fresh, &(struct ss_policy_claim){.order = 4}));
    fresh.stuck = true;
    cr_assert(ss_policy_lru.may_drop(&context, &fresh, &(struct ss_policy_claim){.order = 4}),
              "it cannot serve: nobody should wait for it");
}

Test(core_policy, lru_drops_the_longest_unused_first)
{
    struct ss_policy_model a = idle, b = idle;
    a.last_used_ns = 10;
    b.last_used_ns = 20;
    cr_assert(ss_policy_lru.drops_before(&context, &a, &b));
    cr_assert_not(ss_policy_lru.drops_before(&context, &b, &a));
    struct ss_policy_model at_work = {.oldest_order = 1, .last_used_ns = 1};
    cr_assert(ss_policy_lru.drops_before(&context, &b, &at_work), "idle ones go first");
    struct ss_policy_model younger = {.oldest_order = 2, .last_used_ns = 25};
    cr_assert(ss_policy_lru.drops_before(&context, &younger, &at_work), "then the youngest");
}

Test(core_policy, lru_serves_in_turns)
{
    struct ss_policy_model a = {.oldest_order = 1, .last_turn = 8},
                           b = {.oldest_order = 2, .last_turn = 7};
    cr_assert(ss_policy_lru.serves_before(&context, &b, &a));
    b.last_turn = 8;
    cr_assert(ss_policy_lru.serves_before(&context, &a, &b));
}

Test(core_policy, lru_sends_behind_a_load_what_stalls_nobody_for_long)
{
    struct ss_policy_follow follow = {.reported_ns = 50, .stall_max_ns = 10};
    cr_assert_eq(ss_policy_lru.follows_after(&context, &follow), 0);
    follow.others = true;
    cr_assert_eq(ss_policy_lru.follows_after(&context, &follow), 40);
    follow.reported_ns = UINT64_MAX;
    cr_assert_eq(ss_policy_lru.follows_after(&context, &follow), UINT64_MAX);
    follow.reported_ns = 10;
    cr_assert_eq(ss_policy_lru.follows_after(&context, &follow), 0);
}
