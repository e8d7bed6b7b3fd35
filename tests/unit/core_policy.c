/* The rules of the policy lru, one by one. */
#include <criterion/criterion.h>

#include "engine/core/policy.h"

static const struct ss_policy_model idle = {.oldest_order = SS_NO_ORDER};

Test(core_policy, lru_loads_for_the_oldest_request)
{
    struct ss_policy_model a = {.oldest_order = 3}, b = {.oldest_order = 7};
    cr_assert(ss_policy_lru.loads_before(&a, &b, 0));
    cr_assert_not(ss_policy_lru.loads_before(&b, &a, 0));
}

Test(core_policy, lru_drops_idle_models_for_anyone)
{
    cr_assert(ss_policy_lru.may_drop(&idle, 5, 0));
}

Test(core_policy, lru_drops_a_model_at_work_only_for_an_older_request)
{
    struct ss_policy_model at_work = {.oldest_order = 5, .batches_of_stay = 1};
    cr_assert(ss_policy_lru.may_drop(&at_work, 4, 0));
    cr_assert_not(ss_policy_lru.may_drop(&at_work, 6, 0));
}

Test(core_policy, lru_lets_a_loaded_model_serve_before_it_goes)
{
    struct ss_policy_model fresh = {.oldest_order = 5};
    cr_assert_not(ss_policy_lru.may_drop(&fresh, 4, 0));
    fresh.stuck = true;
    cr_assert(ss_policy_lru.may_drop(&fresh, 4, 0), "it cannot serve: nobody should wait for it");
}

Test(core_policy, lru_drops_the_longest_unused_first)
{
    struct ss_policy_model a = idle, b = idle;
    a.last_used_ns = 10;
    b.last_used_ns = 20;
    cr_assert(ss_policy_lru.drops_before(&a, &b, 30));
    cr_assert_not(ss_policy_lru.drops_before(&b, &a, 30));
    struct ss_policy_model at_work = {.oldest_order = 1, .last_used_ns = 1};
    cr_assert(ss_policy_lru.drops_before(&b, &at_work, 30), "idle ones go first");
    struct ss_policy_model younger = {.oldest_order = 2, .last_used_ns = 25};
    cr_assert(ss_policy_lru.drops_before(&younger, &at_work, 30), "then the youngest");
}

Test(core_policy, lru_serves_in_turns)
{
    struct ss_policy_model a = {.oldest_order = 1, .last_turn = 8},
                           b = {.oldest_order = 2, .last_turn = 7};
    cr_assert(ss_policy_lru.serves_before(&b, &a, 0));
    b.last_turn = 8;
    cr_assert(ss_policy_lru.serves_before(&a, &b, 0));
}

Test(core_policy, lru_is_found_by_its_kind)
{
    cr_assert_eq(ss_policy_of(SS_POLICY_LRU), &ss_policy_lru);
    cr_assert_str_eq(ss_policy_lru.name, "lru");
}
