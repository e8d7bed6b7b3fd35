/* Steps that are recorded, on a device that has no memory for more of them at some point. */
#include <unistd.h>

#include "tests/unit/stage_bench.h"

#define STEPS 12

static const struct ss_device_ops *real;
static int ends, plays, room; /* recordings made or tried, and played; how many can be made */

static enum ss_status record_end(struct ss_stream *stream, struct ss_recording **recording)
{
    if (ends++ < room)
        return real->record_end(stream, recording);
    real->record_abort(stream);
    if (*recording)
        real->recording_destroy(stream->device, *recording);
    *recording = 0;
    return ss_fail(SS_NO_MEMORY, "no room on this device");
}

static enum ss_status play(struct ss_stream *stream, const struct ss_recording *recording)
{
    plays++;
    return real->play(stream, recording);
}

static struct bench *open_with_room(struct ss_device_ops *table, int recordings)
{
    const struct bench_options options = {.graphs = true};
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &options);
    real = bench->device->ops;
    room = recordings;
    ends = plays = 0;
    *table = *real;
    table->record_end = record_end;
    table->play = play;
    bench->device->ops = table;
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK, "%s", ss_status_message());
    return bench;
}

/* Both models in turn, so that there are two shapes to record. */
static void generate(struct bench *bench, struct bench_sequence *sequences)
{
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, LLAMA, 0));
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, BENCH_PAGES / 4));
    for (int i = 0; i < 2; i++)
        sequences[i] = bench_sequence(i == 0 ? LLAMA : OPT, (uint16_t)(1 + i));
    for (int i = 0; i < STEPS; i++)
        bench_generate(bench, &sequences[i % 2], 1);
}

/* How often TEXT stands in what was logged meanwhile. */
static int logged(FILE *log, const char *text)
{
    char all[16384];
    int count = 0;
    ssize_t bytes = pread(fileno(log), all, sizeof all - 1, 0);
    all[bytes > 0 ? bytes : 0] = 0;
    for (const char *at = all; (at = strstr(at, text)); at++)
        count++;
    return count;
}

/* The same tokens with room for so many recordings as with all. */
static void try_room(const struct bench_sequence *expected, int recordings)
{
    struct bench_sequence sequences[2];
    struct ss_device_ops table;
    FILE *log = tmpfile();
    cr_assert(log);
    cr_assert_geq(dup2(fileno(log), STDERR_FILENO), 0);
    struct bench *bench = open_with_room(&table, recordings);
    generate(bench, sequences);
    bench_same_tokens(&expected[0], &sequences[0]);
    bench_same_tokens(&expected[1], &sequences[1]);
    bench_close(bench);
    cr_assert_eq(ends, recordings + 1, "%d recordings tried", ends);
    cr_assert_eq(plays, recordings * (STEPS / 2 - 1), "%d played", plays);
    cr_assert_eq(logged(log, "recording a step of 1 rows: no room on this device: "), 1);
    fclose(log);
}

Test(stage_recorded, no_memory_for_more)
{
    struct bench_sequence expected[2];
    struct ss_device_ops table;
    struct bench *bench = open_with_room(&table, 1000);
    generate(bench, expected);
    bench_close(bench);
    cr_assert_eq(plays, 2 * (STEPS / 2 - 1), "%d played", plays);
    try_room(expected, 0);
    try_room(expected, 1);
}

static enum ss_status fail_to_end(struct ss_stream *stream, struct ss_recording **recording)
{
    (void)recording;
    real->record_abort(stream);
    return ss_fail(SS_IO, "another failure");
}

/* Anything else is the rank's end. */
Test(stage_recorded, other_failures)
{
    struct bench_sequence sequence = bench_sequence(OPT, 1);
    struct ss_batch_sequence item = {.slot = 1, .flags = SS_SEQUENCE_SAMPLE, .count = 1};
    struct ss_device_ops table;
    struct bench *bench = open_with_room(&table, 1000);
    table.record_end = fail_to_end;
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    bench_generate(bench, &sequence, 1);
    item.position = sequence.position;
    struct ss_entry entry = {
        .kind = SS_ENTRY_BATCH, .model = OPT, .sequence_count = 1, .sequences = &item};
    cr_assert_eq(bench_try(bench, entry, 0, 0), SS_IO);
    cr_assert(strstr(ss_status_message(), "model opt-tiny: recording a step of 1 rows: another"),
              "%s", ss_status_message());
    bench_close(bench);
}
