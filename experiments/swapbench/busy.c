#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "experiments/stepbench/bed.h"
#include "experiments/stepbench/times.h"
#include "experiments/swapbench/bench.h"

#define DECODING    0
#define LOADING     1
#define ROUNDS      3
#define LOADS_ALONE 9
#define LOADS_MAX   4096
#define LEAD_IN     4 /* steps before the first that counts */
#define PROMPT      512u
/* The paced operations' device, over its link: the shares of an H200 (results/, ../stepbench). */
#define MEMORY_OVER_LINK 76.0
#define FLOPS_OVER_LINK  13000.0
#define OVERHEAD_S       5e-6

struct busy {
    struct bench *bench;
    struct bed bed;
    double *gaps[2]; /* between tokens on this rank: alone, beside loads */
    int gap_count[2];
    double loads[2][LOADS_MAX];
    int load_count[2];
    uint64_t load, load_begin_ns; /* the load under way; 0: none */
};

/* What a rank knows of the load under way. */
struct progress {
    uint64_t ended, begin_ns, end_ns;
};

static enum ss_status start_load(struct busy *busy)
{
    busy->load_begin_ns = ss_now_ns();
    return bed_load(&busy->bed, LOADING, &busy->load);
}

/* All ranks take the same entries, so they agree on what has ended: *ENDED when the load has ended
 * on all of them, which is then counted among those of KIND, and dropped. */
static enum ss_status look_at_load(struct busy *busy, int kind, bool *ended)
{
    struct ss_link *link = busy->bench->link;
    struct progress mine = {.begin_ns = busy->load_begin_ns};
    struct progress all[SS_STAGES_MAX * SS_TP_MAX];
    mine.ended = bed_load_ended(&busy->bed, busy->load, &mine.end_ns);
    enum ss_status status = link->table->all_gather(link, &mine, sizeof mine, all);
    uint64_t begin = UINT64_MAX, end = 0, drop;
    *ended = true;
    for (int rank = 0; rank < link->ranks; rank++) {
        *ended = *ended && all[rank].ended;
        begin = all[rank].begin_ns < begin ? all[rank].begin_ns : begin;
        end = all[rank].end_ns > end ? all[rank].end_ns : end;
    }
    if (status || !*ended)
        return status;
    if (busy->load_count[kind] < LOADS_MAX)
        busy->loads[kind][busy->load_count[kind]++] = (double)(end - begin) / 1e9;
    busy->load = 0;
    return bed_drop(&busy->bed, LOADING, &drop);
}

static enum ss_status finish_load(struct busy *busy, int kind)
{
    bool ended = false;
    enum ss_status status = bed_await_load(&busy->bed, busy->load);
    if (!status)
        status = look_at_load(busy, kind, &ended);
    return status || ended ? status : ss_fail(SS_INTERNAL, "a load ended and did not");
}

static enum ss_status load_alone(struct busy *busy)
{
    enum ss_status status = busy->bench->link->table->barrier(busy->bench->link);
    if (!status)
        status = start_load(busy);
    return status ? status : finish_load(busy, 0);
}

/* Before each step; beside loads, the next one begins when one has ended. */
static enum ss_status between_steps(struct busy *busy, int kind)
{
    bool ended = false;
    if (kind == 0)
        return busy->bench->link->table->barrier(busy->bench->link);
    enum ss_status status = look_at_load(busy, kind, &ended);
    return !status && ended ? start_load(busy) : status;
}

/* One text of --steps tokens, two steps under way. */
static enum ss_status decode(struct busy *busy, int kind)
{
    struct bed *bed = &busy->bed;
    struct sequence text = {.prompt = PROMPT, .known = PROMPT};
    uint64_t number = 0, before = 0, last_ns = 0;
    bed_clear(bed);
    enum ss_status status = bed_step(bed, &text, 1, &number);
    if (!status)
        status = bed_await_batch(bed, number);
    if (!status && kind == 1)
        status = start_load(busy);
    for (int i = -LEAD_IN; i < busy->bench->steps + 1 && !status; i++) {
        status = between_steps(busy, kind);
        if (!status)
            status = bed_step(bed, &text, 1, &number);
        if (!status && before)
            status = bed_await_batch(bed, before);
        uint64_t at_ns = before ? bed_batch_ended_ns(bed, before) : 0;
        if (i > 0 && !status)
            busy->gaps[kind][busy->gap_count[kind]++] = (double)(at_ns - last_ns) / 1e9;
        last_ns = at_ns;
        before = number;
    }
    if (!status)
        status = bed_await_batch(bed, number);
    return !status && kind == 1 ? finish_load(busy, kind) : status;
}

/* Where a token comes out: the gaps of the last stage, as its last rank saw them. */
struct gaps {
    double median, p99;
};

static enum ss_status sum_up(struct busy *busy, struct gaps last[2])
{
    struct ss_link *link = busy->bench->link;
    struct gaps mine[2], all[SS_STAGES_MAX * SS_TP_MAX][2];
    for (int kind = 0; kind < 2; kind++) {
        int count = busy->gap_count[kind];
        mine[kind].median = times_median(busy->gaps[kind], count);
        mine[kind].p99 = busy->gaps[kind][(int)(0.99 * (count - 1))]; /* sorted by now */
    }
    enum ss_status status = link->table->all_gather(link, mine, sizeof mine, all);
    memcpy(last, all[link->ranks - 1], sizeof mine);
    return status;
}

static void say(struct busy *busy, const struct gaps gaps[2])
{
    struct bench *bench = busy->bench;
    double alone = times_median(busy->loads[0], busy->load_count[0]);
    double beside = times_median(busy->loads[1], busy->load_count[1]);
    double p99_change = gaps[1].p99 / gaps[0].p99 - 1, load_change = beside / alone - 1;
    json_t *row =
        json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:f}", "what",
                  "busy", "model", bench->model, "tp", bench->tp, "pp", bench->pp, "gaps_each",
                  busy->gap_count[0], "gap_alone_p50_s", gaps[0].median, "gap_alone_p99_s",
                  gaps[0].p99, "gap_beside_p50_s", gaps[1].median, "gap_beside_p99_s", gaps[1].p99,
                  "gap_p99_change", p99_change, "loads_beside", busy->load_count[1], "load_alone_s",
                  alone, "load_beside_s", beside, "load_change", load_change);
    json_array_append_new(bench->rows, row);
    printf("%s (%d,%d): between tokens p50 %.3f, p99 %.3f ms alone; p50 %.3f, p99 %.3f ms beside "
           "%d loads (p99 %+.1f%%); load %.4f s alone, %.4f s beside (%+.1f%%)\n",
           bench->model, bench->tp, bench->pp, 1e3 * gaps[0].median, 1e3 * gaps[0].p99,
           1e3 * gaps[1].median, 1e3 * gaps[1].p99, busy->load_count[1], 100 * p99_change, alone,
           beside, 100 * load_change);
}

static enum ss_status measure(struct busy *busy)
{
    uint64_t number;
    struct gaps gaps[2];
    enum ss_status status = bed_load(&busy->bed, DECODING, &number);
    if (!status)
        status = bed_await_load(&busy->bed, number);
    if (!status)
        status = load_alone(busy); /* touches the pool */
    busy->load_count[0] = 0;
    for (int i = 0; i < LOADS_ALONE && !status; i++)
        status = load_alone(busy);
    /* Turn about, so that what disturbs the machine disturbs both alike. */
    for (int i = 0; i < 2 * ROUNDS && !status; i++)
        status = decode(busy, i % 2);
    if (!status)
        status = sum_up(busy, gaps);
    if (!status && busy->bench->rows)
        say(busy, gaps);
    return status;
}

enum ss_status bench_busy(struct bench *bench, const char *device, double bandwidth)
{
    static struct busy busy;
    bool cuda = strcmp(device, "cuda") == 0;
    busy.bench = bench;
    busy.bed = (struct bed){.link = bench->link,
                            .device_kind = device,
                            .operations = cuda ? "real" : "paced",
                            .model = bench->model,
                            .scale = bench->scale,
                            .tp = bench->tp,
                            .pp = bench->pp,
                            .models = 2,
                            .graphs = bench->graphs,
                            .page_bytes = (uint64_t)2 << 20,
                            .piece_bytes = bench->piece_bytes,
                            .link_bytes_per_s = (uint64_t)bandwidth,
                            .profile = {.memory_bytes_per_s = MEMORY_OVER_LINK * bandwidth,
                                        .flops_per_s = FLOPS_OVER_LINK * bandwidth,
                                        .overhead_s = OVERHEAD_S}};
    enum ss_status status = SS_OK;
    for (int kind = 0; kind < 2 && !status; kind++)
        status = ss_alloc(&busy.gaps[kind], (size_t)bench->steps * ROUNDS, sizeof(double), "gaps");
    if (!status)
        status = bed_open(&busy.bed);
    if (!status) {
        memcpy(bench->description, busy.bed.device->description, sizeof bench->description);
        status = measure(&busy);
    }
    /* Peers of a rank that failed may hang in it: the caller ends the job. */
    if (!status)
        bed_close(&busy.bed);
    ss_free(busy.gaps[0]);
    ss_free(busy.gaps[1]);
    return status;
}
