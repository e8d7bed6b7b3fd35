/* Entries that break the protocol: each is refused with a message that names what is wrong, and
 * reported as the rank's failure under the entry's number. */
#include "engine/base/fault.h"
#include "tests/unit/stage_bench.h"

/* ENTRY is refused; what is said and what is reported hold RIGHT. */
static void refuse_with(struct bench *bench, struct ss_entry entry,
                        const struct ss_opening *openings, uint32_t count, enum ss_status status,
                        const char *right)
{
    char prefix[64];
    *bench->failure = 0;
    cr_assert_eq(bench_try(bench, entry, openings, count), status, "%s: %s", right,
                 ss_status_message());
    snprintf(prefix, sizeof prefix, "rank 0: entry %llu", (unsigned long long)bench->number + 1);
    cr_assert_eq(strncmp(ss_status_message(), prefix, strlen(prefix)), 0, "%s",
                 ss_status_message());
    cr_assert(strstr(ss_status_message(), right), "no %s in: %s", right, ss_status_message());
    cr_assert_str_eq(bench->failure, ss_status_message());
    cr_assert(bench_has(bench, SS_REPORT_FAILED, bench->number + 1));
    *bench->failure = 0; /* each case stands for a rank of its own */
}

static void refuse(struct bench *bench, struct ss_entry entry, const char *right)
{
    refuse_with(bench, entry, 0, 0, SS_INVALID, right);
}

static void refuse_placement(struct bench *bench, enum ss_entry_kind kind, uint16_t model,
                             struct ss_placement placement, const char *right)
{
    refuse(bench,
           (struct ss_entry){
               .kind = kind, .model = model, .placement_count = 1, .placements = &placement},
           right);
}

Test(stage_protocol, numbers)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_entry entry = {.number = 2, .kind = SS_ENTRY_CLOSE};
    cr_assert_eq(ss_stage_take(bench->stage, &entry, 0, 0), SS_INVALID);
    cr_assert_str_eq(ss_status_message(), "rank 0: entry 2: entry 2 came where 1 was due");
    cr_assert_str_eq(bench->failure, ss_status_message());
    bench_take(bench, entry);
    entry.number = 1;
    cr_assert_eq(ss_stage_take(bench->stage, &entry, 0, 0), SS_INVALID);
    cr_assert_str_eq(ss_status_message(), "rank 0: entry 1: entry 1 came where 2 was due");
    refuse(bench, (struct ss_entry){.kind = SS_ENTRY_KINDS}, "unknown kind");
    bench_close(bench);
}

Test(stage_protocol, loads)
{
    struct bench *bench = bench_open((struct bench_options){0});
    uint16_t chunks = (uint16_t)bench->images[LLAMA].chunk_count;
    char text[64];
    refuse_placement(bench, SS_ENTRY_LOAD, 2, (struct ss_placement){0}, "load: model 2 of 2");
    snprintf(text, sizeof text, "load: chunk %u of %u", chunks, chunks);
    refuse_placement(bench, SS_ENTRY_LOAD, 0, (struct ss_placement){.chunk = chunks}, text);
    refuse_placement(bench, SS_ENTRY_LOAD, 0, (struct ss_placement){.page = BENCH_PAGES},
                     "load at page 4096 of ");
    refuse_placement(bench, SS_ENTRY_LOAD, 0, (struct ss_placement){.page = BENCH_PAGES - 1},
                     "the pool has 4096 pages");
    refuse_placement(bench, SS_ENTRY_LOAD, 0, (struct ss_placement){.page = UINT32_MAX},
                     "load at page 4294967295 of ");
    bench_load(bench, LLAMA, 0);
    refuse_placement(bench, SS_ENTRY_LOAD, 0, (struct ss_placement){.chunk = 1, .page = 2000},
                     "load: chunk 1 of model 0 is held already");
    bench_close(bench);
}

/* Of the model whose entry it was, whatever the call that failed knows. */
Test(stage_protocol, a_call_of_the_device_that_fails)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_placement placements[16];
    struct ss_entry entry = bench_place(bench, SS_ENTRY_DROP, OPT, 0, placements);
    entry.copy_back = true;
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    ss_fault_arm(SS_FAULT_DEVICE, 1);
    refuse_with(bench, entry, 0, 0, SS_IO, " of model opt-tiny: ");
    ss_fault_arm(SS_FAULT_DEVICE, 0);
    bench_close(bench);
}

Test(stage_protocol, a_chunk_twice_in_one_load)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_placement placements[] = {{.chunk = 1}, {.chunk = 1, .page = 1000}};
    refuse(bench,
           (struct ss_entry){.kind = SS_ENTRY_LOAD, .placement_count = 2, .placements = placements},
           "load: chunk 1 of model 0 is held already");
    bench_close(bench);
}

Test(stage_protocol, too_many_loads)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 1000000});
    struct ss_placement placements[] = {{.chunk = 0}, {.chunk = 1, .page = 1000}, {.chunk = 2}};
    struct ss_entry entry = {.kind = SS_ENTRY_LOAD, .placement_count = 1};
    for (int i = 0; i < 2; i++) {
        entry.placements = &placements[i];
        bench_take(bench, entry);
    }
    entry.placements = &placements[2];
    refuse_with(bench, entry, 0, 0, SS_FULL, "load: more than 2 loads in flight");
    bench_close(bench);
}

Test(stage_protocol, loads_as_others_end)
{
    /* A load may be sent as soon as another was reported over. */
    struct bench *bench = bench_open((struct bench_options){0});
    uint64_t ended[2] = {0, 0};
    for (int i = 0; i < 200; i++) {
        int model = i % 2;
        if (ended[model]) {
            bench_await(bench, SS_REPORT_LOAD_ENDED, ended[model]);
            bench_drop(bench, model, false);
        }
        ended[model] = bench_load(bench, model, model ? BENCH_PAGES / 2 : 0);
    }
    bench_close(bench);
}

Test(stage_protocol, drops)
{
    struct bench *bench = bench_open((struct bench_options){0});
    refuse_placement(bench, SS_ENTRY_DROP, 7, (struct ss_placement){0}, "drop: model 7 of 2");
    refuse_placement(bench, SS_ENTRY_DROP, 0, (struct ss_placement){.chunk = 99},
                     "drop: chunk 99 of 6");
    refuse_placement(bench, SS_ENTRY_DROP, 1, (struct ss_placement){.chunk = 2},
                     "drop: chunk 2 of model 1 is not held");
    bench_load(bench, LLAMA, 0);
    bench_drop(bench, LLAMA, false);
    refuse_placement(bench, SS_ENTRY_DROP, 0, (struct ss_placement){0},
                     "drop: chunk 0 of model 0 is not held");
    bench_close(bench);
}

static void refuse_move(struct bench *bench, struct ss_page_move move, const char *right)
{
    refuse(bench, (struct ss_entry){.kind = SS_ENTRY_MOVE, .move_count = 1, .moves = &move}, right);
}

Test(stage_protocol, moves)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(LLAMA, 1);
    uint16_t none = SS_NO_SLOT;
    refuse_move(bench, (struct ss_page_move){.slot = none, .model = 2}, "move: model 2 of 2");
    refuse_move(bench, (struct ss_page_move){.slot = none, .index = 50}, "move: chunk 50 of 6");
    refuse_move(bench, (struct ss_page_move){.slot = none, .index = 1},
                "move: chunk 1 of model 0 is not at page 0");
    bench_load(bench, LLAMA, 4);
    refuse_move(bench, (struct ss_page_move){.slot = none, .from = 3},
                "move: chunk 0 of model 0 is not at page 3");
    bench_generate(bench, &sequence, 1);
    uint32_t page = sequence.blocks[0];
    refuse_move(bench, (struct ss_page_move){.slot = 9, .from = page},
                "move: block 0 of slot 9 is not at page 2048");
    refuse_move(bench, (struct ss_page_move){.slot = 0, .from = page}, "block 0 of slot 0");
    refuse_move(bench, (struct ss_page_move){.slot = 1, .index = 2}, "block 2 of slot 1");
    refuse_move(bench, (struct ss_page_move){.slot = 1, .from = page + 1},
                "move: block 0 of slot 1 is not at page 2049");
    refuse_move(bench, (struct ss_page_move){.slot = 1, .from = page, .to = BENCH_PAGES - 1},
                "move at page 4095 of ");
    bench_close(bench);
}

Test(stage_protocol, a_chunk_moved_past_the_pool)
{
    struct bench *bench = bench_open((struct bench_options){0});
    bench_load(bench, LLAMA, 0);
    refuse_move(bench, (struct ss_page_move){.slot = SS_NO_SLOT, .to = BENCH_PAGES - 1},
                "move at page 4095 of ");
    bench_close(bench);
}

/* One sequence's part, tried against a fresh stage whose slot 1 has 11 tokens in two blocks. */
struct part {
    struct ss_batch_sequence item;
    struct ss_opening opening;
    uint16_t model;
    uint32_t page_count, page;
    const char *right;
};

static void refuse_part(const struct part *part)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(LLAMA, 1);
    uint32_t pages[16];
    for (int i = 0; i < 16; i++)
        pages[i] = part->page ? part->page : 3000;
    bench_load(bench, LLAMA, 0);
    bench_load(bench, OPT, 1000);
    bench_generate(bench, &sequence, 1);
    struct ss_opening opening = part->opening;
    opening.prompt = sequence.prompt;
    refuse_with(bench,
                (struct ss_entry){.kind = SS_ENTRY_BATCH,
                                  .model = part->model,
                                  .sequence_count = 1,
                                  .sequences = &part->item,
                                  .page_count = part->page_count,
                                  .pages = pages},
                &opening, 1, SS_INVALID, part->right);
    bench_close(bench);
}

Test(stage_protocol, parts_of_batches)
{
    const uint16_t opens = SS_SEQUENCE_OPEN;
    const struct part parts[] = {
        {.model = 2, .item = {.slot = 1, .position = 11, .count = 1}, .right = "model 2 of 2"},
        {.item = {.slot = 4, .count = 1}, .right = "batch: slot 4 with 0 new blocks"},
        {.item = {.slot = 1, .position = 11, .count = 1, .new_blocks = 1},
         .right = "batch: slot 1 with 1 new blocks"},
        {.item = {.slot = 1, .position = 11, .count = 1, .new_blocks = UINT32_MAX},
         .page_count = 1,
         .right = "batch: slot 1 with 4294967295 new blocks"},
        {.item = {.slot = 0, .count = 1}, .right = "batch: slot 0 is not open for model 0"},
        {.model = OPT, .item = {.slot = 1, .position = 11, .count = 1}, .right = "for model 1"},
        {.item = {.slot = 1, .position = 11, .count = 1, .new_blocks = 7},
         .page_count = 7,
         .right = "batch: slot 1: 2 + 7 blocks of 8"},
        {.item = {.slot = 1, .position = 11, .count = 1, .new_blocks = 1},
         .page_count = 1,
         .page = BENCH_PAGES - 1,
         .right = "batch: KV block at page 4095"},
        {.item = {.slot = 1, .position = 11}, .right = "tokens 11 to 11 of a context of 64"},
        {.item = {.slot = 1, .position = 11, .count = 6},
         .right = "tokens 11 to 17 of a context of 64 with room for 16"},
        {.item = {.slot = 1, .position = 11, .count = 54, .new_blocks = 6},
         .page_count = 6,
         .right = "tokens 11 to 65 of a context of 64"},
        {.item = {.slot = 1, .position = UINT32_MAX, .count = 2}, .right = "tokens 4294967295 to"},
        {.item = {.slot = 1, .position = 0, .count = 1},
         .right = "tokens 0 to 1 of a context of 64 with room for 0"},
        {.item = {.slot = 1, .position = 0, .count = 65},
         .right = "batch: 1 sequences with 65 tokens, limits are 3 and 64"},
        {.item = {.slot = 2, .flags = opens, .count = 1},
         .opening = {.length_max = 9},
         .right = "opening: prompt of 0 tokens"},
        {.item = {.slot = 2, .flags = opens, .count = 1},
         .opening = {.length_max = 65, .prompt_count = 3},
         .right = "opening: prompt of 3 tokens, length 65, context 64"},
        {.item = {.slot = 2, .flags = opens, .count = 1},
         .opening = {.length_max = 3, .prompt_count = 3},
         .right = "opening: prompt of 3 tokens, length 3"},
        {.item = {.slot = 2, .flags = opens, .count = 1},
         .opening = {.length_max = 9, .prompt_count = 3, .stop_id_count = SS_STOP_IDS_MAX + 1},
         .right = "73 stop ids"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        refuse_part(&parts[i]);
}

Test(stage_protocol, batches_of_the_wrong_size)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_batch_sequence items[4] = {{.count = 1}, {.count = 1}, {.count = 1}, {.count = 1}};
    struct ss_entry entry = {.kind = SS_ENTRY_BATCH, .sequences = items};
    bench_load(bench, LLAMA, 0);
    refuse(bench, entry, "batch: 0 sequences with 0 tokens, limits are 3 and 64");
    entry.sequence_count = 4;
    refuse(bench, entry, "batch: 4 sequences with 4 tokens, limits are 3 and 64");
    items[0].count = items[1].count = UINT32_MAX;
    entry.sequence_count = 2;
    refuse(bench, entry, "batch: 2 sequences with 8589934590 tokens");
    bench_close(bench);
}

Test(stage_protocol, a_batch_over_what_is_not_there)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct ss_batch_sequence item = {.count = 1};
    struct ss_placement placement = {.chunk = 3};
    struct ss_entry entry = {.kind = SS_ENTRY_BATCH, .sequence_count = 1, .sequences = &item};
    refuse(bench, entry, "batch: chunk 0 of model 0 is neither resident nor on its way");
    bench_load(bench, LLAMA, 0);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench->number);
    bench_take(bench, (struct ss_entry){
                          .kind = SS_ENTRY_DROP, .placement_count = 1, .placements = &placement});
    refuse(bench, entry, "batch: chunk 3 of model 0 is neither resident nor on its way");
    bench_close(bench);
}

Test(stage_protocol, too_many_batches)
{
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = 1000000});
    struct bench_sequence sequence = bench_sequence(LLAMA, 1);
    bench_load(bench, LLAMA, 0);
    for (int i = 0; i < 3; i++)
        bench_queue(bench, &sequence);
    struct ss_batch_sequence item = {.slot = 1, .position = sequence.position, .count = 1};
    refuse_with(bench,
                (struct ss_entry){.kind = SS_ENTRY_BATCH, .sequence_count = 1, .sequences = &item},
                0, 0, SS_FULL, "batch: more than 3 batches in flight");
    bench_close(bench);
}

Test(stage_protocol, prompts_past_the_staging_memory)
{
    /* An opening whose prompt could not have come in one message. */
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &(struct bench_options){0});
    bench->options.limits.message_bytes_max = 128;
    bench->options.limits.step_tokens_max = 4;
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK);
    int32_t prompt[BENCH_CONTEXT] = {0};
    uint32_t pages[] = {3000, 3100};
    struct ss_batch_sequence items[2];
    struct ss_opening openings[2];
    for (uint16_t i = 0; i < 2; i++) {
        items[i] = (struct ss_batch_sequence){
            .slot = i, .flags = SS_SEQUENCE_OPEN, .count = 1, .new_blocks = 1};
        openings[i] = (struct ss_opening){.length_max = 64, .prompt_count = 60, .prompt = prompt};
    }
    bench_load(bench, LLAMA, 0);
    refuse_with(bench,
                (struct ss_entry){.kind = SS_ENTRY_BATCH,
                                  .sequence_count = 2,
                                  .sequences = items,
                                  .page_count = 2,
                                  .pages = pages},
                openings, 2, SS_INVALID, "batch: prompts exceed 256 bytes");
    bench_close(bench);
}

Test(stage_protocol, spills_and_restores)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(LLAMA, 1);
    uint32_t pages[8] = {3000, 3100, 3200, 3300, 3400, 3500, 3600, 3700};
    struct ss_entry spill = {.kind = SS_ENTRY_SPILL, .slot = 1};
    struct ss_entry restore = {.kind = SS_ENTRY_RESTORE, .slot = 1, .pages = pages};
    refuse(bench, spill, "spill: slot 1 is not open");
    refuse(bench, restore, "restore: slot 1 is not open");
    bench_load(bench, LLAMA, 0);
    bench_generate(bench, &sequence, 1);
    spill.slot = 4;
    refuse(bench, spill, "spill: slot 4 is not open");
    spill.slot = 1;
    spill.block_count = 3;
    refuse(bench, spill, "spill: 3 blocks of 2");
    spill.block_count = 2;
    spill.spill_block = UINT32_MAX;
    refuse(bench, spill, "the spill area has 1048576 bytes");
    spill.spill_block = 0;
    restore.block_count = restore.page_count = 2;
    refuse(bench, restore, "restore: 2 blocks into slot 1 that has 2");
    bench_await(bench, SS_REPORT_DONE, bench_take(bench, spill));
    restore.page_count = 1;
    refuse(bench, restore, "restore: 2 blocks into slot 1");
    restore.block_count = restore.page_count = 9;
    refuse(bench, restore, "restore: 9 blocks into slot 1");
    restore.block_count = restore.page_count = 2;
    pages[0] = BENCH_PAGES - 1;
    refuse(bench, restore, "restore at page 4095");
    bench_close(bench);
}

Test(stage_protocol, closes)
{
    struct bench *bench = bench_open((struct bench_options){0});
    uint16_t slots[] = {3, 4};
    struct ss_entry entry = {.kind = SS_ENTRY_CLOSE, .slot_count = 1, .slots = slots};
    bench_take(bench, entry); /* one that is closed stays so */
    entry.slot_count = 2;
    refuse(bench, entry, "close: slot 4 of 4");
    bench_close(bench);
}
