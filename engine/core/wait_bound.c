/* The bound on a request's wait: README.md has the formula, in these names. */
#include "engine/base/clock.h"
#include "engine/core/block_need.h"
#include "engine/core/class_share.h"
#include "engine/core/precedence.h"
#include "engine/core/step_bound.h"

struct terms {
    const struct ss_controller *controller;
    struct ss_wait_rates rates;
    double step_ns; /* between two steps of a turn, realtime ones in between */
};

static double longest_step_ns(const struct ss_controller *controller)
{
    double longest = 0;
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        struct ss_step_load most = {.rows = controller->limits.step_tokens_max,
                                    .context = (uint64_t)model->batch_max * model->context_max};
        double ns = (double)ss_step_bound_ns(controller, model, &most) * controller->pp;
        longest = ns > longest ? ns : longest;
    }
    return longest;
}

/* S / B_min. */
static double load_ns(const struct terms *terms, const struct ss_model *model)
{
    return (double)model->largest_bytes * (double)SS_NS_PER_S / (double)terms->rates.bytes_per_s;
}

/* P: what it takes at most until a request that was set aside gets on by a token; in a pipeline,
 * steps of others go between its own. */
static double prefill_ns(const struct terms *terms, const struct ss_model *model)
{
    const struct ss_controller *controller = terms->controller;
    struct ss_step_load load = {.context = model->context_max};
    uint32_t rows = ss_step_bound_rows(controller, model, &load);
    rows = rows > controller->block_tokens ? rows : controller->block_tokens;
    if (rows > controller->limits.step_tokens_max)
        rows = controller->limits.step_tokens_max;
    double steps = (double)model->context_max / rows + 1;
    return steps * terms->step_ns * (controller->pp > 1 ? 2 : 1);
}

/* O: the turn's room, the steps under way before it, and the words in between. */
static double overhead_ns(const struct terms *terms)
{
    return (double)terms->rates.room_ns + 4 * (double)terms->rates.talk_ns +
           (terms->controller->limits.batches_in_flight + 1) * (double)terms->rates.step_ns;
}

/* Q: a turn lasts for as long as its load at least. */
static double quantum_ns(const struct terms *terms, const struct ss_model *model)
{
    double least = (double)terms->controller->limits.quantum_ns, load = load_ns(terms, model);
    return load > least ? load : least;
}

/* T: a whole turn of a model; the step that follows its load may compute for as long. */
static double turn_ns(const struct terms *terms, const struct ss_model *model)
{
    return 2 * load_ns(terms, model) + overhead_ns(terms) + quantum_ns(terms, model) +
           prefill_ns(terms, model);
}

/* The turns of all models but one that are ACTIVE, or of all, and once more the longest. */
static double turns_ns(const struct terms *terms, const struct ss_model *but, bool active)
{
    const struct ss_controller *controller = terms->controller;
    double sum = 0, longest = 0;
    uint32_t count = active ? controller->active_count : controller->model_count;
    uint32_t index = active ? controller->first_active : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ss_model *model = &controller->models[index];
        double ns = model == but ? 0 : turn_ns(terms, model);
        sum += ns;
        longest = ns > longest ? ns : longest;
        index = active ? model->active_next : index + 1;
    }
    return sum + longest;
}

/* L: the loads under way when the line forms. */
static double loads_ns(const struct terms *terms)
{
    const struct ss_controller *controller = terms->controller;
    double longest = 0;
    for (uint32_t i = 0; i < controller->model_count; i++) {
        double ns = load_ns(terms, &controller->models[i]);
        longest = ns > longest ? ns : longest;
    }
    return controller->limits.loads_in_flight * (longest + (double)terms->rates.talk_ns);
}

/* G: as many requests as stand in line for a slot, and this one, each wait at most until those of
 * its own model that have slots have ended, as others go before it till then, and until one more
 * has. A round of turns brings each model that holds slots on by a step, and no sequence takes more
 * of them than its context has tokens, and one. */
static double slots_ns(const struct terms *terms, double round_ns)
{
    const struct ss_controller *controller = terms->controller;
    double tokens = 0;
    for (uint32_t i = 0; i < controller->model_count; i++)
        if (controller->models[i].context_max > tokens)
            tokens = controller->models[i].context_max;
    double steps = 2.0 * controller->limits.slots_max * (tokens + 1);
    return (controller->slotless_count + 1.0) * steps *
           (round_ns + (double)ss_precedence_age_ns(controller, SS_CLASS_BATCH));
}

/* A step of the model's turn begins one request at least, once there is room for its slice. */
static double first_step_ns(const struct terms *terms, const struct ss_model *model)
{
    const struct ss_controller *controller = terms->controller;
    double share = 0;
    uint32_t blocks = ss_blocks_of(controller, model->context_max);
    for (int stage = 0; controller->spill && stage < controller->pp; stage++) {
        double part = (double)blocks * model->block_pages[stage] / controller->pools[stage].pages;
        share = part > share ? part : share;
    }
    if (!controller->spill)
        return terms->step_ns;
    return terms->step_ns + share * (double)terms->rates.room_ns + 2 * (double)terms->rates.talk_ns;
}

uint64_t ss_controller_wait_bound_ns(const struct ss_controller *controller,
                                     const struct ss_wait_rates *rates, uint16_t index,
                                     enum ss_class class)
{
    const struct ss_model *model = &controller->models[index];
    struct terms terms = {.controller = controller, .rates = *rates};
    if (rates->bytes_per_s == 0)
        terms.rates.bytes_per_s = controller->bytes_per_s_min;
    if (rates->step_ns == 0)
        terms.rates.step_ns = (uint64_t)longest_step_ns(controller) + rates->talk_ns;
    if (controller->limits.overdue_ns == 0 || terms.rates.bytes_per_s == 0 ||
        terms.rates.step_ns == 0)
        return UINT64_MAX;
    terms.step_ns = (double)terms.rates.step_ns / (1 - ss_class_share_of(controller));
    double quantum = quantum_ns(&terms, model), first_ns = first_step_ns(&terms, model);
    double before = model->queued + 1; /* n */
    double per_turn = (double)controller->limits.quantum_ns / first_ns;
    per_turn = per_turn > 1 ? (double)(uint64_t)per_turn : 1;
    double rounds = (double)(uint64_t)((before + per_turn - 1) / per_turn);
    double own_ns = quantum + prefill_ns(&terms, model) + loads_ns(&terms) +
                    2 * load_ns(&terms, model) + overhead_ns(&terms);
    /* Who comes later is overdue later, unless its class's age is shorter. */
    uint64_t age_ns = ss_precedence_age_ns(controller, class);
    double bound_ns = (double)age_ns +
                      turns_ns(&terms, model, age_ns == controller->limits.overdue_ns) + own_ns +
                      before * first_ns;
    double round_ns = turns_ns(&terms, model, false) + own_ns;
    bound_ns += (rounds - 1) * round_ns;
    /* Whatever comes before it is overdue may take the slots that are free now. */
    if (controller->limits.requests_max > controller->limits.slots_max)
        bound_ns += slots_ns(&terms, round_ns + first_ns);
    return bound_ns < (double)UINT64_MAX ? (uint64_t)bound_ns : UINT64_MAX;
}
