/* Loads, drops, cancels and promotions of one rank: what they move, report and leave behind. */
#include <jansson.h>

#include "tests/unit/stage_bench.h"

Test(stage_residency, a_load_reports_its_chunks_and_bytes)
{
    struct bench *bench = bench_open((struct bench_options){0});
    uint64_t number = bench_load(bench, LLAMA, 0);
    struct ss_report ended = bench_await(bench, SS_REPORT_LOAD_ENDED, number);
    cr_assert_eq(ended.count, (uint32_t)bench->images[LLAMA].chunk_count);
    cr_assert_eq(ended.bytes_to_device, bench->images[LLAMA].bytes);
    cr_assert_eq(ended.bytes_to_host, 0);
    struct ss_report chunks = bench_await(bench, SS_REPORT_CHUNKS, number);
    cr_assert_eq(chunks.count, ended.count);
    cr_assert_lt(bench->order[SS_REPORT_CHUNKS][number],
                 bench->order[SS_REPORT_LOAD_ENDED][number]);
    number = bench_load(bench, OPT, BENCH_PAGES / 2);
    ended = bench_await(bench, SS_REPORT_LOAD_ENDED, number);
    cr_assert_eq(ended.bytes_to_device, bench->images[LLAMA].bytes + bench->images[OPT].bytes);
    bench_close(bench);
}

Test(stage_residency, a_load_of_other_stages_ends_at_once)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_placement placement = {.stage = 1};
    uint64_t number = bench_take(
        bench,
        (struct ss_entry){.kind = SS_ENTRY_LOAD, .placement_count = 1, .placements = &placement});
    cr_assert(bench_has(bench, SS_REPORT_LOAD_ENDED, number));
    cr_assert_eq(bench->reports[SS_REPORT_LOAD_ENDED][number].count, 0);
    bench_close(bench);
}

Test(stage_residency, a_drop_moves_nothing_but_when_it_copies_back)
{
    struct bench *bench = bench_open((struct bench_options){0});
    size_t bytes = bench->images[OPT].bytes;
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    uint64_t plain = bench_drop(bench, OPT, false);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    uint64_t before = ss_device_bytes_to_host(bench->device);
    cr_assert_eq(before, 0);
    cr_assert(!bench_has(bench, SS_REPORT_DONE, plain));
    /* The master copy must read the same after it was written over by its own bytes. */
    unsigned char *copy = malloc(bytes);
    memcpy(copy, bench->models[OPT].base, bytes);
    struct ss_report done = bench_await(bench, SS_REPORT_DONE, bench_drop(bench, OPT, true));
    cr_assert_eq(done.bytes_to_host, bytes);
    cr_assert_eq(ss_device_bytes_to_host(bench->device), bytes);
    cr_assert_eq(memcmp(copy, bench->models[OPT].base, bytes), 0);
    free(copy);
    bench_close(bench);
}

Test(stage_residency, a_copying_drop_waits_for_its_load)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 20000000});
    uint64_t load = bench_load(bench, LLAMA, 0);
    uint64_t drop = bench_drop(bench, LLAMA, true);
    struct ss_report done = bench_await(bench, SS_REPORT_DONE, drop);
    cr_assert_eq(done.bytes_to_host, bench->images[LLAMA].bytes);
    bench_await(bench, SS_REPORT_LOAD_ENDED, load);
    bench_close(bench);
}

Test(stage_residency, a_cancelled_load_says_what_it_has)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 2000000});
    uint64_t load = bench_load(bench, LLAMA, 0);
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_CANCEL, .target = load});
    struct ss_report ended = bench_await(bench, SS_REPORT_LOAD_ENDED, load);
    cr_assert_lt(ended.count, (uint32_t)bench->images[LLAMA].chunk_count);
    /* A cancel and a promotion of what is over change nothing. */
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_CANCEL, .target = load});
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_PROMOTE, .target = load});
    bench_drop(bench, LLAMA, false);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    bench_close(bench);
}

static uint64_t prefetch(struct bench *bench, int model, uint32_t page)
{
    struct ss_placement placements[16];
    struct ss_entry entry = bench_place(bench, SS_ENTRY_LOAD, model, page, placements);
    entry.lane = SS_ENTRY_LANE_PREFETCH;
    return bench_take(bench, entry);
}

Test(stage_residency, a_promoted_load_overtakes)
{
    for (int promoted = 0; promoted < 2; promoted++) {
        struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 10000000});
        uint64_t first = prefetch(bench, LLAMA, 0);
        uint64_t second = prefetch(bench, OPT, BENCH_PAGES / 2);
        if (promoted)
            bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_PROMOTE, .target = second});
        bench_await(bench, SS_REPORT_LOAD_ENDED, first);
        bench_await(bench, SS_REPORT_LOAD_ENDED, second);
        cr_assert_eq(bench->order[SS_REPORT_LOAD_ENDED][second] <
                         bench->order[SS_REPORT_LOAD_ENDED][first],
                     promoted);
        bench_close(bench);
    }
}

Test(stage_residency, a_batch_behind_a_load_tells_how_long_it_waited)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 20000000});
    struct bench_sequence sequence = bench_sequence(LLAMA, 0);
    uint64_t load = bench_load(bench, LLAMA, 0);
    uint64_t batch = bench_queue(bench, &sequence);
    struct ss_report done = bench_await(bench, SS_REPORT_DONE, batch);
    bench_await(bench, SS_REPORT_LOAD_ENDED, load);
    cr_assert_gt(done.waited_ns, 0);
    cr_assert_leq(done.waited_ns, done.at_ns - done.started_ns);
    cr_assert_eq(done.count, 11, "rows");
    bench_collect(bench, &sequence, batch);
    done = bench_await(bench, SS_REPORT_DONE, bench_queue(bench, &sequence));
    cr_assert_eq(done.waited_ns, 0, "everything is there");
    bench_close(bench);
}

Test(stage_residency, a_loading_stage_can_be_destroyed)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 1000000});
    struct bench_sequence sequence = bench_sequence(LLAMA, 0);
    bench_load(bench, LLAMA, 0);
    bench_queue(bench, &sequence);
    bench_close(bench);
}

Test(stage_residency, stop_reports_when_the_rest_is_done)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(LLAMA, 0);
    bench_load(bench, LLAMA, 0);
    uint64_t batch = bench_queue(bench, &sequence);
    uint64_t stop = bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_STOP});
    bench_await(bench, SS_REPORT_DONE, stop);
    cr_assert_lt(bench->order[SS_REPORT_DONE][batch], bench->order[SS_REPORT_DONE][stop]);
    bench_close(bench);
}

Test(stage_residency, workspace_and_pool_are_all_it_takes)
{
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &(struct bench_options){0});
    uint64_t bytes = ss_stage_workspace_bytes(&bench->options);
    bench_close_device(bench);
    bench->stage = 0;
    bench_open_device(bench, &(struct bench_options){.memory_bytes = BENCH_POOL + bytes});
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK, "%s", ss_status_message());
    struct bench_sequence sequence = bench_sequence(LLAMA, 0);
    bench_load(bench, LLAMA, 0);
    bench_generate(bench, &sequence, 3);
    bench_close_device(bench);
    /* Any less fails in order, wherever the memory ends. */
    for (uint64_t less = 8192; less < bytes + BENCH_POOL; less += bytes / 13) {
        bench->stage = 0;
        bench_open_device(bench,
                          &(struct bench_options){.memory_bytes = BENCH_POOL + bytes - less});
        cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_NO_MEMORY);
        cr_assert_null(bench->stage);
        bench_close_device(bench);
        if (less > bytes)
            break;
    }
    bench_release(bench);
}

Test(stage_residency, more_models_than_the_staging_memory_has_room_for)
{
    enum { MANY = 200 };
    struct ss_stage_model models[MANY];
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &(struct bench_options){0});
    for (int i = 0; i < MANY; i++)
        models[i] = bench->models[LLAMA];
    bench->options.model_count = MANY;
    bench->options.models = models;
    bench->options.limits.message_bytes_max = 4096;
    bench->options.limits.batches_in_flight = 1;
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK, "%s", ss_status_message());
    bench_close(bench);
}

static const char *model_name(void *user, int model)
{
    (void)user;
    return model == LLAMA ? "llama" : "opt";
}

Test(stage_residency, the_trace_is_json)
{
    struct ss_trace *trace;
    char *text = 0;
    size_t bytes, index;
    cr_assert_eq(ss_trace_create(0, 1000, &trace), SS_OK);
    struct bench *bench =
        bench_open((struct bench_options){.link_bytes_per_s = 20000000, .trace = trace});
    struct bench_sequence sequence = bench_sequence(OPT, 0);
    struct ss_page_move move = {.slot = SS_NO_SLOT, .model = OPT, .from = 3, .to = 0};
    bench_load(bench, OPT, 3);
    bench_generate(bench, &sequence, 3);
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_MOVE, .move_count = 1, .moves = &move});
    bench_close(bench);
    FILE *file = open_memstream(&text, &bytes);
    fputc('[', file);
    ss_trace_write(trace, file, model_name, 0);
    fputs("{}]", file);
    fclose(file);
    json_error_t error;
    json_t *events = json_loads(text, 0, &error), *event;
    cr_assert(events, "%s", error.text);
    int batches = 0, loads = 0, waits = 0, moves = 0;
    json_array_foreach(events, index, event)
    {
        const char *name = json_string_value(json_object_get(event, "name"));
        const char *phase = json_string_value(json_object_get(event, "ph"));
        if (!phase || strcmp(phase, "X") != 0)
            continue;
        int row = (int)json_integer_value(json_object_get(event, "tid"));
        cr_assert_geq(json_real_value(json_object_get(event, "dur")), 0);
        batches += row == SS_TRACE_COMPUTE && strcmp(name, "batch opt") == 0;
        waits += row == SS_TRACE_COMPUTE && strcmp(name, "wait opt") == 0;
        loads += row == SS_TRACE_LOADS && strcmp(name, "load opt") == 0;
        moves += row == SS_TRACE_ENTRIES && strcmp(name, "move") == 0;
    }
    cr_assert(batches == 3 && waits > 0 && loads > 0, "%s", text);
    cr_assert_eq(moves, 1, "a move is of no one model: %s", text);
    json_decref(events);
    free(text);
    ss_trace_destroy(trace);
}

Test(stage_residency, a_full_trace_says_what_it_lost)
{
    struct ss_trace *trace;
    char *text = 0;
    size_t bytes;
    cr_assert_eq(ss_trace_create(3, 2, &trace), SS_OK);
    for (uint64_t i = 0; i < 5; i++)
        ss_trace_span(trace, SS_TRACE_ENTRIES, "close", -1, i, 1000 * i, 1000 * i + 500);
    FILE *file = open_memstream(&text, &bytes);
    ss_trace_write(trace, file, 0, 0);
    fclose(file);
    cr_assert(strstr(text, "\"spans_not_kept\",\"args\":{\"count\":3}"), "%s", text);
    cr_assert(strstr(text, "\"ts\":1.000,\"dur\":0.500"), "%s", text);
    cr_assert_null(strstr(text, "\"entry\":2"));
    free(text);
    ss_trace_destroy(trace);
    ss_trace_span(0, SS_TRACE_ENTRIES, "close", -1, 0, 0, 0);
}
