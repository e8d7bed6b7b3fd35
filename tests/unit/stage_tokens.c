/* What swapping, moving and setting aside must not change: the tokens. And what drops, cancels,
 * promotions and the trace tell. */
#include <jansson.h>

#include "tests/unit/stage_bench.h"

#define STEPS 30

/* The sequence of MODEL as it runs with nothing happening. */
static struct bench_sequence undisturbed(int model)
{
    struct bench *bench = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(model, 1);
    bench_load(bench, model, 0);
    bench_generate(bench, &sequence, STEPS);
    bench_close(bench);
    bool varied = false;
    for (int i = 1; i < STEPS; i++)
        varied |= sequence.tokens[i] != sequence.tokens[0];
    cr_assert(varied, "a sequence of one token shows little");
    return sequence;
}

/* Moves all chunks of MODEL that lie from page FROM on by BY pages, in an order in which none
 * overwrites another. */
static uint64_t move_model(struct bench *bench, int model, uint32_t from, int by)
{
    struct ss_page_move moves[16];
    const struct ss_image *image = &bench->images[model];
    int count = image->chunk_count;
    for (int i = 0; i < count; i++) {
        uint32_t pages = bench_pages_of(image->chunks[i].bytes);
        moves[by < 0 ? i : count - 1 - i] = (struct ss_page_move){.slot = SS_NO_SLOT,
                                                                  .model = (uint16_t)model,
                                                                  .index = (uint16_t)i,
                                                                  .from = from,
                                                                  .to = (uint32_t)((int)from + by),
                                                                  .pages = pages};
        from += pages;
    }
    return bench_take(
        bench,
        (struct ss_entry){.kind = SS_ENTRY_MOVE, .move_count = (uint32_t)count, .moves = moves});
}

static void move_blocks(struct bench *bench, struct bench_sequence *sequence, uint32_t to)
{
    struct ss_page_move moves[BENCH_CONTEXT / BENCH_BLOCK];
    uint32_t each = bench_block_pages(bench, sequence->model);
    for (uint32_t i = 0; i < sequence->block_count; i++) {
        moves[i] = (struct ss_page_move){.slot = sequence->slot,
                                         .index = (uint16_t)i,
                                         .from = sequence->blocks[i],
                                         .to = to + i * each,
                                         .pages = each};
        sequence->blocks[i] = to + i * each;
    }
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_MOVE,
                                        .move_count = sequence->block_count,
                                        .moves = moves});
}

static void moved(int model, bool graphs)
{
    struct bench_sequence expected = undisturbed(model), sequence = bench_sequence(model, 1);
    struct bench *bench = bench_open((struct bench_options){.graphs = graphs});
    uint32_t pages = bench_pages_of(bench->images[model].bytes) + 16;
    bench_load(bench, model, 10);
    bench_generate(bench, &sequence, 5);
    /* Down by less than a chunk: the ranges overlap themselves. */
    move_model(bench, model, 10, -3);
    bench_generate(bench, &sequence, 5);
    /* Up by less than a chunk, then far away; the vacated pages are written over at once. */
    move_model(bench, model, 7, 4);
    bench_generate(bench, &sequence, 5);
    move_model(bench, model, 11, (int)pages);
    bench_load(bench, !model, 0);
    bench_generate(bench, &sequence, 5);
    uint32_t old = sequence.blocks[0];
    move_blocks(bench, &sequence, BENCH_PAGES - 1 - 8 * bench_block_pages(bench, model));
    uint64_t dropped = bench_drop(bench, !model, false);
    bench_load(bench, !model, old);
    bench->next_page = old + bench_pages_of(bench->images[!model].bytes) + 16;
    bench_generate(bench, &sequence, STEPS - 20);
    cr_assert(!bench_has(bench, SS_REPORT_DONE, dropped), "a plain drop reports nothing");
    bench_same_tokens(&expected, &sequence);
    bench_close(bench);
}

Test(stage_tokens, moves_change_nothing)
{
    moved(LLAMA, false);
    moved(OPT, false);
    moved(LLAMA, true);
    moved(OPT, true);
}

Test(stage_tokens, a_move_is_reported)
{
    struct bench *bench = bench_open((struct bench_options){0});
    bench_load(bench, LLAMA, 5);
    uint64_t number = move_model(bench, LLAMA, 5, -5);
    bench_await(bench, SS_REPORT_DONE, number);
    bench_close(bench);
}

/* A step behind a load runs layer by layer; where steps are recorded, the next ones are. */
static void swapped(bool graphs, int steps_each)
{
    struct bench_sequence expected[] = {undisturbed(LLAMA), undisturbed(OPT)};
    struct bench_sequence sequences[] = {bench_sequence(LLAMA, 1), bench_sequence(OPT, 2)};
    struct bench *bench =
        bench_open((struct bench_options){.link_bytes_per_s = 200000000, .graphs = graphs});
    for (int i = 0; i < STEPS; i += steps_each) {
        for (int model = 0; model < 2; model++) {
            /* Both in the same pages, at another place each time, the batch right behind. */
            bench_load(bench, model, (uint32_t)i % 7);
            uint64_t load = bench->number;
            bench_generate(bench, &sequences[model], steps_each);
            bench_await(bench, SS_REPORT_LOAD_ENDED, load);
            bench_drop(bench, model, false);
        }
    }
    bench_same_tokens(&expected[0], &sequences[0]);
    bench_same_tokens(&expected[1], &sequences[1]);
    bench_close(bench);
}

Test(stage_tokens, swapping_changes_nothing)
{
    swapped(false, 1);
    swapped(true, 3);
}

/* Sets the blocks aside, writes over them, and brings them back to the pages from TO on. */
static void set_aside(struct bench *bench, struct bench_sequence *sequence, uint32_t to, bool wait)
{
    uint32_t pages[BENCH_CONTEXT / BENCH_BLOCK], each = bench_block_pages(bench, sequence->model);
    struct ss_entry entry = {.kind = SS_ENTRY_SPILL,
                             .slot = sequence->slot,
                             .spill_block = 2,
                             .block_count = sequence->block_count};
    uint32_t other = bench_pages_of(bench->images[!sequence->model].bytes) + 16;
    uint32_t old = sequence->blocks[0];
    bench_await(bench, SS_REPORT_DONE, bench_take(bench, entry));
    bench_load(bench, !sequence->model, old + other > BENCH_PAGES ? BENCH_PAGES - other : old);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench->number);
    bench_drop(bench, !sequence->model, false);
    for (uint32_t i = 0; i < sequence->block_count; i++)
        sequence->blocks[i] = pages[i] = to + i * each;
    bench->next_page = to + sequence->block_count * each;
    entry.kind = SS_ENTRY_RESTORE;
    entry.page_count = sequence->block_count;
    entry.pages = pages;
    uint64_t number = bench_take(bench, entry);
    if (wait)
        bench_await(bench, SS_REPORT_DONE, number);
}

static void spilled(int model, uint64_t rate, bool wait)
{
    struct bench_sequence expected = undisturbed(model), sequence = bench_sequence(model, 1);
    struct bench *bench = bench_open((struct bench_options){.link_bytes_per_s = rate});
    bench_load(bench, model, 0);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench->number);
    bench_generate(bench, &sequence, 8);
    set_aside(bench, &sequence, BENCH_PAGES * 4 / 5, wait);
    bench_generate(bench, &sequence, 9);
    set_aside(bench, &sequence, BENCH_PAGES * 2 / 5, wait);
    bench_generate(bench, &sequence, STEPS - 17);
    bench_same_tokens(&expected, &sequence);
    bench_close(bench);
}

Test(stage_tokens, setting_aside_changes_nothing)
{
    spilled(LLAMA, 0, true);
    spilled(OPT, 0, true);
}

Test(stage_tokens, a_batch_waits_for_its_restore)
{
    spilled(LLAMA, 40000000, false);
}

Test(stage_tokens, recomputing_changes_nothing)
{
    struct bench_sequence expected = undisturbed(LLAMA), sequence = bench_sequence(LLAMA, 1);
    struct bench *bench = bench_open((struct bench_options){0});
    bench_load(bench, LLAMA, 0);
    bench_generate(bench, &sequence, 12);
    uint64_t number =
        bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_SPILL, .slot = sequence.slot});
    bench_await(bench, SS_REPORT_DONE, number);
    sequence.position = sequence.block_count = 0;
    bench_generate(bench, &sequence, STEPS - 12);
    bench_same_tokens(&expected, &sequence);
    bench_close(bench);
}

Test(stage_tokens, a_closed_slot_may_open_again)
{
    struct bench_sequence expected = undisturbed(OPT), first = bench_sequence(LLAMA, 3);
    struct bench_sequence second = bench_sequence(OPT, 3);
    struct bench *bench = bench_open((struct bench_options){0});
    bench_load(bench, LLAMA, 0);
    bench_load(bench, OPT, 1 + bench_pages_of(bench->images[LLAMA].bytes) + 16);
    bench_generate(bench, &first, 4);
    uint16_t slot = 3;
    bench_take(bench, (struct ss_entry){.kind = SS_ENTRY_CLOSE, .slot_count = 1, .slots = &slot});
    bench_generate(bench, &second, STEPS);
    second.slot = expected.slot = 3;
    bench_same_tokens(&expected, &second);
    bench_close(bench);
}

Test(stage_tokens, endings)
{
    struct bench_sequence plain = undisturbed(LLAMA);
    static const enum ss_ending expected[] = {SS_ENDING_EOS, SS_ENDING_STOP, SS_ENDING_LENGTH,
                                              SS_ENDING_NONE};
    struct bench *bench = bench_open((struct bench_options){0});
    bench_load(bench, LLAMA, 0);
    for (int i = 0; i < 4; i++) {
        uint32_t pages[] = {bench->next_page, bench->next_page + 64};
        struct ss_batch_sequence item = {
            .flags = SS_SEQUENCE_SAMPLE | SS_SEQUENCE_OPEN, .count = 11, .new_blocks = 2};
        struct ss_opening opening = {.top_p = 1,
                                     .length_max = i == 2 ? 12 : 13,
                                     .stop_id_count = 2,
                                     .eos_id_count = 1,
                                     .stop_ids = {-1, -1},
                                     .prompt_count = 11,
                                     .prompt = plain.prompt};
        if (i < 2)
            opening.stop_ids[i] = plain.tokens[0];
        struct ss_entry entry = {.kind = SS_ENTRY_BATCH,
                                 .sequence_count = 1,
                                 .sequences = &item,
                                 .page_count = 2,
                                 .pages = pages};
        cr_assert_eq(bench_try(bench, entry, &opening, 1), SS_OK, "%s", ss_status_message());
        bench_await(bench, SS_REPORT_DONE, bench->number);
        cr_assert_eq(bench->tokens[bench->number].token, plain.tokens[0]);
        cr_assert_eq(bench->tokens[bench->number].finish, expected[i], "case %d", i);
    }
    bench_close(bench);
}
