/* What a policy decides, as small pure functions over what it may know. A new policy is a file with
 * one table, named here, and a line in enum ss_policy_kind and in create.c. */
#ifndef SS_CORE_POLICY_H
#define SS_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/arrivals.h"
#include "engine/core/controller.h"

#define SS_NO_ORDER UINT64_MAX

/* Precedences are compared by level first (precedence.h), then by age. */
#define SS_LEVEL_SHIFT 56

static inline uint64_t ss_level_of(uint64_t precedence)
{
    return precedence >> SS_LEVEL_SHIFT;
}

/* What is the same for all models of a decision. */
struct ss_policy_context {
    struct ss_swap_aware on; /* which rules of swap_aware apply */
    uint64_t now_ns;
    int stages;
    double page_ns[SS_STAGES_MAX]; /* to move a page of each stage to its device */
    double typical_gap_ns;         /* between two requests to one model */
    double horizon_ns;             /* how far decisions look: the pool could be filled anew */
};

/* A model as a policy sees it. Orders are precedences: the smaller goes first; within a class that
 * is by age. */
struct ss_policy_model {
    uint16_t model;
    bool stuck;            /* loaded, with work, and nothing of it can run or is running */
    bool spare;            /* it runs nothing now: all that its requests still need has been sent,
                              or chunks are missing and not on their way */
    uint64_t oldest_order; /* of the requests that could run; SS_NO_ORDER: none */
    uint64_t oldest_ns;    /* when the oldest of them arrived */
    uint64_t last_used_ns; /* when a batch of it was last sent, or its load */
    uint64_t last_turn;    /* rank of its latest batch among all batches */
    uint64_t loaded_ns;    /* when its latest load ended */
    uint64_t load_ns;      /* how long that took */
    uint64_t batches_of_stay; /* completed since it was loaded */
    uint32_t missing_pages[SS_STAGES_MAX], resident_pages[SS_STAGES_MAX];
    double weight;      /* of its requests, by class: a normal one counts 1 */
    uint64_t hidden_ns; /* of a load that hides behind the compute of what is there; 0: unknown */
    const struct ss_arrivals *arrivals;

    /* Set by appraise(): what the loss of a page costs, in seconds that requests will wait, and
     * the share of its resident pages that may go for that. */
    double price, share;
};

/* What room is made for. */
struct ss_policy_claim {
    uint64_t order;
    double link_ns;                   /* until a load for somebody else could begin */
    uint32_t short_of[SS_STAGES_MAX]; /* pages */
    /* Of a load whose wait a turn would end; else 0. */
    double weight, whole_ns; /* of its model */
    double answer_ns;        /* what its model's answers take on average, if known */
    uint64_t oldest_ns;      /* when the oldest of its requests arrived */
};

/* A batch could go behind its model's load. */
struct ss_policy_follow {
    double left_ns;        /* of the load, and of those before it, by what links were seen to do */
    uint64_t reported_ns;  /* of the load, by what its ranks reported last; UINT64_MAX: unknown */
    double lead_ns;        /* what the batch takes on its first stage */
    uint64_t stall_max_ns; /* limits.stall_max */
    uint32_t waiting;      /* requests of its model */
    bool others;           /* other models have work that could go before the load's end */
    double expected;       /* requests of other models that are there, until then */
};

/* Where a function may be null, that means: no. */
struct ss_policy {
    const char *name;
    /* A should be loaded before B. Both have work or are wanted, and lack chunks. */
    bool (*loads_before)(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b);
    /* VICTIM may be dropped for CLAIM. It is not pinned, and nothing of it is on its way. */
    bool (*may_drop)(const struct ss_policy_context *context, const struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim);
    /* Sets the victim's price and share for the claim. */
    void (*appraise)(const struct ss_policy_context *context, struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim);
    /* A is a better victim than B. Both are appraised. */
    bool (*drops_before)(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b);
    /* A's next batch should be sent before B's. Both could run. */
    bool (*serves_before)(const struct ss_policy_context *context, const struct ss_policy_model *a,
                          const struct ss_policy_model *b);
    /* After so many nanoseconds the batch may be sent; 0: now; UINT64_MAX: not before something
     * else happens. Compute is in order: what goes behind a load stalls all that comes after. */
    uint64_t (*follows_after)(const struct ss_policy_context *context,
                              const struct ss_policy_follow *follow);
    /* A load comes after those under way, not beside them. May be null. */
    bool (*loads_in_turn)(const struct ss_policy_context *context);
    /* A model may go as soon as the last steps of its requests are sent, or while it misses chunks
     * that are not on their way. May be null. */
    bool (*leaves_early)(const struct ss_policy_context *context);
    /* Models are loaded on a guess; by parts. May be null. */
    bool (*guesses)(const struct ss_policy_context *context);
    bool (*guesses_parts)(const struct ss_policy_context *context);
    /* What a guess is worth that moves SHARE of the model's missing pages, in seconds that requests
     * will not wait, per page: to be compared with the price of the victims. Not null where it
     * guesses. */
    double (*guess_worth)(const struct ss_policy_context *context,
                          const struct ss_policy_model *model, double share);
};

extern const struct ss_policy ss_policy_lru;
extern const struct ss_policy ss_policy_swap_aware;

/* How long the links are busy with so many pages of each stage: the slowest stage. */
double ss_policy_span_ns(const struct ss_policy_context *context, const uint32_t *pages);

/* ... with the model's missing pages. */
double ss_policy_missing_ns(const struct ss_policy_context *context,
                            const struct ss_policy_model *model);

/* How long they are with the whole model. */
double ss_policy_whole_ns(const struct ss_policy_context *context,
                          const struct ss_policy_model *model);

#endif
