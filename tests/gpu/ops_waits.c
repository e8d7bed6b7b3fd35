/* Whether operations can be queued behind an unmet wait, as a batch behind a load is: ops_waits
 * [OUT.json]. A product's kernel is the library's, loaded when first used: such calls are reported.
 * Fails where a call stands still though its kernel was loaded before, or a copy does. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "pipeline/ops/ops.h"
#include "tests/contract/check.h"

#define BYTES   ((size_t)256 << 20)
#define HALF_NS (SS_NS_PER_S / 2)

struct bed {
    struct ss_device *device;
    const struct ss_device_ops *ops;
    struct ss_ops *maths;
    struct ss_stream *streams[3]; /* the one that waits, another, and one for copies */
    struct ss_timeline *gate, *copied, *done;
    ss_device_address memory; /* zeros */
    unsigned char *host;
    uint64_t gates, copies, steps;
    json_t *rows;
};

/* A call made from a thread of its own. */
struct call {
    struct bed *bed;
    void (*make)(struct bed *bed, struct ss_stream *stream, uint32_t rows);
    struct ss_stream *stream;
    uint32_t rows;
    atomic_bool returned;
    uint64_t took_ns;
};

/* Ends the wait after a second, whatever stands still. */
static void *raise_gate(void *argument)
{
    struct bed *bed = argument;
    ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_S);
    bed->ops->timeline_raise(bed->gate, bed->gates);
    return 0;
}

static void make_linear(struct bed *bed, struct ss_stream *stream, uint32_t rows)
{
    const struct ss_weight weight = {bed->memory, SS_F16, 1024, 1536};
    const struct ss_weight bias = {bed->memory, SS_F16, 1, 1024};
    MUST(bed->maths->table->linear(bed->maths, stream, bed->memory + (64 << 20),
                                   bed->memory + (128 << 20), rows, &weight, &bias,
                                   SS_ACTIVATION_RELU, false));
}

/* Products of fp32 weights in the small models of the tests, at tp 1 and at tp 2: cuBLASLt has
 * kernels for each small number of rows there. */
#define EACH_ROWS_MAX 64u
static const struct {
    uint32_t rows, columns;
} shapes[] = {{384, 128}, {128, 128}, {512, 128}, {128, 512}, {1506, 128},
              {192, 128}, {128, 64},  {256, 128}, {128, 256}, {753, 128}};

static void make_product(struct bed *bed, struct ss_stream *stream, uint32_t shape, uint32_t rows)
{
    const struct ss_weight weight = {bed->memory, SS_F32, shapes[shape].rows,
                                     shapes[shape].columns};
    MUST(bed->maths->table->linear(bed->maths, stream, bed->memory + (64 << 20),
                                   bed->memory + (128 << 20), rows, &weight, 0, SS_ACTIVATION_NONE,
                                   false));
}

static void make_each_product(struct bed *bed, struct ss_stream *stream, uint32_t shape)
{
    for (uint32_t rows = 1; rows <= EACH_ROWS_MAX; rows++)
        make_product(bed, stream, shape, rows);
}

static void make_others(struct bed *bed, struct ss_stream *stream, uint32_t rows)
{
    const struct ss_ops_table *table = bed->maths->table;
    struct ss_ops *maths = bed->maths;
    ss_device_address zeros = bed->memory, out = zeros + (64 << 20), in = zeros + (128 << 20);
    const struct ss_weight vector = {zeros, SS_BF16, 1, 256}, matrix = {zeros, SS_BF16, 100, 256};
    const struct ss_step step = {rows, 1, in, zeros, zeros, zeros, zeros, zeros, 1, rows, rows};
    const struct ss_kv_layout kv = {zeros + (192 << 20), 1 << 20, 1 << 16, 16, 2, 64};
    const struct ss_token_table tokens = {zeros + (160 << 20), 4, 64};
    MUST(table->gather_tokens(maths, stream, &step, &tokens));
    MUST(table->embed(maths, stream, &step, &matrix, 0, out));
    MUST(table->add_positions(maths, stream, &step, &matrix, 2, out));
    MUST(table->layer_norm(maths, stream, out, in, rows, 256, &vector, &vector, 1e-5f));
    MUST(table->rms_norm(maths, stream, out, in, rows, 256, &vector, 1e-5f));
    MUST(table->add(maths, stream, out, in, rows, 256, &vector));
    MUST(table->silu_multiply(maths, stream, out, in, rows, 256));
    MUST(table->rotate(maths, stream, &step, out, in, 2, 2, 64, zeros));
    MUST(table->attention(maths, stream, &step, &kv, 0, in, 2, 0.125f, out));
    MUST(table->gather_rows(maths, stream, out, in, zeros, rows, 256));
    MUST(table->sample(maths, stream, out, rows, 1, 256, 256, zeros, in, &tokens));
    MUST(table->store_tokens(maths, stream, in, rows, zeros, &tokens));
}

static void *make_call(void *argument)
{
    struct call *call = argument;
    uint64_t begin_ns = ss_now_ns();
    call->make(call->bed, call->stream, call->rows);
    call->took_ns = ss_now_ns() - begin_ns;
    atomic_store(&call->returned, true);
    return 0;
}

/* The longest copy on a stream of its own, until half a second is over. */
static uint64_t longest_copy(struct bed *bed)
{
    uint64_t begin_ns = ss_now_ns(), longest_ns = 1;
    while (ss_now_ns() - begin_ns < HALF_NS) {
        uint64_t before_ns = ss_now_ns();
        MUST(bed->ops->copy_to_device(bed->streams[2], bed->memory + (250 << 20), bed->host,
                                      1 << 20));
        MUST(bed->ops->signal(bed->streams[2], bed->copied, ++bed->copies));
        MUST(bed->ops->timeline_wait(bed->copied, bed->copies, 10 * SS_NS_PER_S));
        uint64_t took_ns = ss_now_ns() - before_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    return longest_ns;
}

/* Makes the call while stream 0 stands in a wait. True if it returned before that ended. */
static bool try(struct bed *bed, const char *what, struct call call)
{
    pthread_t thread, gate;
    MUST(bed->ops->wait(bed->streams[0], bed->gate, ++bed->gates));
    call.bed = bed;
    pthread_create(&gate, 0, raise_gate, bed);
    pthread_create(&thread, 0, make_call, &call);
    uint64_t copy_ns = longest_copy(bed);
    bool returned = atomic_load(&call.returned) && call.took_ns < HALF_NS;
    pthread_join(gate, 0);
    pthread_join(thread, 0);
    MUST(bed->ops->signal(call.stream, bed->done, ++bed->steps));
    MUST(bed->ops->timeline_wait(bed->done, bed->steps, 10 * SS_NS_PER_S));
    printf("%-62s %s, %8.3f ms; longest copy elsewhere %8.3f ms\n", what,
           returned ? "returns     " : "STANDS STILL", (double)call.took_ns / 1e6,
           (double)copy_ns / 1e6);
    json_array_append_new(bed->rows, json_pack("{s:s, s:b, s:f, s:f}", "what", what, "returned",
                                               returned, "took_s", (double)call.took_ns / 1e9,
                                               "longest_copy_s", (double)copy_ns / 1e9));
    return returned && copy_ns < HALF_NS;
}

static void open_bed(struct bed *bed)
{
    const struct ss_device_options device = {.kind = "cuda"};
    const struct ss_ops_options maths = {.kind = "real"};
    MUST(ss_device_create(&device, &bed->device));
    bed->ops = bed->device->ops;
    MUST(ss_ops_create(bed->device, &maths, &bed->maths));
    for (int i = 0; i < 3; i++)
        MUST(bed->ops->stream_create(bed->device, SS_STREAM_COMPUTE, &bed->streams[i]));
    MUST(bed->ops->timeline_create(bed->device, &bed->gate));
    MUST(bed->ops->timeline_create(bed->device, &bed->copied));
    MUST(bed->ops->timeline_create(bed->device, &bed->done));
    bed->host =
        mmap(0, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bed->host == MAP_FAILED)
        exit(1);
    MUST(bed->ops->host_register(bed->device, bed->host, BYTES));
    MUST(bed->ops->alloc(bed->device, BYTES, &bed->memory));
    MUST(bed->ops->copy_to_device(bed->streams[2], bed->memory, bed->host, BYTES));
    MUST(bed->ops->signal(bed->streams[2], bed->copied, ++bed->copies));
    MUST(bed->ops->timeline_wait(bed->copied, bed->copies, 10 * SS_NS_PER_S));
}

int main(int count, char **arguments)
{
    struct bed bed = {.rows = json_array()};
    setvbuf(stdout, 0, _IOLBF, 0);
    open_bed(&bed);
    struct ss_stream *const *s = bed.streams;
    struct call others = {.make = make_others, .stream = s[0], .rows = 3};
    CHECK(try(&bed, "all but products, first use, behind the wait", others));
    static const struct {
        const char *what;
        int stream;
        uint32_t rows;
        bool loaded;
    } products[] = {{"product of few rows, first use, behind the wait", 0, 1, true},
                    {"product, the library's first, on another stream", 1, 12, false},
                    {"product, the same again, behind the wait", 0, 12, true},
                    {"product, another kernel, on another stream", 1, 600, false},
                    {"product, that kernel, other rows, behind the wait", 0, 700, true},
                    {"product, another kernel, behind the wait", 0, 40, false},
                    {"product, that kernel, other rows, behind the wait", 0, 50, true}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        struct call call = {
            .make = make_linear, .stream = s[products[i].stream], .rows = products[i].rows};
        bool passed = try(&bed, products[i].what, call);
        CHECK(passed || !products[i].loaded);
    }
    for (uint32_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        struct call each = {.make = make_each_product, .stream = s[0], .rows = shape};
        char what[80];
        for (uint32_t rows = 1; rows <= EACH_ROWS_MAX; rows *= 2)
            make_product(&bed, s[0], shape, rows);
        snprintf(what, sizeof what, "fp32 %u x %u, 1 to 64 rows after the powers of two",
                 shapes[shape].rows, shapes[shape].columns);
        (void)try(&bed, what, each);
        CHECK(try(&bed, "  the same again", each));
    }
    if (count > 1)
        json_dump_file(bed.rows, arguments[1], JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(bed.rows);
    for (int i = 0; i < 3; i++)
        bed.ops->stream_destroy(bed.streams[i]);
    bed.ops->timeline_destroy(bed.gate);
    bed.ops->timeline_destroy(bed.copied);
    bed.ops->timeline_destroy(bed.done);
    bed.maths->table->destroy(bed.maths);
    bed.ops->free(bed.device, bed.memory);
    bed.ops->host_unregister(bed.device, bed.host, BYTES);
    munmap(bed.host, BYTES);
    CHECK(bed.ops->health(bed.device) == SS_OK);
    bed.ops->destroy(bed.device);
    return checks_failed != 0;
}
