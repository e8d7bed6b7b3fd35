/* What every device backend promises (swap/device/device.h), as a program: device KIND.
 *
 * It reaches device memory through copies alone, so it runs the same on an accelerator. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "tests/contract/device_cases.h"

#define MEMORY_BYTES ((size_t)64 << 20)
#define HOST_BYTES   ((size_t)8 << 20)
#define LONG_NS      (60 * SS_NS_PER_S)

struct bench {
    struct ss_device *device;
    const struct ss_device_ops *ops;
    unsigned char *host; /* HOST_BYTES, registered */
    struct ss_stream *load, *compute, *unload;
    struct ss_timeline *a, *b;
};

static struct ss_device *open_device(void)
{
    const struct ss_device_options options = {.kind = kind, .memory_bytes = MEMORY_BYTES};
    struct ss_device *device;
    MUST(ss_device_create(&options, &device));
    return device;
}

static void set_up(struct bench *bench)
{
    bench->device = open_device();
    bench->ops = bench->device->ops;
    bench->host = mmap(0, HOST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bench->host == MAP_FAILED)
        exit(1);
    MUST(bench->ops->host_register(bench->device, bench->host, HOST_BYTES));
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_LOAD, &bench->load));
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_COMPUTE, &bench->compute));
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_UNLOAD, &bench->unload));
    MUST(bench->ops->timeline_create(bench->device, &bench->a));
    MUST(bench->ops->timeline_create(bench->device, &bench->b));
}

static void tear_down(struct bench *bench)
{
    bench->ops->stream_destroy(bench->load);
    bench->ops->stream_destroy(bench->compute);
    bench->ops->stream_destroy(bench->unload);
    bench->ops->timeline_destroy(bench->a);
    bench->ops->timeline_destroy(bench->b);
    bench->ops->host_unregister(bench->device, bench->host, HOST_BYTES);
    munmap(bench->host, HOST_BYTES);
    bench->ops->destroy(bench->device);
}

static void fill(unsigned char *bytes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)((i * 2654435761u + seed * 40503u) >> 11);
}

static void finish(struct bench *bench, struct ss_stream *stream)
{
    struct ss_timeline *done;
    MUST(bench->ops->timeline_create(bench->device, &done));
    MUST(bench->ops->signal(stream, done, 1));
    MUST(bench->ops->timeline_wait(done, 1, LONG_NS));
    bench->ops->timeline_destroy(done);
}

static void copies_of_odd_sizes(struct bench *bench)
{
    static const size_t sizes[] = {0, 1, 3, 255, 4097, 65537, ((size_t)1 << 20) + 7};
    unsigned char *sent = bench->host, *got = bench->host + HOST_BYTES / 2;
    ss_device_address first, second;
    MUST(bench->ops->alloc(bench->device, (size_t)2 << 20, &first));
    MUST(bench->ops->alloc(bench->device, (size_t)2 << 20, &second));
    CHECK(first % 256 == 0 && second % 256 == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t bytes = sizes[i];
        fill(sent, bytes, (unsigned)i);
        memset(got, 0, bytes + 1);
        got[bytes] = 0x5c;
        MUST(bench->ops->copy_to_device(bench->load, first + i, sent, bytes));
        MUST(bench->ops->copy_on_device(bench->load, second + 3 * i, first + i, bytes));
        MUST(bench->ops->copy_to_host(bench->load, got, second + 3 * i, bytes));
        finish(bench, bench->load);
        CHECK(memcmp(sent, got, bytes) == 0);
        CHECK(got[bytes] == 0x5c);
    }
    bench->ops->free(bench->device, first);
    bench->ops->free(bench->device, second);
}

static void a_stream_keeps_its_order(struct bench *bench)
{
    enum { ROUNDS = 3000, BYTES = 512 };
    ss_device_address memory;
    unsigned char *got = bench->host + ROUNDS * BYTES;
    MUST(bench->ops->alloc(bench->device, BYTES, &memory));
    for (int i = 0; i < ROUNDS; i++)
        fill(bench->host + i * BYTES, BYTES, (unsigned)i);
    /* More than any queue holds at first, all to one place; the last must win each time. */
    for (int i = 0; i < ROUNDS; i++)
        MUST(bench->ops->copy_to_device(bench->compute, memory, bench->host + i * BYTES, BYTES));
    MUST(bench->ops->copy_to_host(bench->compute, got, memory, BYTES));
    finish(bench, bench->compute);
    CHECK(memcmp(got, bench->host + (ROUNDS - 1) * BYTES, BYTES) == 0);
    bench->ops->free(bench->device, memory);
}

static void a_wait_may_come_before_its_signal(struct bench *bench)
{
    enum { BYTES = 1 << 16 };
    ss_device_address memory;
    unsigned char *got = bench->host + BYTES;
    MUST(bench->ops->alloc(bench->device, BYTES, &memory));
    fill(bench->host, BYTES, 5);
    memset(got, 0, BYTES);
    MUST(bench->ops->wait(bench->unload, bench->a, 7));
    MUST(bench->ops->copy_to_host(bench->unload, got, memory, BYTES));
    MUST(bench->ops->signal(bench->unload, bench->b, 1));
    usleep(20000);
    CHECK(bench->ops->timeline_value(bench->b) == 0);
    MUST(bench->ops->signal(bench->load, bench->a, 6));
    usleep(20000);
    CHECK(bench->ops->timeline_value(bench->b) == 0);
    MUST(bench->ops->copy_to_device(bench->load, memory, bench->host, BYTES));
    MUST(bench->ops->signal(bench->load, bench->a, 7));
    MUST(bench->ops->timeline_wait(bench->b, 1, LONG_NS));
    CHECK(memcmp(bench->host, got, BYTES) == 0);
    CHECK(bench->ops->timeline_value(bench->a) == 7);
    bench->ops->free(bench->device, memory);
}

static void streams_depend_on_each_other(struct bench *bench)
{
    enum { ROUNDS = 200, BYTES = 4096 };
    ss_device_address left, right;
    unsigned char *got = bench->host + (ROUNDS + 1) * BYTES;
    MUST(bench->ops->alloc(bench->device, BYTES, &left));
    MUST(bench->ops->alloc(bench->device, BYTES, &right));
    for (int i = 1; i <= ROUNDS; i++)
        fill(bench->host + i * BYTES, BYTES, (unsigned)i);
    /* Round i: LOAD writes left when COMPUTE has taken what was there; both are queued at once. */
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bench->ops->wait(bench->load, bench->b, i - 1));
        MUST(bench->ops->copy_to_device(bench->load, left, bench->host + i * BYTES, BYTES));
        MUST(bench->ops->signal(bench->load, bench->a, i));
    }
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        MUST(bench->ops->wait(bench->compute, bench->a, i));
        MUST(bench->ops->copy_on_device(bench->compute, right, left, BYTES));
        MUST(bench->ops->copy_to_host(bench->compute, got + i * BYTES, right, BYTES));
        MUST(bench->ops->signal(bench->compute, bench->b, i));
    }
    MUST(bench->ops->timeline_wait(bench->b, ROUNDS, LONG_NS));
    for (int i = 1; i <= ROUNDS; i++)
        CHECK(memcmp(bench->host + i * BYTES, got + i * BYTES, BYTES) == 0);
    bench->ops->free(bench->device, left);
    bench->ops->free(bench->device, right);
}

static void the_host_waits_and_raises(struct bench *bench)
{
    uint64_t begin_ns = ss_now_ns();
    CHECK(bench->ops->timeline_wait(bench->a, 1, 30 * SS_NS_PER_MS) == SS_TIMEOUT);
    CHECK(ss_now_ns() - begin_ns >= 30 * SS_NS_PER_MS);
    CHECK(bench->ops->timeline_wait(bench->a, 1, 0) == SS_TIMEOUT);
    CHECK(bench->ops->timeline_wait(bench->a, 0, 0) == SS_OK);
    MUST(bench->ops->wait(bench->compute, bench->a, 5));
    MUST(bench->ops->signal(bench->compute, bench->b, 1));
    bench->ops->timeline_raise(bench->a, 5);
    CHECK(bench->ops->timeline_value(bench->a) == 5);
    CHECK(bench->ops->timeline_wait(bench->b, 1, UINT64_MAX) == SS_OK);
    bench->ops->timeline_raise(bench->a, 3);
    CHECK(bench->ops->timeline_value(bench->a) == 5);
}

struct note {
    const unsigned char *from, *to;
    size_t bytes;
    int seen;    /* bytes that were right when the call ran */
    int *before; /* calls of the stream so far */
    int order;
};

static void take_note(void *argument)
{
    struct note *note = argument;
    for (size_t i = 0; i < note->bytes; i++)
        note->seen += note->from[i] == note->to[i];
    note->order = (*note->before)++;
}

static void host_calls_keep_their_place(struct bench *bench)
{
    enum { BYTES = 256 << 10, CALLS = 3 };
    unsigned char *sent = bench->host, *got = sent + BYTES;
    struct note notes[CALLS];
    struct ss_stream *stream;
    int before = 0;
    ss_device_address memory;
    MUST(bench->ops->alloc(bench->device, BYTES, &memory));
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_COMPUTE, &stream));
    fill(sent, BYTES, 9);
    memset(got, 0, BYTES);
    MUST(bench->ops->copy_to_device(stream, memory, sent, BYTES));
    MUST(bench->ops->copy_to_host(stream, got, memory, BYTES));
    for (int i = 0; i < CALLS; i++) {
        notes[i] = (struct note){.from = sent, .to = got, .bytes = BYTES, .before = &before};
        MUST(bench->ops->host_call(stream, take_note, &notes[i]));
    }
    bench->ops->stream_destroy(stream);
    for (int i = 0; i < CALLS; i++)
        CHECK(notes[i].seen == BYTES && notes[i].order == i);
    bench->ops->free(bench->device, memory);
}

/* From the host, to it, and on the device; sizes with and without a tail; all in one go. */
static void small_copies_go_all_ways(struct bench *bench)
{
    enum { PART = 8192 };
    static const uint32_t sizes[] = {1, 4, 16, 100, 4096, 4095};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    unsigned char *sent = bench->host, *got = sent + SIZES * PART;
    struct ss_small_copy in[SIZES], across[SIZES], out[SIZES];
    ss_device_address memory;
    uint64_t counted = ss_device_bytes_to_device(bench->device);
    MUST(bench->ops->alloc(bench->device, 2 * SIZES * PART, &memory));
    fill(sent, SIZES * PART, 5);
    memset(got, 0, SIZES * PART);
    for (uint32_t i = 0; i < SIZES; i++) {
        ss_device_address first = memory + i * PART, second = memory + (SIZES + i) * PART;
        in[i] = (struct ss_small_copy){first, (uintptr_t)(sent + i * PART), sizes[i]};
        across[i] = (struct ss_small_copy){second, first, sizes[i]};
        out[i] = (struct ss_small_copy){(uintptr_t)(got + i * PART), second, sizes[i]};
    }
    for (int again = 0; again < 2; again++) {
        MUST(bench->ops->copy_small(bench->compute, in, SIZES));
        MUST(bench->ops->copy_small(bench->compute, across, SIZES));
        MUST(bench->ops->copy_small(bench->compute, out, SIZES));
        finish(bench, bench->compute);
        for (uint32_t i = 0; i < SIZES; i++)
            CHECK(memcmp(got + i * PART, sent + i * PART, sizes[i]) == 0 &&
                  got[i * PART + sizes[i]] == 0);
        fill(sent, SIZES * PART, 6); /* written again, read again */
    }
    CHECK(ss_device_bytes_to_device(bench->device) == counted);
    bench->ops->free(bench->device, memory);
}

/* What was recorded runs when it is played, each time anew; recorded again, at other addresses. */
static void recordings_are_played(struct bench *bench)
{
    enum { BYTES = 4096 };
    unsigned char *sent = bench->host, *got = sent + BYTES;
    struct ss_recording *recording = 0;
    ss_device_address memory;
    MUST(bench->ops->alloc(bench->device, 2 * BYTES, &memory));
    for (unsigned place = 0; place < 2; place++) {
        ss_device_address at = memory + place * BYTES;
        const struct ss_small_copy in = {at, (uintptr_t)sent, BYTES};
        const struct ss_small_copy out = {(uintptr_t)got, at, BYTES};
        memset(got, 0, BYTES);
        MUST(bench->ops->record_begin(bench->compute));
        MUST(bench->ops->copy_small(bench->compute, &in, 1));
        MUST(bench->ops->copy_small(bench->compute, &out, 1));
        MUST(bench->ops->record_end(bench->compute, &recording));
        finish(bench, bench->compute);
        CHECK(got[0] == 0 && memcmp(got, got + 1, BYTES - 1) == 0);
        for (unsigned seed = 1; seed < 4; seed++) {
            fill(sent, BYTES, seed + 10 * place);
            MUST(bench->ops->play(bench->compute, recording));
            finish(bench, bench->compute);
            CHECK(memcmp(got, sent, BYTES) == 0);
        }
    }
    bench->ops->recording_destroy(bench->device, recording);
    MUST(bench->ops->record_begin(bench->compute));
    bench->ops->record_abort(bench->compute);
    CHECK(bench->ops->health(bench->device) == SS_OK);
    bench->ops->free(bench->device, memory);
}

static void bytes_are_counted(struct bench *bench)
{
    ss_device_address memory;
    uint64_t in = ss_device_bytes_to_device(bench->device);
    uint64_t out = ss_device_bytes_to_host(bench->device);
    MUST(bench->ops->alloc(bench->device, 1 << 20, &memory));
    MUST(bench->ops->copy_to_device(bench->load, memory, bench->host, 100001));
    MUST(bench->ops->copy_to_device(bench->load, memory + 500000, bench->host, 99));
    MUST(bench->ops->copy_on_device(bench->load, memory + 600000, memory, 4096));
    finish(bench, bench->load);
    CHECK(ss_device_bytes_to_device(bench->device) - in == 100100);
    CHECK(ss_device_bytes_to_host(bench->device) == out);
    MUST(bench->ops->copy_to_host(bench->unload, bench->host, memory, 777));
    finish(bench, bench->unload);
    CHECK(ss_device_bytes_to_host(bench->device) - out == 777);
    CHECK(ss_device_bytes_to_device(bench->device) - in == 100100);
    bench->ops->free(bench->device, memory);
}

static void capacity_is_enforced(struct bench *bench)
{
    ss_device_address memory = 1, rest = 2;
    CHECK(bench->device->memory_bytes > 0);
    CHECK(bench->ops->alloc(bench->device, bench->device->memory_bytes + 1, &memory) ==
          SS_NO_MEMORY);
    CHECK(memory == 1);
    CHECK(strstr(ss_status_message(), "free"));
    MUST(bench->ops->alloc(bench->device, bench->device->memory_bytes / 2 + 1, &memory));
    CHECK(bench->ops->alloc(bench->device, bench->device->memory_bytes / 2 + 1, &rest) ==
          SS_NO_MEMORY);
    CHECK(rest == 2);
    bench->ops->free(bench->device, memory);
    MUST(bench->ops->alloc(bench->device, bench->device->memory_bytes / 2 + 1, &memory));
    bench->ops->free(bench->device, memory);
    CHECK(bench->ops->health(bench->device) == SS_OK);
}

static void raise_flag(void *argument)
{
    atomic_int *flag = argument;
    usleep(10000);
    atomic_fetch_add(flag, 1);
}

static void destroying_a_stream_waits_for_its_work(struct bench *bench)
{
    enum { CALLS = 5 };
    atomic_int flag = 0;
    struct ss_stream *stream;
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_EDGE, &stream));
    for (int i = 0; i < CALLS; i++)
        MUST(bench->ops->host_call(stream, raise_flag, &flag));
    bench->ops->stream_destroy(stream);
    CHECK(flag == CALLS);
}

/* Opens, works and closes; returns the first failure that a call or the health reports. */
static enum ss_status short_life(unsigned char *host)
{
    const struct ss_device_options options = {.kind = kind, .memory_bytes = MEMORY_BYTES};
    enum { BYTES = 4096 };
    struct ss_device *device;
    struct ss_stream *stream = 0;
    struct ss_timeline *timeline = 0;
    ss_device_address memory = 0;
    enum ss_status status = ss_device_create(&options, &device);
    if (status)
        return status;
    const struct ss_device_ops *ops = device->ops;
    enum ss_status registered = ops->host_register(device, host, BYTES);
    status = registered;
    if (!status)
        status = ops->alloc(device, BYTES, &memory);
    if (!status)
        status = ops->stream_create(device, SS_STREAM_LOAD, &stream);
    if (!status)
        status = ops->timeline_create(device, &timeline);
    if (!status)
        status = ops->copy_to_device(stream, memory, host, BYTES);
    if (!status)
        status = ops->copy_to_host(stream, host, memory, BYTES);
    if (!status)
        status = ops->signal(stream, timeline, 1);
    if (!status)
        status = ops->wait(stream, timeline, 1);
    if (!status)
        status = ops->timeline_wait(timeline, 1, LONG_NS);
    if (!status) {
        status = ops->health(device);
        /* Failed once, failed for good. */
        CHECK(ops->health(device) == status);
    }
    if (stream)
        ops->stream_destroy(stream);
    if (timeline)
        ops->timeline_destroy(timeline);
    if (memory)
        ops->free(device, memory);
    if (!registered)
        ops->host_unregister(device, host, BYTES);
    ops->destroy(device);
    return status;
}

static void planted_faults_are_reported(struct bench *bench)
{
    static const enum ss_fault_kind kinds[] = {SS_FAULT_DEVICE, SS_FAULT_ALLOC};
    /* A device of its own, and so is the page. */
    long page = sysconf(_SC_PAGESIZE);
    (void)bench;
    unsigned char *host =
        mmap(0, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool done = false;
        uint64_t nth = 1;
        for (; !done && nth < 1000; nth++) {
            ss_fault_arm(kinds[i], nth);
            enum ss_status status = short_life(host);
            done = ss_fault_count(kinds[i]) < nth;
            ss_fault_arm(kinds[i], 0);
            CHECK(done == (status == SS_OK));
        }
        CHECK(done && nth > 3);
    }
    munmap(host, (size_t)page);
}

static void a_failed_device_stays_failed(struct bench *bench)
{
    enum { BYTES = 4096 };
    ss_device_address memory;
    MUST(bench->ops->alloc(bench->device, BYTES, &memory));
    ss_fault_arm(SS_FAULT_DEVICE, 1);
    CHECK(bench->ops->copy_to_device(bench->load, memory, bench->host, BYTES) != SS_OK);
    ss_fault_arm(SS_FAULT_DEVICE, 0);
    enum ss_status status = bench->ops->health(bench->device);
    CHECK(status != SS_OK);
    CHECK(strstr(ss_status_message(), "copy_to_device"));
    CHECK(bench->ops->health(bench->device) == status);
    bench->ops->free(bench->device, memory);
}

static const struct device_case cases[] = {
    {"copies_of_odd_sizes", copies_of_odd_sizes},
    {"a_stream_keeps_its_order", a_stream_keeps_its_order},
    {"a_wait_may_come_before_its_signal", a_wait_may_come_before_its_signal},
    {"streams_depend_on_each_other", streams_depend_on_each_other},
    {"the_host_waits_and_raises", the_host_waits_and_raises},
    {"host_calls_keep_their_place", host_calls_keep_their_place},
    {"small_copies_go_all_ways", small_copies_go_all_ways},
    {"recordings_are_played", recordings_are_played},
    {"bytes_are_counted", bytes_are_counted},
    {"capacity_is_enforced", capacity_is_enforced},
    {"destroying_a_stream_waits_for_its_work", destroying_a_stream_waits_for_its_work},
    {"planted_faults_are_reported", planted_faults_are_reported},
    {"a_failed_device_stays_failed", a_failed_device_stays_failed},
};

int main(int count, char **arguments)
{
    static struct bench bench;
    return run_device_cases(count, arguments, cases, sizeof cases / sizeof *cases, &bench, set_up,
                            tear_down);
}
