/* Loads know their price: what is loaded next, and what is dropped for it, follows from how long
 * requests will wait. Each rule has its switch (struct ss_swap_aware); with all off, it is lru.
 *
 * The absence of a model costs, in seconds that requests wait, with the link busy elsewhere for B
 * and M to be moved then, W = B + M:
 *
 *     n W + r W^2 / 2 + (p - r W) M
 *
 * n wait already, all the time; r come per second, and those that come before the model is back
 * wait half of it on average; else one comes later, with what is left of the chance p within the
 * horizon, finds the link idle and waits for M. The time in which the pool could be filled anew is
 * the horizon: nothing need stay for longer. What hides of M behind the compute of the chunks that
 * are there is free. */
#include "engine/core/policy.h"

#include "engine/base/clock.h"

/* A model that would keep less than this share goes as a whole: many small rests help nobody, and
 * each is looked at by every decision. */
#define REST_MIN 0.125
/* What of a load hides behind compute: nearly all of what is as long as that, if nothing else is in
 * the way. */
#define HIDING 0.5
/* A request weighs as much more each time it has waited for so many loads of its model. */
#define AGEING_LOADS 1.0
/* Older by a load and so many answers of its model, a request goes before more of another: what
 * answers for long, and so keeps them waiting for long, waits for long itself. */
#define ANSWERS_OLDER 2.0

/* A batch comes so much later than was thought, with the words in between. */
#define LATE_NS 5e5

/* Who is less likely to come within the horizon is not guessed; nor who is not likelier to come now
 * than at any time, as that would be a guess about noise. */
#define CHANCE_MIN 0.2
/* The later horizon: who comes within it counts for one part in as many. */
#define FAR 4.0

/* The chance of a request within the horizon; one within FAR horizons counts for a part, so that of
 * those that are not due for long the one goes that is due last. */
static double chance_of(const struct ss_policy_context *context,
                        const struct ss_policy_model *model, double near)
{
    struct ss_outlook far = ss_arrivals_within(model->arrivals, context->now_ns,
                                               context->typical_gap_ns, FAR * context->horizon_ns);
    return (near + far.chance / FAR) / (1 + 1 / FAR);
}

/* How a model's absence is judged. */
struct prospect {
    double waiting, link_s, rate_per_s, hidden_s;
    double due, usual; /* chance of a request within the horizon; the same at any time */
    double chance;     /* as chance_of() */
};

static struct prospect look(const struct ss_policy_context *context,
                            const struct ss_policy_model *model, double link_ns)
{
    double near_ns = link_ns + ss_policy_whole_ns(context, model) + 1;
    struct ss_outlook near =
        ss_arrivals_within(model->arrivals, context->now_ns, context->typical_gap_ns, near_ns);
    struct ss_outlook due = ss_arrivals_within(model->arrivals, context->now_ns,
                                               context->typical_gap_ns, context->horizon_ns);
    return (struct prospect){.waiting = model->weight,
                             .link_s = link_ns / SS_NS_PER_S,
                             .rate_per_s = near.count / near_ns * SS_NS_PER_S,
                             .due = due.chance,
                             .usual = due.usual,
                             .chance = chance_of(context, model, due.chance),
                             .hidden_s = (double)model->hidden_ns / SS_NS_PER_S};
}

/* Seconds that requests will wait if so much is missing. */
static double absence_s(const struct prospect *prospect, double missing_ns)
{
    if (missing_ns <= 0)
        return 0;
    double missing_s = missing_ns / SS_NS_PER_S;
    missing_s -= HIDING * (missing_s < prospect->hidden_s ? missing_s : prospect->hidden_s);
    double back_s = prospect->link_s + missing_s, soon = prospect->rate_per_s * back_s;
    double later = prospect->chance > soon ? prospect->chance - soon : 0;
    return prospect->waiting * back_s + soon * back_s / 2 + later * missing_s;
}

static double urgency(const struct ss_policy_context *context, const struct ss_policy_model *model)
{
    double waited_ns = (double)(context->now_ns - model->oldest_ns);
    double weight = model->weight > 0 ? model->weight : 1;
    double ageing_ns = AGEING_LOADS * ss_policy_whole_ns(context, model) + 1;
    return weight * (1 + waited_ns / ageing_ns) /
           (ss_policy_missing_ns(context, model) + (double)model->hidden_ns + 1);
}

static bool loads_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b)
{
    if (!context->on.price)
        return ss_policy_lru.loads_before(context, a, b);
    double of_a = urgency(context, a), of_b = urgency(context, b);
    return of_a != of_b ? of_a > of_b : a->oldest_order < b->oldest_order;
}

/* Page for page, more requests wait for the victim than for the load, none of another class, and
 * none much younger. */
static bool outweighs(const struct ss_policy_context *context, const struct ss_policy_model *victim,
                      const struct ss_policy_claim *claim)
{
    return claim->weight > 0 && ss_level_of(victim->oldest_order) == ss_level_of(claim->order) &&
           victim->weight * claim->whole_ns > claim->weight * ss_policy_whole_ns(context, victim) &&
           (double)victim->oldest_ns - (double)claim->oldest_ns <
               claim->whole_ns + ANSWERS_OLDER * claim->answer_ns;
}

static bool may_drop(const struct ss_policy_context *context, const struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim)
{
    if (context->on.price && victim->spare)
        return true;
    if (!ss_policy_lru.may_drop(context, victim, claim))
        return false;
    if (victim->oldest_order == SS_NO_ORDER || victim->stuck)
        return true;
    if (context->on.price && outweighs(context, victim, claim))
        return false;
    return !context->on.stay || context->now_ns - victim->loaded_ns >= victim->load_ns;
}

/* The largest share of the victim's resident pages that the claim needs on any stage. */
static double share_needed(const struct ss_policy_context *context,
                           const struct ss_policy_model *victim,
                           const struct ss_policy_claim *claim)
{
    double share = 0;
    for (int stage = 0; stage < context->stages; stage++) {
        double has = victim->resident_pages[stage], needs = claim->short_of[stage];
        if (has > 0 && needs > share * has)
            share = needs < has ? needs / has : 1;
    }
    return share;
}

/* The price of a page if SHARE goes, or more where the rest would be too small to keep. */
static double price_of(const struct ss_policy_context *context,
                       const struct ss_policy_model *victim, const struct ss_policy_claim *claim,
                       const struct prospect *prospect, double *share)
{
    double rest = (1 - *share) * ss_policy_span_ns(context, victim->resident_pages);
    if (!context->on.partial || rest < REST_MIN * ss_policy_whole_ns(context, victim))
        *share = 1;
    double after_ns = 0, freed = 0;
    for (int stage = 0; stage < context->stages; stage++) {
        double goes = *share * victim->resident_pages[stage];
        double missing = (goes + victim->missing_pages[stage]) * context->page_ns[stage];
        after_ns = missing > after_ns ? missing : after_ns;
        freed += goes < claim->short_of[stage] ? goes : claim->short_of[stage];
    }
    double cost_s =
        absence_s(prospect, after_ns) - absence_s(prospect, ss_policy_missing_ns(context, victim));
    return freed > 0 ? cost_s / freed : 1e30;
}

static void appraise(const struct ss_policy_context *context, struct ss_policy_model *victim,
                     const struct ss_policy_claim *claim)
{
    victim->share = share_needed(context, victim, claim);
    victim->price = 1e30;
    if (victim->share <= 0) { /* of no help: the last to go */
        victim->share = 1;
        return;
    }
    if (!context->on.price && !context->on.prefetch) {
        const struct prospect nothing = {0};
        price_of(context, victim, claim, &nothing, &victim->share);
        return;
    }
    struct prospect prospect = look(context, victim, claim->link_ns);
    victim->price = price_of(context, victim, claim, &prospect, &victim->share);
}

static bool drops_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                         const struct ss_policy_model *b)
{
    if (!context->on.price || a->price == b->price)
        return ss_policy_lru.drops_before(context, a, b);
    return a->price < b->price;
}

static bool serves_before(const struct ss_policy_context *context, const struct ss_policy_model *a,
                          const struct ss_policy_model *b)
{
    return ss_policy_lru.serves_before(context, a, b);
}

/* With patience: requests of resident models that come during the load should pass. Sent so that
 * its first stage would end with the load, a batch stalls nobody. Where few would come meanwhile it
 * is sent at once: what is left is an estimate, and to be late costs all its requests. */
static uint64_t follows_after(const struct ss_policy_context *context,
                              const struct ss_policy_follow *follow)
{
    if (!context->on.patience)
        return ss_policy_lru.follows_after(context, follow);
    double stall_ns = follow->left_ns - follow->lead_ns - LATE_NS;
    if (stall_ns <= 0 ||
        (!follow->others && follow->expected * stall_ns / 2 <= follow->waiting * LATE_NS))
        return 0;
    return (uint64_t)stall_ns + 1;
}

/* Two loads share the links, and both are late. */
static bool loads_in_turn(const struct ss_policy_context *context)
{
    return context->on.price;
}

static bool leaves_early(const struct ss_policy_context *context)
{
    return context->on.price;
}

static bool guesses(const struct ss_policy_context *context)
{
    return context->on.prefetch;
}

static bool guesses_parts(const struct ss_policy_context *context)
{
    return context->on.partial;
}

static double guess_worth(const struct ss_policy_context *context,
                          const struct ss_policy_model *model, double share)
{
    double missing_ns = ss_policy_missing_ns(context, model), pages = 0;
    struct prospect prospect = look(context, model, 0);
    if (prospect.due < CHANCE_MIN || prospect.due < prospect.usual)
        return 0;
    for (int stage = 0; stage < context->stages; stage++)
        pages += share * model->missing_pages[stage];
    double saved_s =
        absence_s(&prospect, missing_ns) - absence_s(&prospect, (1 - share) * missing_ns);
    return pages > 0 ? saved_s / pages : 0;
}

const struct ss_policy ss_policy_swap_aware = {
    .name = "swap_aware",
    .loads_before = loads_before,
    .may_drop = may_drop,
    .appraise = appraise,
    .drops_before = drops_before,
    .serves_before = serves_before,
    .follows_after = follows_after,
    .loads_in_turn = loads_in_turn,
    .leaves_early = leaves_early,
    .guesses = guesses,
    .guesses_parts = guesses_parts,
    .guess_worth = guess_worth,
};
