/* Whether a GPU's streams carry timelines as swap/device/device.h promises, where its queues are
 * shared or full, and what a wait costs: stream_waits [OUT.json].
 *
 * Fails where work that no unmet wait stands before does not progress. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "swap/device/cuda/cuda.h"
#include "tests/contract/check.h"

#define BYTES       ((size_t)64 << 20)
#define STREAMS_MAX 96
#define SECOND_NS   SS_NS_PER_S
#define DEPTH       6000

int probe_launch(void *stream, unsigned long long word, int number);

struct bed {
    struct ss_device *device;
    const struct ss_device_ops *ops;
    unsigned char *host;
    ss_device_address memory;
    struct ss_stream *streams[STREAMS_MAX];
    struct ss_timeline *timelines[STREAMS_MAX];
    json_t *rows;
};

static void launch(struct bed *bed, struct ss_stream *stream, int number)
{
    MUST(ss_cuda_check(bed->device,
                       probe_launch(ss_cuda_stream_native(stream), bed->memory, number), "probe"));
}

static void open_streams(struct bed *bed, int count)
{
    for (int i = 0; i < count; i++) {
        MUST(bed->ops->stream_create(bed->device, SS_STREAM_COMPUTE, &bed->streams[i]));
        MUST(bed->ops->timeline_create(bed->device, &bed->timelines[i]));
    }
}

static void close_streams(struct bed *bed, int count)
{
    for (int i = 0; i < count; i++)
        bed->ops->timeline_raise(bed->timelines[i], UINT64_MAX);
    for (int i = 0; i < count; i++)
        bed->ops->stream_destroy(bed->streams[i]);
    for (int i = 0; i < count; i++)
        bed->ops->timeline_destroy(bed->timelines[i]);
}

/* Stream k waits for stream k + 1, and all waits are queued before the signals they wait for. */
static bool chain_holds(struct bed *bed, int count, bool kernels)
{
    open_streams(bed, count);
    for (int i = 0; i < count; i++) {
        if (i + 1 < count)
            MUST(bed->ops->wait(bed->streams[i], bed->timelines[i + 1], 1));
        if (kernels)
            launch(bed, bed->streams[i], 0);
        else
            MUST(bed->ops->copy_to_device(bed->streams[i], bed->memory, bed->host, 4096));
        MUST(bed->ops->signal(bed->streams[i], bed->timelines[i], 1));
    }
    bool good = !bed->ops->timeline_wait(bed->timelines[0], 1, 2 * SECOND_NS);
    close_streams(bed, count);
    return good;
}

static void chains(struct bed *bed)
{
    static const int counts[] = {4, 8, 12, 16, 24, 32, 33, 40, 64, 96};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int kernels = 0; kernels < 2; kernels++) {
            bool good = chain_holds(bed, counts[i], kernels);
            printf("chain of %2d streams with %s: %s\n", counts[i], kernels ? "kernels" : "copies",
                   good ? "runs" : "STANDS STILL");
            json_array_append_new(bed->rows,
                                  json_pack("{s:s, s:i, s:b, s:b}", "what", "chain", "streams",
                                            counts[i], "kernels", kernels, "runs", good));
            CHECK(good || counts[i] > 16);
        }
}

/* A thread that queues DEPTH pieces of work behind an unmet wait, or a kernel never launched. */
struct filler {
    struct bed *bed;
    struct ss_stream *stream;
    int what; /* 0: kernels, 1: copies on the device, 2: signals, 3: host calls */
    atomic_int queued;
    atomic_ullong longest_ns;
};

static void nothing(void *argument)
{
    (void)argument;
}

static void *fill_stream(void *argument)
{
    struct filler *filler = argument;
    struct bed *bed = filler->bed;
    for (int i = 0; i < DEPTH; i++) {
        uint64_t begin_ns = ss_now_ns();
        if (filler->what == 0)
            launch(bed, filler->stream, 0);
        else if (filler->what == 1)
            MUST(bed->ops->copy_on_device(filler->stream, bed->memory, bed->memory + 8192, 4096));
        else if (filler->what == 2)
            MUST(bed->ops->signal(filler->stream, bed->timelines[2], (uint64_t)i + 1));
        else
            MUST(bed->ops->host_call(filler->stream, nothing, 0));
        uint64_t took_ns = ss_now_ns() - begin_ns;
        if (took_ns > atomic_load(&filler->longest_ns))
            atomic_store(&filler->longest_ns, took_ns);
        atomic_fetch_add(&filler->queued, 1);
    }
    return 0;
}

/* Copies on another stream, from this thread, for a second: the longest, or 0 if one stood still.
 */
static uint64_t longest_copy(struct bed *bed)
{
    uint64_t begin_ns = ss_now_ns(), longest_ns = 0;
    for (uint64_t i = 1; ss_now_ns() - begin_ns < SECOND_NS; i++) {
        uint64_t before_ns = ss_now_ns();
        MUST(bed->ops->copy_to_device(bed->streams[1], bed->memory + 65536, bed->host, 1 << 20));
        MUST(bed->ops->signal(bed->streams[1], bed->timelines[1], i));
        if (bed->ops->timeline_wait(bed->timelines[1], i, 5 * SECOND_NS))
            return 0;
        uint64_t took_ns = ss_now_ns() - before_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    return longest_ns;
}

static void depth(struct bed *bed)
{
    static const char *const names[] = {"kernels", "device copies", "signals", "host calls"};
    for (int what = 0; what < 4; what++) {
        pthread_t thread;
        struct filler filler = {.bed = bed, .what = what};
        open_streams(bed, 3);
        filler.stream = bed->streams[0];
        MUST(bed->ops->wait(filler.stream, bed->timelines[0], 1));
        pthread_create(&thread, 0, fill_stream, &filler);
        uint64_t copy_ns = longest_copy(bed);
        int queued = atomic_load(&filler.queued);
        /* What ends the wait is itself queued while the other thread may stand in a full queue. */
        MUST(bed->ops->signal(bed->streams[1], bed->timelines[0], 1));
        bool ended = !bed->ops->timeline_wait(bed->timelines[0], 1, 5 * SECOND_NS);
        bed->ops->timeline_raise(bed->timelines[0], 1);
        pthread_join(thread, 0);
        printf("behind a wait: %d of %d %s queued; longest call %.3f ms; longest 1 MiB copy "
               "elsewhere %.3f ms%s\n",
               queued, DEPTH, names[what], (double)atomic_load(&filler.longest_ns) / 1e6,
               (double)copy_ns / 1e6, ended ? "" : "; THE SIGNAL STOOD STILL");
        json_array_append_new(
            bed->rows, json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:b}", "what", "depth", "work",
                                 names[what], "asked", DEPTH, "queued", queued, "longest_call_s",
                                 (double)atomic_load(&filler.longest_ns) / 1e9, "longest_copy_s",
                                 (double)copy_ns / 1e9, "signal_passed", ended));
        CHECK(ended && copy_ns > 0);
        close_streams(bed, 3);
    }
}

static void *first_launch(void *argument)
{
    struct filler *filler = argument;
    uint64_t begin_ns = ss_now_ns();
    launch(filler->bed, filler->stream, filler->what);
    atomic_store(&filler->longest_ns, ss_now_ns() - begin_ns);
    atomic_store(&filler->queued, 1);
    return 0;
}

/* The first launch of a kernel loads its code: does that wait for the device to be idle? */
static void first_launches(struct bed *bed)
{
    for (int other = 0; other < 2; other++) {
        pthread_t thread;
        struct filler filler = {.bed = bed, .what = 1 + other};
        open_streams(bed, 2);
        filler.stream = bed->streams[other];
        MUST(bed->ops->wait(bed->streams[0], bed->timelines[0], 1));
        pthread_create(&thread, 0, first_launch, &filler);
        ss_sleep_until_ns(ss_now_ns() + SECOND_NS);
        bool returned = atomic_load(&filler.queued);
        bed->ops->timeline_raise(bed->timelines[0], 1);
        pthread_join(thread, 0);
        double took_s = (double)atomic_load(&filler.longest_ns) / 1e9;
        printf("first launch of a kernel behind a wait on %s stream: %s, %.3f ms\n",
               other ? "another" : "the same", returned ? "returns" : "STANDS STILL", took_s * 1e3);
        json_array_append_new(bed->rows, json_pack("{s:s, s:b, s:b, s:f}", "what", "first_launch",
                                                   "other_stream", other, "returned", returned,
                                                   "took_s", took_s));
        close_streams(bed, 2);
    }
}

static void report_time(struct bed *bed, const char *what, double seconds)
{
    printf("%-58s %8.3f us\n", what, seconds * 1e6);
    json_array_append_new(bed->rows, json_pack("{s:s, s:f}", "what", what, "seconds", seconds));
}

static void costs(struct bed *bed)
{
    enum { ROUNDS = 500 };
    uint64_t begin_ns;
    open_streams(bed, 3);
    struct ss_stream *const *s = bed->streams;
    struct ss_timeline *const *t = bed->timelines;
    MUST(bed->ops->wait(s[0], t[2], 1));
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bed->ops->signal(s[0], t[0], i));
        MUST(bed->ops->wait(s[0], t[1], i));
    }
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bed->ops->wait(s[1], t[0], i));
        MUST(bed->ops->signal(s[1], t[1], i));
    }
    begin_ns = ss_now_ns();
    bed->ops->timeline_raise(t[2], 1);
    MUST(bed->ops->timeline_wait(t[1], ROUNDS, 20 * SECOND_NS));
    report_time(bed, "signal to wait on another stream, each",
                (double)(ss_now_ns() - begin_ns) / 1e9 / (2 * ROUNDS));
    begin_ns = ss_now_ns();
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bed->ops->signal(s[2], t[2], i + 1));
        while (bed->ops->timeline_value(t[2]) < i + 1)
            ;
    }
    report_time(bed, "signal queued until the host sees it",
                (double)(ss_now_ns() - begin_ns) / 1e9 / ROUNDS);
    begin_ns = ss_now_ns();
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bed->ops->wait(s[1], t[0], ROUNDS + i));
        MUST(bed->ops->signal(s[1], t[1], ROUNDS + i));
        bed->ops->timeline_raise(t[0], ROUNDS + i);
        while (bed->ops->timeline_value(t[1]) < ROUNDS + i)
            ;
    }
    report_time(bed, "host raises, a stream's wait ends, the host sees its signal",
                (double)(ss_now_ns() - begin_ns) / 1e9 / ROUNDS);
    begin_ns = ss_now_ns();
    for (uint64_t i = 1; i <= ROUNDS; i++)
        MUST(bed->ops->signal(s[0], t[0], 2 * ROUNDS + i));
    report_time(bed, "host time to queue a signal",
                (double)(ss_now_ns() - begin_ns) / 1e9 / ROUNDS);
    MUST(bed->ops->timeline_wait(t[0], 3 * ROUNDS, 5 * SECOND_NS));
    close_streams(bed, 3);
}

/* Waits that stand: do they take time from the kernels and copies of others? */
static void bystanders(struct bed *bed)
{
    static const int counts[] = {0, 1, 4, 8};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        int n = counts[c];
        double seconds[2];
        open_streams(bed, n + 2);
        for (int i = 2; i < n + 2; i++)
            MUST(bed->ops->wait(bed->streams[i], bed->timelines[i], 1));
        launch(bed, bed->streams[0], 0); /* the first one loads it */
        for (int copies = 0; copies < 2; copies++) {
            uint64_t begin_ns = ss_now_ns();
            for (int i = 0; i < (copies ? 16 : 2000); i++) {
                if (copies)
                    MUST(bed->ops->copy_to_device(bed->streams[1], bed->memory, bed->host, BYTES));
                else
                    launch(bed, bed->streams[0], 0);
            }
            MUST(bed->ops->signal(bed->streams[copies], bed->timelines[copies], 1));
            MUST(bed->ops->timeline_wait(bed->timelines[copies], 1, 20 * SECOND_NS));
            seconds[copies] = (double)(ss_now_ns() - begin_ns) / 1e9;
        }
        double rate = 16.0 * (double)BYTES / seconds[1] / 1e9;
        printf("%d streams in waits: a kernel %.3f us, copies %.2f GB/s\n", n, seconds[0] / 2e-3,
               rate);
        json_array_append_new(bed->rows,
                              json_pack("{s:s, s:i, s:f, s:f}", "what", "bystanders", "waiting", n,
                                        "kernel_s", seconds[0] / 2000, "copy_gb_per_s", rate));
        close_streams(bed, n + 2);
    }
}

int main(int count, char **arguments)
{
    const struct ss_device_options options = {.kind = "cuda"};
    struct bed bed = {.rows = json_array()};
    MUST(ss_device_create(&options, &bed.device));
    bed.ops = bed.device->ops;
    printf("%s\n", bed.device->description);
    bed.host =
        mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bed.host == MAP_FAILED)
        return 1;
    MUST(bed.ops->host_register(bed.device, bed.host, BYTES));
    MUST(bed.ops->alloc(bed.device, BYTES, &bed.memory));
    first_launches(&bed);
    costs(&bed);
    bystanders(&bed);
    depth(&bed);
    chains(&bed);
    if (count > 1)
        json_dump_file(bed.rows, arguments[1], JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(bed.rows);
    bed.ops->free(bed.device, bed.memory);
    bed.ops->host_unregister(bed.device, bed.host, BYTES);
    munmap(bed.host, BYTES);
    bed.ops->destroy(bed.device);
    return checks_failed != 0;
}
