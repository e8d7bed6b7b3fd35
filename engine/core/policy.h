/* What a policy decides, as small pure functions over what it may know. A new policy is a file with
 * one table, and a line in enum ss_policy_kind and ss_policy_of(). */
#ifndef SS_CORE_POLICY_H
#define SS_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/controller.h"

#define SS_NO_ORDER UINT64_MAX

/* A model as a policy sees it. Orders are precedences: the smaller goes first; within a class that
 * is by age. */
struct ss_policy_model {
    uint16_t model;
    bool pinned;
    bool stuck;               /* loaded, with work, and nothing of it can run or is running */
    uint64_t oldest_order;    /* of the requests that could run; SS_NO_ORDER: none */
    uint64_t last_used_ns;    /* when a batch of it was last sent, or its load */
    uint64_t last_turn;       /* rank of its latest batch among all batches */
    uint64_t loaded_ns;       /* when its latest load ended */
    uint64_t load_ns;         /* how long that took */
    uint64_t batches_of_stay; /* completed since it was loaded */
    uint32_t batches_in_flight;
    uint64_t missing_bytes, resident_bytes; /* all stages, one rank of each */
    uint32_t queued, running;
};

struct ss_policy {
    const char *name;
    /* A should be loaded before B. Both have work or are wanted, and lack chunks. */
    bool (*loads_before)(const struct ss_policy_model *a, const struct ss_policy_model *b,
                         uint64_t now_ns);
    /* VICTIM may be dropped for CLAIMANT_ORDER. It is wholly in, and not pinned. */
    bool (*may_drop)(const struct ss_policy_model *victim, uint64_t claimant_order,
                     uint64_t now_ns);
    /* A is a better victim than B. */
    bool (*drops_before)(const struct ss_policy_model *a, const struct ss_policy_model *b,
                         uint64_t now_ns);
    /* A's next batch should be sent before B's. Both could run. */
    bool (*serves_before)(const struct ss_policy_model *a, const struct ss_policy_model *b,
                          uint64_t now_ns);
};

extern const struct ss_policy ss_policy_lru;

const struct ss_policy *ss_policy_of(enum ss_policy_kind kind);

#endif
