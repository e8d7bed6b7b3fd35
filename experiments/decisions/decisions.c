/* How long the controller takes to decide, against simulated ranks.
 *
 *     decisions [--steps N | --only POLICY]
 *
 * Models of OPT-13B's shape on ranks like those of 4x H200, (2,2), prompts of 16 tokens, answers of
 * one. IDLE: ten models are asked, all others never; the number of models grows. BUSY: a thousand
 * models of one controller are asked, so often that hundreds wait at any time. A JSON object per
 * run, on stdout. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/sim/group.h"

#define CHUNKS      21
#define PAGE_BYTES  (2u << 20)
#define CHUNK_PAGES 150
#define POOL_PAGES  61440
#define MODELS_MAX  60000 /* of one controller; more are spread over several */
#define RUNS        3
#define LIVE_MAX    100000
#define BUCKETS     4096 /* of the histogram: 1/64 of a power of two each */

struct load_shape {
    const char *name, *policy;
    uint32_t models, groups, asked; /* asked: models that requests go to */
    double requests_per_s;
    uint64_t decisions; /* after as many to warm up */
    bool skewed;        /* requests fall with the square root of the model's rank */
};

struct bench {
    struct ss_sim_request plans[LIVE_MAX]; /* by handle */
    uint64_t histogram[BUCKETS];
    uint64_t decisions, took_ns, max_ns, ended;
    uint64_t clock_ns;
    bool warm;
};

static struct bench bench;

/* Exact below 64 ns; above, 64 buckets for each power of two. */
static uint32_t bucket_of(uint64_t ns)
{
    if (ns < 64)
        return (uint32_t)ns;
    int power = 63 - __builtin_clzll(ns);
    return (uint32_t)((power - 5) * 64 + (int)((ns >> (power - 6)) & 63));
}

static uint64_t ns_of(uint32_t bucket)
{
    if (bucket < 64)
        return bucket;
    return (uint64_t)(64 + bucket % 64) << (bucket / 64 - 1);
}

/* Of this thread alone: what runs beside it does not count. */
static uint64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * SS_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* What looking at the clock costs, at least. */
static uint64_t clock_cost_ns(void)
{
    uint64_t least_ns = UINT64_MAX;
    for (int i = 0; i < 10000; i++) {
        uint64_t begun_ns = thread_ns(), took_ns = thread_ns() - begun_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    return least_ns;
}

static void timed(void *user, uint64_t took_ns)
{
    (void)user;
    took_ns -= took_ns < bench.clock_ns ? took_ns : bench.clock_ns;
    if (!bench.warm)
        return;
    bench.decisions++;
    bench.took_ns += took_ns;
    bench.histogram[bucket_of(took_ns)]++;
    bench.max_ns = took_ns > bench.max_ns ? took_ns : bench.max_ns;
}

static uint64_t quantile_ns(double share)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += bench.histogram[i];
        if ((double)seen >= share * (double)bench.decisions)
            return ns_of(i);
    }
    return bench.max_ns;
}

static const struct ss_sim_request *plan_of(void *user, uint64_t handle)
{
    (void)user;
    return &bench.plans[handle % LIVE_MAX];
}

static void act(void *user, const struct ss_action *action)
{
    (void)user;
    bench.ended += action->kind == SS_ACTION_END || action->kind == SS_ACTION_REFUSE;
}

static enum ss_status make_models(const struct load_shape *shape, struct ss_controller_model **out)
{
    static uint32_t pages[CHUNKS];
    static uint64_t bytes[CHUNKS];
    uint32_t count = shape->models / shape->groups;
    struct ss_controller_model *models;
    enum ss_status status = ss_alloc(&models, count, sizeof *models, "models");
    if (status)
        return status;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        pages[i] = CHUNK_PAGES;
        bytes[i] = (uint64_t)CHUNK_PAGES * PAGE_BYTES;
    }
    for (uint32_t i = 0; i < count; i++) {
        models[i] =
            (struct ss_controller_model){.name = "model", .context_max = 2048, .batch_max = 8};
        for (int stage = 0; stage < 2; stage++) {
            models[i].chunk_count[stage] = CHUNKS;
            models[i].chunk_pages[stage] = pages;
            models[i].chunk_bytes[stage] = bytes;
            models[i].kv_block_pages[stage] = 2;
            models[i].cost[stage] = (struct ss_step_cost){
                .fixed_ns = 2000000, .weights_ns = 1500000, .row_ns = 10000, .context_ns = 40};
        }
    }
    *out = models;
    return SS_OK;
}

static struct ss_sim_options options_of(const struct load_shape *shape,
                                        const struct ss_controller_model *models)
{
    bool aware = strcmp(shape->policy, "swap_aware") == 0;
    return (struct ss_sim_options){
        .controller = {.tp = 2,
                       .pp = 2,
                       .page_bytes = PAGE_BYTES,
                       .pool_pages = {POOL_PAGES, POOL_PAGES},
                       .block_tokens = 16,
                       .model_count = shape->models / shape->groups,
                       .models = models,
                       .limits = {.requests_max = 20000,
                                  .slots_max = 256,
                                  .step_tokens_max = 4096,
                                  .batches_in_flight = 4,
                                  .loads_in_flight = 2},
                       .policy = aware ? SS_POLICY_SWAP_AWARE : SS_POLICY_LRU,
                       .swap_aware = {true, true, true, true, true},
                       .stall_max_ns = 10 * SS_NS_PER_MS,
                       .silence_max_ns = 60 * SS_NS_PER_S,
                       .link_bytes_per_s = 48000000000},
        .costs = {.link_bytes_per_s = 55.4e9,
                  .link_total_bytes_per_s = 199e9,
                  .to_host_bytes_per_s = 54.9e9,
                  .to_host_total_bytes_per_s = 161e9,
                  .piece_bytes = 16 << 20,
                  .piece_latency_ns = 4600,
                  .chunk_ns = 170000,
                  .row_ns = 500,
                  .move_page_ns = 1000,
                  .entry_ns = 2000,
                  .edge_ns = 6000,
                  .report_ns = 10000},
        .seed = 1,
        .actions_max = 64,
        .request = plan_of,
        .act = act,
        .clock = thread_ns,
        .timed = timed};
}

static uint32_t model_of(const struct load_shape *shape, uint64_t request)
{
    double part = ss_random_unit(7, request);
    return (uint32_t)((shape->skewed ? part * part : part) * shape->asked);
}

/* Requests come at random until enough was decided; then what is under way ends. */
static enum ss_status drive(const struct load_shape *shape, struct ss_sim_group **groups,
                            struct ss_sim_queue *queue)
{
    double at_ns = 0;
    struct ss_sim_event event;
    for (uint64_t request = 0; bench.decisions < shape->decisions; request++) {
        at_ns += -log(1 - ss_random_unit(3, request)) * 1e9 / shape->requests_per_s;
        while (queue->count > 0 && ss_sim_queue_first(queue)->at_ns <= (uint64_t)at_ns &&
               ss_sim_queue_take(queue, &event)) {
            ss_sim_group_happen(groups[event.group], &event);
            if (ss_sim_group_failure(groups[event.group]))
                return ss_fail(SS_INTERNAL, "%s", ss_sim_group_failure(groups[event.group]));
        }
        uint32_t model = model_of(shape, request), group = model % shape->groups;
        uint64_t handle = 1 + request;
        bench.warm = request >= 5 * (uint64_t)shape->asked;
        bench.plans[handle % LIVE_MAX] =
            (struct ss_sim_request){.handle = handle, .prompt = 16, .tokens_max = 1};
        ss_sim_group_feed(groups[group], (uint64_t)at_ns,
                          &(struct ss_event){.kind = SS_EVENT_ARRIVED,
                                             .class = SS_CLASS_NORMAL,
                                             .request = handle,
                                             .model = (uint16_t)(model / shape->groups),
                                             .prompt_tokens = 16,
                                             .max_tokens = 1},
                          1);
    }
    return SS_OK;
}

struct result {
    struct ss_controller_view view; /* of the first controller, at the end */
    uint64_t decisions, took_ns, p50_ns, p99_ns, p999_ns, max_ns;
};

/* Decides as often as the shape says, once. */
static enum ss_status run_once(const struct load_shape *shape, struct result *out)
{
    struct ss_sim_group *groups[64] = {0};
    struct ss_sim_queue queue = {0};
    struct ss_controller_model *models = 0;
    memset(&bench, 0, sizeof bench);
    bench.clock_ns = clock_cost_ns();
    enum ss_status status = make_models(shape, &models);
    struct ss_sim_options options = options_of(shape, models);
    for (uint32_t i = 0; i < shape->groups && !status; i++) {
        options.index = (uint16_t)i;
        status = ss_sim_group_create(&options, &queue, &groups[i]);
    }
    if (!status)
        status = drive(shape, groups, &queue);
    if (!status) {
        ss_controller_view(ss_sim_group_controller(groups[0]), &out->view);
        out->decisions = bench.decisions;
        out->took_ns = bench.took_ns;
        out->p50_ns = quantile_ns(0.5);
        out->p99_ns = quantile_ns(0.99);
        out->p999_ns = quantile_ns(0.999);
        out->max_ns = bench.max_ns;
    }
    for (uint32_t i = 0; i < shape->groups; i++)
        ss_sim_group_destroy(groups[i]);
    ss_sim_queue_close(&queue);
    ss_free(models);
    return status;
}

static int by_time(const void *left, const void *right)
{
    const struct result *a = left, *b = right;
    return a->took_ns < b->took_ns ? -1 : a->took_ns > b->took_ns;
}

/* The median of RUNS by the time taken: others on the machine take from its caches and cores. */
static enum ss_status run(const struct load_shape *shape)
{
    struct result results[RUNS];
    enum ss_status status = SS_OK;
    for (int i = 0; i < RUNS && !status; i++)
        status = run_once(shape, &results[i]);
    if (status)
        return status;
    qsort(results, RUNS, sizeof results[0], by_time);
    const struct result *median = &results[RUNS / 2];
    printf(
        "{\"run\": \"%s\", \"policy\": \"%s\", \"models\": %" PRIu32 ", \"controllers\": %" PRIu32
        ", \"asked\": %" PRIu32 ", \"requests_per_s\": %g, \"decisions\": %" PRIu64
        ", \"decisions_per_s\": %.0f, \"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
        "\"p999_us\": %.2f, \"max_us\": %.1f, \"loads\": %" PRIu64 ", \"steps\": %" PRIu64
        ", \"waiting_at_end\": %" PRIu32 "}\n",
        shape->name, shape->policy, shape->models, shape->groups, shape->asked,
        shape->requests_per_s, median->decisions,
        (double)median->decisions * 1e9 / (double)median->took_ns,
        (double)median->took_ns / 1e3 / (double)median->decisions, (double)median->p50_ns / 1e3,
        (double)median->p99_ns / 1e3, (double)median->p999_ns / 1e3, (double)median->max_ns / 1e3,
        median->view.loads, median->view.batches, median->view.queued + median->view.running);
    fflush(stdout);
    return SS_OK;
}

int main(int argc, char **argv)
{
    static const uint32_t counts[] = {10, 100, 1000, 10000, 60000, 100000};
    static const char *const policies[] = {"lru", "swap_aware"};
    static const double rates[] = {15, 30, 60};
    uint64_t decisions = 30000;
    const char *only = "";
    if (argc == 3 && strcmp(argv[1], "--steps") == 0) {
        decisions = strtoull(argv[2], 0, 10);
    } else if (argc == 3 && strcmp(argv[1], "--only") == 0) {
        only = argv[2];
        decisions = 20000;
    } else if (argc > 1) {
        fprintf(stderr, "usage: decisions [--steps N | --only POLICY]\n");
        return 2;
    }
    enum ss_status status = SS_OK;
    for (int policy = 0; policy < 2; policy++) {
        if (*only && strcmp(only, policies[policy]) != 0)
            continue;
        for (size_t i = 0; i < sizeof counts / sizeof counts[0] && !status && !*only; i++)
            status = run(&(struct load_shape){.name = "idle",
                                              .policy = policies[policy],
                                              .models = counts[i],
                                              .groups = counts[i] > MODELS_MAX ? 2 : 1,
                                              .asked = 10,
                                              .requests_per_s = 100,
                                              .decisions = decisions});
        for (size_t i = 0; i < sizeof rates / sizeof rates[0] && !status; i++)
            status = run(&(struct load_shape){.name = "busy",
                                              .policy = policies[policy],
                                              .models = 1000,
                                              .groups = 1,
                                              .asked = 1000,
                                              .requests_per_s = rates[i],
                                              .decisions = decisions,
                                              .skewed = true});
    }
    if (status)
        fprintf(stderr, "decisions: %s\n", ss_status_message());
    return status ? 1 : 0;
}
