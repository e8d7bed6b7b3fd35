#include "tests/unit/sim_bench.h"

static const struct ss_sim_request *plan_of(void *user, uint64_t handle)
{
    struct bench *bench = user;
    bench->plan =
        (struct ss_sim_request){.handle = handle, .prompt = 4, .tokens_max = bench->tokens_max};
    return &bench->plan;
}

static void act(void *user, const struct ss_action *action)
{
    (void)user;
    (void)action;
}

static bool see(void *user, const struct ss_sim_event *event)
{
    struct bench *bench = user;
    const struct ss_report *report = event->subject;
    SS_ASSERT(bench->seen_count < BENCH_SEEN);
    bench->seen[bench->seen_count++] = (struct bench_report){.at_ns = event->at_ns,
                                                             .number = report->number,
                                                             .kind = report->kind,
                                                             .rank = report->rank,
                                                             .count = report->count};
    return true;
}

void bench_set(struct bench *bench, int tp, int pp)
{
    *bench = (struct bench){.tokens_max = 2};
    for (int i = 0; i < BENCH_CHUNKS; i++) {
        bench->pages[i] = BENCH_PAGES;
        bench->bytes[i] = (uint64_t)BENCH_PAGES * BENCH_PAGE;
    }
    for (int i = 0; i < BENCH_MODELS; i++) {
        struct ss_controller_model *model = &bench->models[i];
        *model = (struct ss_controller_model){.name = "model", .context_max = 64, .batch_max = 8};
        for (int stage = 0; stage < pp; stage++) {
            model->chunk_count[stage] = BENCH_CHUNKS;
            model->chunk_pages[stage] = bench->pages;
            model->chunk_bytes[stage] = bench->bytes;
            model->kv_block_pages[stage] = 1;
            bench->costs[i].chunks[stage] = bench->chunks;
        }
    }
    struct ss_controller_options *controller = &bench->options.controller;
    *controller = (struct ss_controller_options){.tp = tp,
                                                 .pp = pp,
                                                 .page_bytes = BENCH_PAGE,
                                                 .block_tokens = 16,
                                                 .model_count = BENCH_MODELS,
                                                 .models = bench->models,
                                                 .limits = {.requests_max = 100,
                                                            .slots_max = 16,
                                                            .step_tokens_max = 64,
                                                            .batches_in_flight = 4,
                                                            .loads_in_flight = 4}};
    for (int stage = 0; stage < pp; stage++)
        controller->pool_pages[stage] = BENCH_POOL;
    bench->options.costs = (struct ss_sim_costs){.link_bytes_per_s = 50e9,
                                                 .link_total_bytes_per_s = 100e9,
                                                 .to_host_bytes_per_s = 50e9,
                                                 .to_host_total_bytes_per_s = 100e9,
                                                 .piece_bytes = 16 * BENCH_PAGE,
                                                 .models = bench->costs};
    bench->options.actions_max = 64;
    bench->options.check = true;
    bench->options.request = plan_of;
    bench->options.act = act;
    bench->options.lets = see;
    bench->options.user = bench;
}

void bench_open(struct bench *bench)
{
    enum ss_status status = ss_sim_group_create(&bench->options, &bench->queue, &bench->group);
    SS_ASSERT(status == SS_OK);
}

void bench_close(struct bench *bench)
{
    ss_sim_group_destroy(bench->group);
    ss_sim_queue_close(&bench->queue);
}

uint64_t bench_send(struct bench *bench, struct ss_entry entry)
{
    entry.number = ++bench->number;
    ss_sim_entry_send(bench->group, &entry);
    return entry.number;
}

uint64_t bench_load(struct bench *bench, uint16_t model, enum ss_entry_lane lane)
{
    struct ss_placement placements[SS_STAGES_MAX * BENCH_CHUNKS];
    struct ss_entry entry = {.kind = SS_ENTRY_LOAD, .model = model, .lane = (uint8_t)lane};
    for (uint16_t chunk = 0; chunk < BENCH_CHUNKS; chunk++)
        for (uint16_t stage = 0; stage < bench->options.controller.pp; stage++)
            placements[entry.placement_count++] = (struct ss_placement){
                .stage = stage,
                .chunk = chunk,
                .page = (uint32_t)(model * BENCH_CHUNKS + chunk) * BENCH_PAGES};
    entry.placements = placements;
    return bench_send(bench, entry);
}

uint64_t bench_batch(struct bench *bench, uint16_t model)
{
    struct ss_batch_sequence sequence = {.request = 100 + model,
                                         .slot = model,
                                         .flags = SS_SEQUENCE_OPEN | SS_SEQUENCE_SAMPLE,
                                         .count = 4,
                                         .new_blocks = 1};
    uint32_t pages[SS_STAGES_MAX];
    for (int stage = 0; stage < bench->options.controller.pp; stage++)
        pages[stage] = BENCH_POOL - 1 - model;
    return bench_send(bench, (struct ss_entry){.kind = SS_ENTRY_BATCH,
                                               .model = model,
                                               .sequence_count = 1,
                                               .sequences = &sequence,
                                               .page_count = (uint32_t)bench->options.controller.pp,
                                               .pages = pages});
}

void bench_run_until(struct bench *bench, uint64_t at_ns)
{
    struct ss_sim_event event;
    while (ss_sim_queue_first(&bench->queue) && ss_sim_queue_first(&bench->queue)->at_ns <= at_ns &&
           ss_sim_queue_take(&bench->queue, &event)) {
        if (event.kind == SS_SIM_REPORT)
            see(bench, &event);
        ss_sim_group_happen(bench->group, &event);
    }
    bench->group->now_ns = at_ns > bench->group->now_ns ? at_ns : bench->group->now_ns;
}

uint64_t bench_when(const struct bench *bench, enum ss_report_kind kind, uint64_t number,
                    uint32_t rank)
{
    for (uint32_t i = 0; i < bench->seen_count; i++)
        if (bench->seen[i].kind == kind && bench->seen[i].number == number &&
            bench->seen[i].rank == rank)
            return bench->seen[i].at_ns;
    return 0;
}
