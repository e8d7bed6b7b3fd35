/* The offline bound against the best schedule of tiny machines, found by trying all. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/base/random.h"
#include "engine/sim/bound.h"
#include "engine/sim/bound_loads.h"

#define MODELS      3
#define CHUNKS      2 /* of a model */
#define ALL         (MODELS * CHUNKS)
#define REQUESTS    5
#define LOAD_TICKS  2 /* of a chunk */
#define NOBODY      15
#define STATES_MAX  (1u << 18)
#define TICK_S      1e-3
#define CHUNK_BYTES 1000

/* One rank: a chunk is on the link at most, a batch in computation; it computes its model's chunks
 * one tick each, in order, and waits where one is not in. */
struct state {
    uint8_t in;     /* chunks in the pool */
    uint8_t coming; /* the chunk on the link, in the pool too; NOBODY: none */
    uint8_t ticks;  /* it still takes */
    uint8_t model;  /* of the batch; NOBODY: none */
    uint8_t chunk;  /* the batch computes next */
    uint8_t batch;  /* its requests */
    uint8_t served; /* requests that are over */
    uint8_t unused;
    uint32_t cost; /* ticks waited by all so far */
};

struct instance {
    uint32_t pool; /* chunks */
    uint32_t arrival[REQUESTS], model[REQUESTS];
};

static struct state *now_states, *next_states;
static uint32_t *places; /* of next_states, by hash */
static uint32_t next_count;

static uint64_t key_of(const struct state *state)
{
    return (uint64_t)state->in | (uint64_t)state->coming << 8 | (uint64_t)state->ticks << 16 |
           (uint64_t)state->model << 24 | (uint64_t)state->chunk << 32 |
           (uint64_t)state->batch << 40 | (uint64_t)state->served << 48;
}

static void reach(const struct state *state)
{
    uint64_t key = key_of(state);
    uint32_t at = (uint32_t)ss_random_u64(key, 0) & (2 * STATES_MAX - 1);
    while (places[at] != 0 && key_of(&next_states[places[at] - 1]) != key)
        at = (at + 1) & (2 * STATES_MAX - 1);
    if (places[at] == 0) {
        cr_assert_lt(next_count, STATES_MAX);
        next_states[next_count] = *state;
        places[at] = ++next_count;
    } else if (next_states[places[at] - 1].cost > state->cost) {
        next_states[places[at] - 1].cost = state->cost;
    }
}

static uint8_t arrived_by(const struct instance *instance, uint32_t tick)
{
    uint8_t requests = 0;
    for (int i = 0; i < REQUESTS; i++)
        requests |= (uint8_t)((instance->arrival[i] <= tick) << i);
    return requests;
}

/* A tick passes: the link's chunk comes nearer, the batch computes if its chunk is in. */
static void pass(const struct instance *instance, const struct state *from, uint32_t tick)
{
    struct state state = *from;
    uint8_t waiting = arrived_by(instance, tick) & (uint8_t)~state.served;
    for (int i = 0; i < REQUESTS; i++)
        state.cost += waiting >> i & 1;
    if (state.model != NOBODY && state.in >> (state.model * CHUNKS + state.chunk) & 1) {
        if (++state.chunk == CHUNKS) {
            state.served |= state.batch;
            state.model = NOBODY;
            state.batch = state.chunk = 0;
        }
    }
    if (state.coming != NOBODY && --state.ticks == 0) {
        state.in |= (uint8_t)(1u << state.coming);
        state.coming = NOBODY;
    }
    reach(&state);
}

/* Every choice of what the link brings next, and what leaves for it. */
static void try_loads(const struct instance *instance, const struct state *state, uint32_t tick)
{
    pass(instance, state, tick);
    for (uint8_t chunk = 0; chunk < ALL && state->coming == NOBODY; chunk++) {
        if (state->in >> chunk & 1)
            continue;
        struct state with = *state;
        with.coming = chunk;
        with.ticks = LOAD_TICKS;
        if ((uint32_t)__builtin_popcount(state->in) < instance->pool)
            pass(instance, &with, tick);
        for (uint8_t leaves = 0; leaves < ALL; leaves++) {
            bool used = state->model != NOBODY && state->model * CHUNKS + state->chunk == leaves;
            if (!(state->in >> leaves & 1) || used)
                continue;
            with.in = state->in & (uint8_t) ~(1u << leaves);
            pass(instance, &with, tick);
        }
    }
}

/* Every choice of a batch: all that wait for a model, as a larger batch takes no longer. */
static void try_all(const struct instance *instance, const struct state *state, uint32_t tick)
{
    try_loads(instance, state, tick);
    if (state->model != NOBODY)
        return;
    uint8_t waiting = arrived_by(instance, tick) & (uint8_t)~state->served;
    for (uint8_t model = 0; model < MODELS; model++) {
        struct state with = *state;
        for (int i = 0; i < REQUESTS; i++)
            with.batch |= (uint8_t)((instance->model[i] == model) << i) & waiting;
        with.model = model;
        if (with.batch != 0)
            try_loads(instance, &with, tick);
    }
}

/* The least sum of latencies, in ticks. */
static uint32_t best_of(const struct instance *instance)
{
    const uint8_t all = (1u << REQUESTS) - 1;
    uint32_t best = UINT32_MAX, count = 1;
    now_states[0] = (struct state){.coming = NOBODY, .model = NOBODY};
    for (uint32_t tick = 0; count > 0; tick++) {
        next_count = 0;
        for (uint32_t i = 0; i < 2 * STATES_MAX; i++)
            places[i] = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (now_states[i].served == all)
                best = now_states[i].cost < best ? now_states[i].cost : best;
            else if (now_states[i].cost < best)
                try_all(instance, &now_states[i], tick);
        }
        struct state *swap = now_states;
        now_states = next_states;
        next_states = swap;
        count = next_count;
    }
    return best;
}

static uint64_t chunk_bytes[CHUNKS] = {CHUNK_BYTES, CHUNK_BYTES};
static struct ss_controller_model models[MODELS];
static struct ss_controller_options controller;
static struct ss_bound_machine machine;

static void describe(uint32_t pool)
{
    for (int i = 0; i < MODELS; i++)
        models[i] = (struct ss_controller_model){
            .chunk_count = {CHUNKS},
            .chunk_bytes = {chunk_bytes},
            .batch_max = REQUESTS,
            .cost = {{.weights_ns = (uint64_t)(CHUNKS * TICK_S * 1e9)}},
        };
    controller = (struct ss_controller_options){
        .tp = 1,
        .pp = 1,
        .page_bytes = CHUNK_BYTES,
        .pool_pages = {pool},
        .model_count = MODELS,
        .models = models,
        .limits = {.step_tokens_max = 100},
    };
    machine = (struct ss_bound_machine){.controller = &controller,
                                        .link_bytes_per_s = CHUNK_BYTES / (LOAD_TICKS * TICK_S)};
}

static struct instance draw(uint64_t seed)
{
    struct instance instance = {.pool = 2 + (uint32_t)(ss_random_u64(seed, 0) % 3)};
    uint32_t gap = 1 + (uint32_t)(ss_random_u64(seed, 1) % 6), tick = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        tick += (uint32_t)(ss_random_u64(seed, 2 + i) % gap);
        instance.arrival[i] = tick;
        instance.model[i] = (uint32_t)(ss_random_u64(seed, 20 + i) % MODELS);
    }
    return instance;
}

static struct ss_bound bound_of(const struct instance *instance)
{
    struct ss_bound_request requests[REQUESTS];
    struct ss_bound bound;
    describe(instance->pool);
    for (int i = 0; i < REQUESTS; i++)
        requests[i] = (struct ss_bound_request){.arrival_s = instance->arrival[i] * TICK_S,
                                                .model = instance->model[i],
                                                .prompt_tokens = 1,
                                                .output_tokens = 1};
    cr_assert_eq(ss_bound_of(&machine, requests, REQUESTS, 1e6, &bound), SS_OK, "%s",
                 ss_status_message());
    return bound;
}

Test(sim_bound, is_under_the_best_of_all_schedules_and_near_it)
{
    now_states = calloc(STATES_MAX, sizeof *now_states);
    next_states = calloc(STATES_MAX, sizeof *next_states);
    places = calloc(2 * STATES_MAX, sizeof *places);
    double of_best = 0;
    int count = 150;
    for (uint64_t seed = 1; seed <= (uint64_t)count; seed++) {
        struct instance instance = draw(seed);
        double bound = bound_of(&instance).mean_s;
        double best = best_of(&instance) * TICK_S / REQUESTS;
        cr_expect_leq(bound, best * (1 + 1e-9), "seed %d: bound %g, best %g", (int)seed, bound,
                      best);
        of_best += bound / best / count;
    }
    cr_expect_gt(of_best, 0.5, "the mean bound is %.2f of the best", of_best);
    cr_log_info("the mean bound is %.3f of the best", of_best);
    free(now_states);
    free(next_states);
    free(places);
}

static struct ss_bound bound_of_all(const struct ss_bound_request *requests, size_t count)
{
    struct ss_bound bound;
    cr_assert_eq(ss_bound_of(&machine, requests, count, 1e7, &bound), SS_OK, "%s",
                 ss_status_message());
    return bound;
}

/* Nothing is known before time 0: the first loads go one after the other, whoever orders them. */
Test(sim_bound, first_loads_share_the_link)
{
    describe(ALL);
    struct ss_bound_request requests[MODELS];
    for (uint32_t i = 0; i < MODELS; i++)
        requests[i] = (struct ss_bound_request){.model = i, .prompt_tokens = 1, .output_tokens = 1};
    double load_s = ss_bound_load_s(&machine, 0);
    cr_assert_float_eq(load_s, CHUNKS * LOAD_TICKS * TICK_S, 1e-12);
    double best = load_s * (1 + 2 + 3) / 3.0; /* the last chunk's computation is let go */
    double bound = bound_of_all(requests, MODELS).mean_s;
    cr_expect_leq(bound, best * (1 + 1e-9));
    cr_expect_gt(bound, 0.85 * best, "%g of %g: cells of time are rounded", bound, best);
}

/* What is in the pool waits for nothing, however often it is used. */
Test(sim_bound, what_fits_waits_once)
{
    describe(ALL);
    struct ss_bound_request requests[300];
    for (uint32_t i = 0; i < 300; i++)
        requests[i] = (struct ss_bound_request){
            .arrival_s = 0.02 * i, .model = i % MODELS, .prompt_tokens = 1, .output_tokens = 1};
    struct ss_bound bound = bound_of_all(requests, 300);
    cr_expect_lt(bound.loads_mean_s * 300, MODELS * ss_bound_load_s(&machine, 0));
    cr_expect_float_eq(bound.warm_mean_s, CHUNKS * TICK_S, 1e-12);
}

/* The group's links together may bring less than each could alone. */
Test(sim_bound, the_hosts_memory_counts)
{
    describe(ALL);
    controller.tp = 4;
    struct ss_bound_request request = {.prompt_tokens = 1, .output_tokens = 1};
    double alone = bound_of_all(&request, 1).mean_s;
    machine.total_bytes_per_s = 2 * machine.link_bytes_per_s;
    double together = bound_of_all(&request, 1).mean_s;
    cr_expect_float_eq(ss_bound_load_s(&machine, 0), 2 * CHUNKS * LOAD_TICKS * TICK_S, 1e-12);
    cr_expect_gt(together, 1.8 * alone);
    machine.piece_bytes = CHUNK_BYTES / 4; /* a piece's latency counts too */
    machine.piece_s = TICK_S;
    cr_expect_float_eq(ss_bound_load_s(&machine, 0), CHUNKS * (LOAD_TICKS + 4) * TICK_S, 1e-12);
}

/* A stage that has more to do than time makes requests wait, however they are batched. */
Test(sim_bound, a_stage_computes_for_one_batch_at_a_time)
{
    describe(ALL);
    for (int i = 0; i < MODELS; i++)
        models[i].batch_max = 2;
    struct ss_bound_request requests[100];
    for (uint32_t i = 0; i < 100; i++)
        requests[i] = (struct ss_bound_request){.model = 0, .prompt_tokens = 1, .output_tokens = 1};
    /* 50 steps of two, one after the other: the mean ends after 25.5 of them; by halves of steps
     * each, after 25.25. */
    double step_s = CHUNKS * TICK_S;
    cr_expect_float_eq(bound_of_all(requests, 100).mean_s, 25.25 * step_s, 1e-9);
}

/* A long answer takes its steps one by one; a long prompt goes through the stages in slices. */
Test(sim_bound, steps_follow_each_other)
{
    describe(ALL);
    machine.hop_s = TICK_S;
    struct ss_bound_request alone = {.prompt_tokens = 1, .output_tokens = 11};
    cr_expect_float_eq(ss_bound_warm_s(&machine, &alone), 11 * CHUNKS * TICK_S, 1e-9,
                       "one stage hands nothing on");
    controller.pp = 2;
    for (int i = 0; i < MODELS; i++) {
        models[i].chunk_count[1] = CHUNKS;
        models[i].chunk_bytes[1] = chunk_bytes;
        models[i].cost[1] = models[i].cost[0];
        models[i].cost[0].row_ns = models[i].cost[1].row_ns = TICK_S * 1e9;
    }
    controller.pool_pages[1] = ALL;
    struct ss_bound_request request = {.prompt_tokens = 1, .output_tokens = 11};
    cr_expect_float_eq(ss_bound_warm_s(&machine, &request), (5 + 10 * 6) * TICK_S, 1e-9);
    request = (struct ss_bound_request){.prompt_tokens = 40, .output_tokens = 1};
    cr_expect_float_eq(ss_bound_warm_s(&machine, &request), (40 + 2 + 1) * TICK_S, 1e-9);
}
