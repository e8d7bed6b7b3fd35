#include "engine/swapsim/run.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/sim/group.h"
#include "engine/swapsim/assignment.h"
#include "engine/swapsim/costs.h"
#include "engine/swapsim/live_requests.h"
#include "engine/workload/arrivals.h"

#define ACTIONS_MAX    64
#define LOOK_EVERY     4096 /* happenings between two looks at the wall clock */
#define PROGRESS_NS    (SS_NS_PER_S / 5)
#define ASSIGN_PURPOSE 0xa551 /* keeps the deal apart from the workload's draws */

struct group {
    struct run *run;
    struct ss_sim_queue queue;
    struct ss_sim_group *sim;
    struct ss_controller_model *models;
    struct ss_sim_model *costs;
};

struct run {
    const struct ss_run_options *options;
    struct ss_metrics *metrics;
    struct ss_run_totals *totals;
    struct ss_assignment assignment;
    struct ss_swapsim_costs costs;
    const char **names; /* of the models */
    struct ss_arrivals *arrivals;
    struct ss_live_requests requests;
    struct group *groups;
    enum ss_status status; /* of a callback */
    uint64_t now_ns;       /* virtual */
    uint64_t looked_ns, shown_ns;
};

static const struct ss_sim_request *plan_of(void *user, uint64_t handle)
{
    const struct group *group = user;
    return &ss_live_requests_find(&group->run->requests, handle)->plan;
}

#define TIME_BYTES 32

/* Seconds with nine digits; "" for 0 where that means never. */
static const char *time_text(uint64_t ns, bool or_never, char text[TIME_BYTES])
{
    text[0] = '\0';
    if (ns > 0 || !or_never)
        snprintf(text, TIME_BYTES, "%llu.%09llu", ns / SS_NS_PER_S, ns % SS_NS_PER_S);
    return text;
}

static const char *const class_names[SS_CLASSES] = {"realtime", "normal", "batch"};

static void write_request(const struct run *run, const struct ss_outcome *outcome)
{
    char arrival[TIME_BYTES], first[TIME_BYTES], end[TIME_BYTES];
    if (run->options->requests)
        fprintf(run->options->requests, "%s,%s,%u,%u,%s,%s,%s,%s\n",
                time_text(outcome->arrival_ns, false, arrival),
                run->options->catalog->models[outcome->model].config->name, outcome->prompt_tokens,
                outcome->output_tokens, class_names[outcome->class],
                time_text(outcome->first_ns, true, first), time_text(outcome->end_ns, false, end),
                ss_end_text(outcome->reason));
}

static void write_arrival(const struct run *run, const struct ss_arrival *arrival)
{
    char at[TIME_BYTES];
    if (run->options->arrivals)
        fprintf(run->options->arrivals, "%s,%s,%u,%u,%s\n", time_text(arrival->at_ns, false, at),
                run->options->catalog->models[arrival->model].config->name, arrival->prompt_tokens,
                arrival->output_tokens, class_names[arrival->class]);
}

static enum ss_status end_request(struct run *run, struct ss_live_request *request,
                                  const struct ss_action *action)
{
    request->outcome.end_ns = run->now_ns;
    request->outcome.reason = action->reason;
    request->outcome.refused = action->kind == SS_ACTION_REFUSE;
    request->outcome.cold = action->cold;
    enum ss_status status = ss_metrics_outcome(run->metrics, &request->outcome);
    if (!status && run->options->yardstick && ss_outcome_is_answer(&request->outcome))
        status = ss_yardstick_add(run->options->yardstick,
                                  run->assignment.group[request->outcome.model], &request->outcome);
    write_request(run, &request->outcome);
    ss_arrivals_answered(run->arrivals, request->process, run->now_ns, request->outcome.refused);
    ss_live_requests_end(&run->requests, request);
    return status;
}

static void note_token(struct run *run, struct ss_live_request *request)
{
    struct ss_outcome *outcome = &request->outcome;
    bool first = outcome->tokens++ == 0;
    uint64_t gap_ns = first ? 0 : run->now_ns - request->token_ns;
    char at[TIME_BYTES], gap[TIME_BYTES] = "";
    if (first) {
        outcome->first_ns = run->now_ns;
    } else {
        enum ss_status status = ss_metrics_gap(run->metrics, gap_ns);
        run->status = run->status ? run->status : status;
        time_text(gap_ns, false, gap);
    }
    request->token_ns = run->now_ns;
    if (run->options->tokens)
        fprintf(run->options->tokens, "%s,%s,%s\n", time_text(run->now_ns, false, at),
                run->options->catalog->models[outcome->model].config->name, gap);
}

static void act(void *user, const struct ss_action *action)
{
    struct run *run = ((struct group *)user)->run;
    struct ss_live_request *request;
    switch (action->kind) {
    case SS_ACTION_TOKEN:
        request = ss_live_requests_find(&run->requests, action->request);
        note_token(run, request);
        return;
    case SS_ACTION_END:
    case SS_ACTION_REFUSE: {
        request = ss_live_requests_find(&run->requests, action->request);
        enum ss_status status = end_request(run, request, action);
        run->status = run->status ? run->status : status;
        return;
    }
    default:
        return;
    }
}

static enum ss_status open_group(struct run *run, uint32_t index,
                                 const struct ss_controller_options *whole)
{
    const struct ss_catalog *catalog = run->options->catalog;
    struct group *group = &run->groups[index];
    struct ss_sim_options options = {.controller = *whole,
                                     .costs = run->costs.sim,
                                     .index = (uint16_t)index,
                                     .seed = ss_random_u64(run->options->seed, UINT64_MAX - index),
                                     .actions_max = ACTIONS_MAX,
                                     .check = run->options->check,
                                     .request = plan_of,
                                     .act = act,
                                     .user = group};
    group->run = run;
    uint32_t count = run->assignment.count[index];
    if (count == 0)
        return SS_OK;
    enum ss_status status =
        ss_alloc(&group->models, count, sizeof *group->models, "the models of a group");
    if (!status)
        status = ss_alloc(&group->costs, count, sizeof *group->costs, "the costs of a group");
    if (status)
        return status;
    for (uint32_t model = 0; model < (uint32_t)catalog->model_count; model++) {
        uint32_t local = run->assignment.local[model];
        if (run->assignment.group[model] != index)
            continue;
        ss_catalog_controller_model(catalog, (int)model, &group->models[local]);
        group->costs[local] = run->costs.models[model];
    }
    options.controller.models = group->models;
    options.controller.model_count = count;
    options.costs.models = group->costs;
    return ss_sim_group_create(&options, &group->queue, &group->sim);
}

static enum ss_status open_groups(struct run *run)
{
    const struct ss_catalog *catalog = run->options->catalog;
    struct ss_controller_options whole;
    struct ss_controller_model *models;
    enum ss_status status =
        ss_assignment_make((uint32_t)catalog->model_count, run->options->groups,
                           ss_random_u64(run->options->seed, ASSIGN_PURPOSE), &run->assignment);
    if (!status)
        status = ss_swapsim_costs_make(catalog, &run->costs);
    if (!status)
        status = ss_alloc(&run->groups, run->options->groups, sizeof *run->groups, "groups");
    if (status)
        return status;
    status = ss_alloc(&models, (size_t)catalog->model_count, sizeof *models, "controller models");
    if (status)
        return status;
    ss_catalog_controller_options(catalog, models, &whole);
    for (uint32_t i = 0; i < run->options->groups && !status; i++)
        status = open_group(run, i, &whole);
    ss_free(models);
    return status;
}

static enum ss_status open_arrivals(struct run *run)
{
    const struct ss_catalog *catalog = run->options->catalog;
    enum ss_status status =
        ss_alloc(&run->names, (size_t)catalog->model_count, sizeof *run->names, "models' names");
    if (status)
        return status;
    for (int i = 0; i < catalog->model_count; i++)
        run->names[i] = catalog->models[i].config->name;
    return ss_arrivals_create(run->options->workload, run->names, (uint32_t)catalog->model_count,
                              run->options->seed, &run->arrivals);
}

static enum ss_status arrive(struct run *run, const struct ss_arrival *arrival)
{
    struct group *group = &run->groups[run->assignment.group[arrival->model]];
    struct ss_live_request *request;
    enum ss_status status = ss_live_requests_add(&run->requests, &request);
    if (status)
        return status;
    run->now_ns = arrival->at_ns;
    request->plan.prompt = arrival->prompt_tokens;
    request->plan.tokens_max = arrival->output_tokens;
    request->process = arrival->process;
    request->outcome = (struct ss_outcome){.arrival_ns = run->now_ns,
                                           .model = arrival->model,
                                           .prompt_tokens = arrival->prompt_tokens,
                                           .output_tokens = arrival->output_tokens,
                                           .class = arrival->class};
    ss_metrics_arrival(run->metrics, arrival->model, run->now_ns);
    write_arrival(run, arrival);
    const struct ss_event event = {
        .kind = SS_EVENT_ARRIVED,
        .request = request->plan.handle,
        .model = (uint16_t)run->assignment.local[arrival->model],
        .class = (uint8_t)arrival->class,
        .prompt_tokens = arrival->prompt_tokens,
        .min_tokens = arrival->output_tokens, /* nothing but its length ends it */
        .max_tokens = arrival->output_tokens,
        .deadline_ns = arrival->deadline_ns ? run->now_ns + arrival->deadline_ns : 0};
    ss_sim_group_feed(group->sim, run->now_ns, &event, 1);
    run->totals->feeds++;
    return run->status;
}

/* The group whose next happening is the earliest, and that; null: nothing will happen. */
static struct group *earliest(struct run *run, uint64_t *at_ns)
{
    struct group *found = 0;
    for (uint32_t i = 0; i < run->options->groups; i++) {
        const struct ss_sim_event *first = ss_sim_queue_first(&run->groups[i].queue);
        if (first && (!found || first->at_ns < *at_ns)) {
            found = &run->groups[i];
            *at_ns = first->at_ns;
        }
    }
    return found;
}

static void show(struct run *run)
{
    uint64_t wall_ns = ss_now_ns();
    if (wall_ns - run->shown_ns < PROGRESS_NS)
        return;
    run->shown_ns = wall_ns;
    double end_s = (double)run->options->workload->duration_ns / 1e9;
    fprintf(stderr, "\r%.1f", (double)run->now_ns / 1e9);
    if (end_s > 0)
        fprintf(stderr, " of %.0f", end_s);
    fprintf(stderr, " s simulated, %" PRIu64 " requests, %" PRIu64 " waiting or running   ",
            run->metrics->arrivals, run->requests.live);
    fflush(stderr);
}

/* The next thing in time: arrivals before what happens in the groups, these by number, where times
 * are equal. OVER: nothing is left. */
static enum ss_status turn(struct run *run, bool *over)
{
    struct ss_sim_event event;
    struct ss_arrival arrival;
    uint64_t arrival_ns, group_ns;
    struct group *group = earliest(run, &group_ns);
    bool arrives = ss_arrivals_peek(run->arrivals, &arrival_ns);
    *over = !group && !arrives;
    if (*over)
        return SS_OK;
    if (arrives && (!group || arrival_ns <= group_ns)) {
        enum ss_status status = ss_arrivals_next(run->arrivals, &arrival);
        return status ? status : arrive(run, &arrival);
    }
    if (!ss_sim_queue_take(&group->queue, &event))
        return SS_OK;
    run->now_ns = event.at_ns;
    ss_sim_group_happen(group->sim, &event);
    run->totals->feeds++;
    if (ss_sim_group_failure(group->sim))
        return ss_fail(SS_INTERNAL, "group %d: %s", (int)(group - run->groups),
                       ss_sim_group_failure(group->sim));
    return run->status;
}

static void add_totals(struct run *run)
{
    struct ss_run_totals *totals = run->totals;
    for (uint32_t i = 0; i < run->options->groups; i++) {
        struct ss_sim_group *sim = run->groups[i].sim;
        struct ss_controller_view view;
        if (!sim)
            continue;
        ss_controller_view(ss_sim_group_controller(sim), &view);
        totals->view.accepted += view.accepted;
        totals->view.answered += view.answered;
        totals->view.refused += view.refused;
        totals->view.loads += view.loads;
        totals->view.drops += view.drops;
        totals->view.batches += view.batches;
        totals->view.recomputed += view.recomputed;
        totals->view.spilled += view.spilled;
        totals->view.load_bytes += view.load_bytes;
        totals->view.guesses += view.guesses;
        totals->view.guess_bytes += view.guess_bytes;
        totals->view.guess_hit_bytes += view.guess_hit_bytes;
        totals->view.guess_wasted_bytes += view.guess_wasted_bytes;
        totals->decisions += ss_sim_group_decisions(sim);
        for (int rank = 0; rank < run->options->catalog->tp * run->options->catalog->pp; rank++) {
            struct ss_sim_rank_times times;
            ss_sim_group_times(sim, (uint32_t)rank, &times);
            totals->load_ns += times.load_ns;
            totals->hidden_ns += times.hidden_ns;
            totals->compute_ns += times.compute_ns;
        }
        totals->loaded_bytes += ss_sim_group_loaded_bytes(sim);
        totals->copied_back_bytes += ss_sim_group_copied_back_bytes(sim);
    }
    totals->end_ns = run->now_ns;
    totals->live_max = run->requests.live_max;
}

static void close_run(struct run *run)
{
    for (uint32_t i = 0; run->groups && i < run->options->groups; i++) {
        if (run->groups[i].sim)
            ss_sim_group_destroy(run->groups[i].sim);
        ss_sim_queue_close(&run->groups[i].queue);
        ss_free(run->groups[i].models);
        ss_free(run->groups[i].costs);
    }
    ss_free(run->groups);
    ss_arrivals_destroy(run->arrivals);
    ss_free(run->names);
    ss_live_requests_close(&run->requests);
    ss_assignment_release(&run->assignment);
    ss_swapsim_costs_release(&run->costs);
}

/* Requests that batches in flight may name: their records are not used for others. */
static uint32_t in_flight(const struct ss_run_options *options)
{
    const struct ss_catalog *catalog = options->catalog;
    uint32_t batch = 0;
    for (int i = 0; i < catalog->model_count; i++)
        if (catalog->models[i].batch_max > batch)
            batch = catalog->models[i].batch_max;
    return options->groups * ss_catalog_batches_in_flight(catalog) * batch;
}

enum ss_status ss_run(const struct ss_run_options *options, struct ss_metrics *metrics,
                      struct ss_run_totals *totals)
{
    struct run run = {.options = options, .metrics = metrics, .totals = totals};
    uint64_t begun_ns = ss_now_ns(), count = 0;
    bool over = false;
    *totals = (struct ss_run_totals){0};
    ss_live_requests_open(in_flight(options), &run.requests);
    enum ss_status status = open_groups(&run);
    if (!status)
        status = open_arrivals(&run);
    while (!status && !over) {
        status = turn(&run, &over);
        if (options->progress && ++count % LOOK_EVERY == 0)
            show(&run);
    }
    if (options->progress)
        fprintf(stderr, "\r%70s\r", "");
    if (!status && run.requests.live > 0)
        status =
            ss_fail(SS_INTERNAL, "%" PRIu64 " requests were never answered", run.requests.live);
    add_totals(&run);
    totals->wall_ns = ss_now_ns() - begun_ns;
    close_run(&run);
    return status;
}
