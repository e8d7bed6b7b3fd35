/* What a rank says in its log where nothing moves. */
#include <stdatomic.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/unit/stage_bench.h"

#define STANDSTILL_NS (50 * SS_NS_PER_MS)

static const struct ss_ops_table *real;
static struct ss_timeline *gate;         /* compute waits for it; null: it does not */
static atomic_bool link_stands, at_gate; /* the link thread waits until it may go on; it is there */

static enum ss_status attention(struct ss_ops *ops, struct ss_stream *stream,
                                const struct ss_step *step, const struct ss_kv_layout *kv,
                                uint32_t layer, ss_device_address qkv, uint32_t heads, float scale,
                                ss_device_address out)
{
    enum ss_status status = SS_OK;
    if (gate)
        status = ops->device->ops->wait(stream, gate, 1);
    while (atomic_load(&link_stands)) {
        atomic_store(&at_gate, true);
        ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_MS);
    }
    return status ? status : real->attention(ops, stream, step, kv, layer, qkv, heads, scale, out);
}

/* The log goes to a file, from here to the end of the test's process. */
static FILE *redirect_log(void)
{
    FILE *file = tmpfile();
    cr_assert(file);
    cr_assert_geq(dup2(fileno(file), STDERR_FILENO), 0);
    return file;
}

static void await_line(FILE *file, const char *first, const char *second)
{
    char text[16384] = "";
    uint64_t until_ns = ss_now_ns() + BENCH_WAIT_S * SS_NS_PER_S;
    while (!(strstr(text, first) && strstr(text, second))) {
        cr_assert_lt(ss_now_ns(), until_ns, "no \"%s\" and \"%s\" in: %s", first, second, text);
        ss_sleep_until_ns(ss_now_ns() + 5 * SS_NS_PER_MS);
        ssize_t bytes = pread(fileno(file), text, sizeof text - 1, 0);
        text[bytes > 0 ? bytes : 0] = 0;
    }
}

static struct bench *open_watched(struct ss_ops_table *table,
                                  void (*stuck)(void *user, uint64_t number))
{
    const struct bench_options options = {0};
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &options);
    real = bench->ops->table;
    *table = *real;
    table->attention = attention;
    bench->ops->table = table;
    bench->options.standstill_ns = bench->options.stuck_ns = STANDSTILL_NS;
    bench->options.stuck = stuck;
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK, "%s", ss_status_message());
    return bench;
}

static void close_watched(struct bench *bench)
{
    bench->ops->table = real;
    bench_close(bench);
}

Test(stage_standstill, compute_that_waits)
{
    struct ss_ops_table table;
    struct bench *bench = open_watched(&table, 0);
    struct bench_sequence sequence = bench_sequence(OPT, 1);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    cr_assert_eq(bench->device->ops->timeline_create(bench->device, &gate), SS_OK);
    FILE *log = redirect_log();
    uint64_t number = bench_queue(bench, &sequence);
    await_line(log, "nothing has moved for ",
               ": all 2 entries that came are queued; compute is done up to entry 0 of 2\n");
    bench->device->ops->timeline_raise(gate, 1);
    bench_collect(bench, &sequence, number);
    bench->device->ops->timeline_destroy(gate);
    close_watched(bench);
}

static atomic_uint_fast64_t stuck_at;

static void on_stuck(void *user, uint64_t number)
{
    (void)user;
    atomic_store(&stuck_at, number);
    atomic_store(&link_stands, false);
}

/* What waits on the device is no link thread that stands, however long it lasts. */
Test(stage_standstill, given_up)
{
    struct ss_ops_table table;
    struct bench *bench = open_watched(&table, on_stuck);
    struct bench_sequence sequence = bench_sequence(OPT, 1);
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    cr_assert_eq(bench->device->ops->timeline_create(bench->device, &gate), SS_OK);
    uint64_t number = bench_queue(bench, &sequence);
    ss_sleep_until_ns(ss_now_ns() + 4 * STANDSTILL_NS);
    bench->device->ops->timeline_raise(gate, 1);
    bench_collect(bench, &sequence, number);
    cr_assert_eq(atomic_load(&stuck_at), 0);
    atomic_store(&link_stands, true);
    number = bench_queue(bench, &sequence);
    cr_assert_eq(atomic_load(&stuck_at), number);
    bench_collect(bench, &sequence, number);
    bench->device->ops->timeline_destroy(gate);
    close_watched(bench);
}

static void *go_on_when_said(void *argument)
{
    FILE *log = argument;
    while (!atomic_load(&at_gate))
        ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_MS);
    await_line(log, "the link thread has been queueing entry 2 (batch, opt-tiny, chunk 1) for ",
               "; compute is done up to entry 0 of 0\n");
    atomic_store(&link_stands, false);
    return 0;
}

Test(stage_standstill, a_link_thread_in_a_call)
{
    struct ss_ops_table table;
    struct bench *bench = open_watched(&table, 0);
    struct bench_sequence sequence = bench_sequence(OPT, 1);
    pthread_t thread;
    bench_await(bench, SS_REPORT_LOAD_ENDED, bench_load(bench, OPT, 0));
    atomic_store(&link_stands, true);
    cr_assert_eq(pthread_create(&thread, 0, go_on_when_said, redirect_log()), 0);
    bench_generate(bench, &sequence, 2);
    pthread_join(thread, 0);
    close_watched(bench);
}

/* An idle rank is not one that stands. */
Test(stage_standstill, nothing_to_do)
{
    struct ss_ops_table table;
    struct bench *bench = open_watched(&table, 0);
    struct bench_sequence sequence = bench_sequence(OPT, 1);
    bench_load(bench, OPT, 0);
    bench_generate(bench, &sequence, 3);
    FILE *log = redirect_log();
    ss_sleep_until_ns(ss_now_ns() + 5 * STANDSTILL_NS);
    close_watched(bench);
    cr_assert_eq(fseek(log, 0, SEEK_END), 0);
    cr_assert_eq(ftell(log), 0);
}
