#include "tests/sim/scenario.h"

#include "engine/base/random.h"

static uint64_t draw(struct scenario *scenario, uint64_t below)
{
    return ss_random_u64(scenario->seed, scenario->drawn++) % below;
}

static uint64_t between(struct scenario *scenario, uint64_t low, uint64_t high)
{
    return low + draw(scenario, high - low + 1);
}

static bool one_in(struct scenario *scenario, uint64_t n)
{
    return draw(scenario, n) == 0;
}

static void draw_model(struct scenario *scenario, uint32_t index)
{
    struct ss_controller_options *options = &scenario->options.controller;
    struct ss_controller_model *model = &scenario->models[index];
    uint64_t size = between(scenario, 1, 8);
    *model = (struct ss_controller_model){.name = "model"};
    for (int stage = 0; stage < options->pp; stage++) {
        uint32_t count = (uint32_t)between(scenario, 1, SCENARIO_CHUNKS_MAX);
        model->chunk_count[stage] = count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t pages = (uint32_t)between(scenario, 1, size);
            scenario->chunk_pages[index][stage][i] = pages;
            scenario->chunk_bytes[index][stage][i] =
                pages * options->page_bytes - draw(scenario, options->page_bytes);
        }
        model->chunk_pages[stage] = scenario->chunk_pages[index][stage];
        model->chunk_bytes[stage] = scenario->chunk_bytes[index][stage];
        model->kv_block_pages[stage] = (uint32_t)between(scenario, 1, 3);
    }
    model->context_max = (uint32_t)between(scenario, 8, 96);
    model->batch_max = (uint32_t)between(scenario, 1, 8);
}

static uint32_t pages_of(const struct scenario *scenario, uint32_t index, int stage, bool with_kv)
{
    const struct ss_controller_model *model = &scenario->models[index];
    uint32_t bt = scenario->options.controller.block_tokens, pages = 0;
    for (uint32_t i = 0; i < model->chunk_count[stage]; i++)
        pages += model->chunk_pages[stage][i];
    if (with_kv)
        pages += (model->context_max + bt - 1) / bt * model->kv_block_pages[stage];
    return pages;
}

/* Pools that hold the largest model and one sequence, and somewhat more. */
static void draw_pools(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    uint64_t more = draw(scenario, 150);
    int pinned = one_in(scenario, 5) ? (int)draw(scenario, options->model_count) : -1;
    for (int stage = 0; stage < options->pp; stage++) {
        uint32_t most = 0;
        for (uint32_t i = 0; i < options->model_count; i++) {
            uint32_t pages = pages_of(scenario, i, stage, true);
            most = pages > most ? pages : most;
        }
        options->pool_pages[stage] = most + (uint32_t)(most * more / 100);
        if (pinned >= 0)
            options->pool_pages[stage] += pages_of(scenario, (uint32_t)pinned, stage, false);
    }
    if (pinned >= 0)
        scenario->models[pinned].pinned = true;
}

static void draw_group(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    static const uint32_t slots[] = {1, 2, 4, 16, 40, 0}, rows[] = {3, 8, 16, 64},
                          bts[] = {1, 4, 8, 16}, spills[] = {0, 6, 1000};
    static const uint64_t stalls[] = {0, 100000, 10000000};
    options->tp = (int)between(scenario, 1, 2);
    options->pp = (int)between(scenario, 1, 3);
    options->page_bytes = 4096;
    options->block_tokens = bts[draw(scenario, 4)];
    options->model_count = (uint32_t)between(scenario, 1, 6);
    options->models = scenario->models;
    options->limits = (struct ss_controller_limits){
        .requests_max = one_in(scenario, 4) ? (uint32_t)between(scenario, 1, 20)
                                            : (uint32_t)between(scenario, 20, 150),
        .slots_max = slots[draw(scenario, 6)],
        .step_tokens_max = rows[draw(scenario, 4)],
        .batches_in_flight = (uint32_t)between(scenario, 1, (uint64_t)options->pp + 2),
        .loads_in_flight = (uint32_t)between(scenario, 1, 3),
        .queue_max_per_model = one_in(scenario, 4) ? (uint32_t)between(scenario, 1, 20) : 0,
    };
    if (options->limits.slots_max == 0) /* as servers have it that are not told otherwise */
        options->limits.slots_max = options->limits.requests_max;
    options->spill_blocks = spills[draw(scenario, 3)];
    options->stall_max_ns = stalls[draw(scenario, 3)];
    options->emulate.copy_back = one_in(scenario, 6);
    options->emulate.wait_whole_load = one_in(scenario, 6);
    options->emulate.poll = one_in(scenario, 8);
    for (uint32_t i = 0; i < options->model_count; i++)
        draw_model(scenario, i);
    draw_pools(scenario);
    options->emulate.models_max = one_in(scenario, 6) ? (uint32_t)between(scenario, 1, 3) : 0;
    for (uint32_t i = 0; i < options->model_count && options->emulate.models_max > 0; i++)
        options->emulate.models_max += scenario->models[i].pinned;
}

static void draw_costs(struct scenario *scenario)
{
    struct ss_sim_costs *costs = &scenario->options.costs;
    *costs = (struct ss_sim_costs){
        .link_bytes_per_s = 1e6 * (double)(1u << between(scenario, 4, 11)),
        .to_host_bytes_per_s = 1e6 * (double)(1u << between(scenario, 4, 11)),
        .piece_bytes = 1024 << draw(scenario, 5),
        .piece_latency_ns = between(scenario, 0, 20000),
        .chunk_ns = between(scenario, 1, 100000),
        .row_ns = between(scenario, 0, 2000),
        .move_page_ns = between(scenario, 0, 1000),
        .entry_ns = between(scenario, 1, 5000),
        .edge_ns = between(scenario, 1, 5000),
        .report_ns = between(scenario, 1, 20000),
        .report_jitter_ns = one_in(scenario, 3) ? between(scenario, 1, 2000000) : 0,
        .duplicate_in = one_in(scenario, 3) ? (uint32_t)between(scenario, 2, 20) : 0,
    };
    if (one_in(scenario, 3)) {
        costs->link_total_bytes_per_s = costs->link_bytes_per_s * (double)between(scenario, 1, 3);
        costs->to_host_total_bytes_per_s =
            costs->to_host_bytes_per_s * (double)between(scenario, 1, 3);
    }
    if (one_in(scenario, 4)) {
        costs->late_in = (uint32_t)between(scenario, 5, 200);
        costs->late_ns = 1000ull << between(scenario, 5, 15);
    }
}

/* MODEL: -1 for any. */
static void draw_request(struct scenario *scenario, struct scenario_request *request, int model)
{
    /* Half of all requests go to the first two models, so that some are hot. */
    request->model = (uint16_t)draw(scenario, scenario->options.controller.model_count);
    if (request->model > 1 && one_in(scenario, 2))
        request->model %= 2;
    if (model >= 0)
        request->model = (uint16_t)model;
    uint32_t context = scenario->models[request->model].context_max;
    if (one_in(scenario, 50))
        context += 2; /* some are too long */
    request->plan.prompt = (uint32_t)between(scenario, 1, context - 1);
    request->plan.tokens_max = (uint32_t)between(scenario, 1, context - request->plan.prompt);
    if (one_in(scenario, 2))
        request->plan.eos_after = (uint32_t)between(scenario, 1, request->plan.tokens_max);
    request->plan.stops = one_in(scenario, 4);
    request->client = (uint8_t)draw(scenario, scenario->client_count);
}

static void draw_requests(struct scenario *scenario)
{
    uint64_t at_ns = 0, mean_ns = 1000ull << between(scenario, 0, 12);
    uint64_t cancel_in = one_in(scenario, 3) ? between(scenario, 2, 10) : 0;
    uint64_t deadline_in = one_in(scenario, 4) ? between(scenario, 2, 10) : 0;
    scenario->classes = one_in(scenario, 2) ? (uint32_t)between(scenario, 2, 3) : 1;
    /* Models in turn at even times far apart: what comes next can be guessed. */
    bool even = one_in(scenario, 6);
    uint32_t models = scenario->options.controller.model_count;
    if (even)
        mean_ns = 1000ull << between(scenario, 12, 18);
    scenario->together = one_in(scenario, 2);
    scenario->client_count = (uint32_t)between(scenario, 1, SCENARIO_CLIENTS_MAX);
    scenario->request_count = (uint32_t)between(scenario, 50, SCENARIO_REQUESTS_MAX);
    for (uint32_t i = 0; i < scenario->request_count; i++) {
        struct scenario_request *request = &scenario->requests[i];
        draw_request(scenario, request, even ? (int)(i % models) : -1);
        if (even)
            at_ns += mean_ns;
        else
            at_ns += one_in(scenario, 3) ? 0 : draw(scenario, 2 * mean_ns);
        request->arrives_ns = at_ns;
        request->plan.handle = 1000 + i;
        request->class =
            scenario->classes > 1 ? (uint8_t)draw(scenario, scenario->classes) : SS_CLASS_NORMAL;
        uint64_t patience_ns = draw(scenario, 40) * draw(scenario, 1000000);
        if (cancel_in && one_in(scenario, cancel_in))
            request->cancelled_ns = at_ns + patience_ns;
        request->stopped = one_in(scenario, 3);
        if (deadline_in && one_in(scenario, deadline_in))
            request->deadline_ns = at_ns + patience_ns;
    }
    scenario->end_ns = at_ns;
}

static void draw_loss(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    struct scenario_moment *when = &scenario->loss_when;
    if (!one_in(scenario, 3))
        return;
    scenario->loss = (enum scenario_loss)between(scenario, LOSS_NONE + 1, LOSS_KINDS - 1);
    scenario->loss_rank = (uint32_t)draw(scenario, (uint64_t)(options->tp * options->pp));
    when->at_ns = 1 + draw(scenario, scenario->end_ns + 1000000);
    if (one_in(scenario, 2)) {
        /* Those that are seldom seen more often. */
        bool seldom = one_in(scenario, 2);
        when->kind = MOMENT_SEQUENCE;
        when->state = (uint32_t)between(scenario, seldom ? SS_SEQUENCE_ASIDE : SS_SEQUENCE_QUEUED,
                                        SS_SEQUENCE_STATES - 1);
        when->at_ns = seldom ? 1 : when->at_ns;
    } else if (one_in(scenario, 2)) {
        when->kind = MOMENT_CHUNK;
        when->state = (uint32_t)between(scenario, SS_CHUNK_ABSENT, SS_CHUNK_STATES - 1);
        options->emulate.copy_back |= when->state == SS_CHUNK_DROPPING;
    }
}

static void draw_slowness(struct scenario *scenario)
{
    const struct ss_controller_options *options = &scenario->options.controller;
    scenario->slow_count =
        one_in(scenario, 3) ? (uint32_t)between(scenario, 1, SCENARIO_SLOW_MAX) : 0;
    for (uint32_t i = 0; i < scenario->slow_count; i++) {
        struct scenario_slow *slow = &scenario->slow[i];
        slow->from_ns = one_in(scenario, 3) ? 1 : 1 + draw(scenario, scenario->end_ns + 1);
        slow->to_ns =
            one_in(scenario, 3) ? 0 : slow->from_ns + draw(scenario, scenario->end_ns / 2 + 1);
        slow->rank = one_in(scenario, 3)
                         ? NO_RANK
                         : (uint32_t)draw(scenario, (uint64_t)(options->tp * options->pp));
    }
}

static void draw_misfortunes(struct scenario *scenario)
{
    uint64_t end_ns = scenario->end_ns;
    draw_loss(scenario);
    draw_slowness(scenario);
    for (uint32_t i = 0; i < scenario->client_count; i++)
        if (one_in(scenario, 12))
            scenario->gone_ns[i] = 1 + draw(scenario, end_ns + 1000000);
    if (one_in(scenario, 4)) {
        scenario->cancel_in = (uint32_t)between(scenario, 1, 40);
        scenario->cancel_state =
            (uint32_t)between(scenario, SS_SEQUENCE_QUEUED, SS_SEQUENCE_RESTORING);
    }
    if (scenario->loss_when.kind == MOMENT_SEQUENCE &&
        scenario->loss_when.state == SS_SEQUENCE_CLOSING) {
        scenario->cancel_in = 1;
        scenario->cancel_state = one_in(scenario, 2) ? SS_SEQUENCE_SPILLING : SS_SEQUENCE_RESTORING;
    }
    if (one_in(scenario, 3))
        scenario->drain_ns = 1 + draw(scenario, 2 * end_ns + 1000000);
    if (one_in(scenario, 4))
        scenario->control_count = (uint32_t)between(scenario, 1, SCENARIO_CONTROLS_MAX);
    for (uint32_t i = 0; i < scenario->control_count; i++) {
        scenario->controls[i].at_ns = draw(scenario, end_ns + 1000000);
        scenario->controls[i].model =
            (uint16_t)draw(scenario, scenario->options.controller.model_count);
        scenario->controls[i].drop = one_in(scenario, 2);
    }
}

/* What a request may cost at most when it is the oldest: it waits for a batch of whatever was
 * loaded before it, its model comes in, may be set aside nowhere, and takes a step for each token
 * and each slice of its prompt; others take turns in between. */
static void bound_waits(struct scenario *scenario)
{
    const struct ss_controller_options *options = &scenario->options.controller;
    const struct ss_sim_costs *costs = &scenario->options.costs;
    double load_ns = 0, pool_bytes = 0;
    for (int stage = 0; stage < options->pp; stage++)
        if (options->pool_pages[stage] * 4096.0 > pool_bytes)
            pool_bytes = options->pool_pages[stage] * 4096.0;
    double slow = scenario->slow_count == 0 ? 1 : 10;
    /* Of the links' rates, with a load and a restore beside each other. */
    double share = costs->link_total_bytes_per_s > 0 ? 4.0 * options->tp * options->pp : 2;
    double pieces = pool_bytes / (double)costs->piece_bytes + 8 * SCENARIO_CHUNKS_MAX;
    load_ns = pool_bytes * 1e9 * slow * share *
                  (1 / costs->link_bytes_per_s + 2 / costs->to_host_bytes_per_s) +
              pieces * (double)costs->piece_latency_ns;
    double talk_ns =
        (double)(2 * (costs->entry_ns + costs->edge_ns) * (uint64_t)options->pp + costs->report_ns +
                 costs->report_jitter_ns + costs->late_ns + (options->emulate.poll ? 40000000 : 0));
    double step_ns =
        (double)options->pp * SCENARIO_CHUNKS_MAX *
            (double)(costs->chunk_ns + options->limits.step_tokens_max * costs->row_ns) +
        talk_ns + pool_bytes / 4096 * (double)costs->move_page_ns;
    /* A sequence's KV at most fills the pool; each copy is reported. */
    double copy_ns = pool_bytes * 1e9 * slow * share *
                     (2 / costs->link_bytes_per_s + 1 / costs->to_host_bytes_per_s);
    scenario->options.controller.silence_max_ns =
        (uint64_t)(2 * (load_ns + talk_ns + step_ns + copy_ns)) + 1000000;
    scenario->rates = (struct ss_wait_rates){
        .bytes_per_s = (uint64_t)(costs->link_bytes_per_s / slow / share),
        .step_ns = (uint64_t)step_ns,
        .talk_ns = (uint64_t)(talk_ns + pieces * (double)costs->piece_latency_ns),
        .room_ns = (uint64_t)copy_ns,
    };
    double steps = 2 * 96 * (double)(options->limits.batches_in_flight + options->model_count);
    scenario->wait_max_ns_per_request = (uint64_t)(8 * (load_ns + talk_ns) + steps * step_ns);
}

/* Half of all runs have all rules on, as servers do; the others any of them, or none. */
static void draw_policy(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    uint64_t rules = one_in(scenario, 2) ? UINT64_MAX : draw(scenario, 32);
    options->policy = one_in(scenario, 4) ? SS_POLICY_LRU : SS_POLICY_SWAP_AWARE;
    options->swap_aware = (struct ss_swap_aware){.price = rules & 1,
                                                 .partial = rules & 2,
                                                 .stay = rules & 4,
                                                 .prefetch = rules & 8,
                                                 .patience = rules & 16};
}

/* Bounds on waits and steps, which some runs have. */
static void draw_bounds(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    if (one_in(scenario, 2)) {
        options->limits.overdue_ns = 1000ull << between(scenario, 0, 16);
        if (one_in(scenario, 2))
            options->limits.overdue_batch_ns = options->limits.overdue_ns
                                               << between(scenario, 1, 8);
        options->limits.quantum_ns = 1000ull << between(scenario, 0, 16);
        options->limits.realtime_share = 0.1 * (double)between(scenario, 1, 9);
    }
    if (one_in(scenario, 2))
        options->limits.step_time_max_ns = 1000ull << between(scenario, 4, 12);
}

/* What the controller believes of costs: nothing, what is true, or something else. */
static void draw_beliefs(struct scenario *scenario)
{
    struct ss_controller_options *options = &scenario->options.controller;
    const struct ss_sim_costs *costs = &scenario->options.costs;
    double error = one_in(scenario, 2) ? 1 : (double)between(scenario, 1, 1000) / 100;
    bool known = one_in(scenario, 2);
    if (one_in(scenario, 2))
        options->link_bytes_per_s = (uint64_t)(costs->link_bytes_per_s * error);
    for (uint32_t i = 0; known && i < options->model_count; i++)
        for (int stage = 0; stage < options->pp; stage++) {
            double chunks = scenario->models[i].chunk_count[stage] * error;
            scenario->models[i].cost[stage] =
                (struct ss_step_cost){.fixed_ns = (uint64_t)((double)costs->chunk_ns * chunks),
                                      .row_ns = (double)costs->row_ns * chunks,
                                      .context_ns = one_in(scenario, 2) ? 10 : 0};
        }
}

void scenario_draw(uint64_t seed, struct scenario *out)
{
    static const uint32_t actions[] = {16, 17, 24, 64};
    *out = (struct scenario){.seed = seed};
    draw_group(out);
    draw_costs(out);
    draw_requests(out);
    draw_misfortunes(out);
    draw_policy(out);
    draw_bounds(out);
    draw_beliefs(out);
    out->options.seed = ss_random_u64(seed, UINT64_MAX - 1);
    out->options.actions_max = actions[draw(out, 4)];
    out->options.check = true;
    bound_waits(out);
}
