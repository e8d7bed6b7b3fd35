/* What the CPU device promises beyond the contract of all devices. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "swap/device/cpu/cpu.h"
#include "swap/transfer.h"

#define LONG_NS (60 * SS_NS_PER_S)

TestSuite(cpu_device, .timeout = 60);

static struct ss_device *open_device(uint64_t link_bytes_per_s, uint64_t link_latency_ns)
{
    const struct ss_device_options options = {.kind = "cpu",
                                              .memory_bytes = (size_t)1 << 30,
                                              .link_bytes_per_s = link_bytes_per_s,
                                              .link_latency_ns = link_latency_ns};
    struct ss_device *device;
    cr_assert_eq(ss_device_create(&options, &device), SS_OK);
    return device;
}

static struct ss_stream *open_stream(struct ss_device *device, enum ss_stream_kind kind)
{
    struct ss_stream *stream;
    cr_assert_eq(device->ops->stream_create(device, kind, &stream), SS_OK);
    return stream;
}

static struct ss_timeline *open_timeline(struct ss_device *device)
{
    struct ss_timeline *timeline;
    cr_assert_eq(device->ops->timeline_create(device, &timeline), SS_OK);
    return timeline;
}

static ss_device_address allocate(struct ss_device *device, size_t bytes)
{
    ss_device_address address;
    cr_assert_eq(device->ops->alloc(device, bytes, &address), SS_OK);
    return address;
}

Test(cpu_device, other_kinds_are_refused_by_name)
{
    const struct ss_device_options options = {.kind = "abacus", .memory_bytes = 1};
    const struct ss_device_options empty = {.kind = "cpu"};
    struct ss_device *device = 0;
    cr_assert_eq(ss_device_create(&options, &device), SS_UNSUPPORTED);
    cr_assert(strstr(ss_status_message(), "abacus") && strstr(ss_status_message(), "cpu"));
    cr_assert_eq(ss_device_create(&empty, &device), SS_INVALID);
    cr_assert_null(device);
}

Test(cpu_device, two_streams_of_one_direction_share_its_link)
{
    enum { PIECE = 100000, PIECES = 10 };
    /* 100 kB at 10 MB/s: 10 ms a piece, twenty of them in all. */
    struct ss_device *device = open_device(10000000, 0);
    const struct ss_device_ops *ops = device->ops;
    static char host[PIECE];
    struct ss_stream *streams[2];
    struct ss_timeline *done[2];
    ss_device_address memory = allocate(device, 2 * PIECE);
    uint64_t begin_ns = ss_now_ns();
    for (int s = 0; s < 2; s++) {
        streams[s] = open_stream(device, SS_STREAM_LOAD);
        done[s] = open_timeline(device);
        for (int i = 0; i < PIECES; i++)
            cr_assert_eq(
                ops->copy_to_device(streams[s], memory + (ss_device_address)s * PIECE, host, PIECE),
                SS_OK);
        cr_assert_eq(ops->signal(streams[s], done[s], 1), SS_OK);
    }
    for (int s = 0; s < 2; s++)
        cr_assert_eq(ops->timeline_wait(done[s], 1, LONG_NS), SS_OK);
    cr_assert_geq(ss_now_ns() - begin_ns, 200 * SS_NS_PER_MS);
    for (int s = 0; s < 2; s++) {
        ops->stream_destroy(streams[s]);
        ops->timeline_destroy(done[s]);
    }
    ops->free(device, memory);
    ops->destroy(device);
}

Test(cpu_device, latency_is_added_to_every_copy)
{
    struct ss_device *device = open_device(0, 5 * SS_NS_PER_MS);
    const struct ss_device_ops *ops = device->ops;
    static char host[64];
    struct ss_stream *stream = open_stream(device, SS_STREAM_UNLOAD);
    struct ss_timeline *done = open_timeline(device);
    ss_device_address memory = allocate(device, sizeof host);
    uint64_t begin_ns = ss_now_ns();
    for (int i = 0; i < 8; i++)
        cr_assert_eq(ops->copy_to_host(stream, host, memory, sizeof host), SS_OK);
    cr_assert_eq(ops->signal(stream, done, 1), SS_OK);
    cr_assert_eq(ops->timeline_wait(done, 1, LONG_NS), SS_OK);
    cr_assert_geq(ss_now_ns() - begin_ns, 40 * SS_NS_PER_MS);
    ops->stream_destroy(stream);
    ops->timeline_destroy(done);
    ops->free(device, memory);
    ops->destroy(device);
}

/* Nobody may see the bytes before the link could have brought them. */
Test(cpu_device, bytes_land_when_the_link_has_brought_them)
{
    struct ss_device *device = open_device(1000000, 0);
    const struct ss_device_ops *ops = device->ops;
    static char host[200000], seen[4];
    memset(host, 1, sizeof host);
    struct ss_stream *load = open_stream(device, SS_STREAM_LOAD);
    struct ss_stream *other = open_stream(device, SS_STREAM_COMPUTE);
    struct ss_timeline *done = open_timeline(device), *read = open_timeline(device);
    ss_device_address memory = allocate(device, sizeof host);
    cr_assert_eq(ops->copy_to_device(load, memory, host, sizeof host), SS_OK);
    cr_assert_eq(ops->signal(load, done, 1), SS_OK);
    cr_assert_eq(ops->copy_to_host(other, seen, memory, sizeof seen), SS_OK);
    cr_assert_eq(ops->signal(other, read, 1), SS_OK);
    cr_assert_eq(ops->timeline_wait(read, 1, LONG_NS), SS_OK);
    /* If this host stalled for the copy's 200 ms, the look came too late to tell. */
    if (ops->timeline_value(done) == 0)
        cr_assert_eq((unsigned char)seen[0], 0xff);
    ops->stream_destroy(load);
    ops->stream_destroy(other);
    ops->timeline_destroy(done);
    ops->timeline_destroy(read);
    ops->free(device, memory);
    ops->destroy(device);
}

struct step {
    uint64_t ns;
    atomic_int *count;
    char fill[100];
};

static enum ss_status pace(void *arguments)
{
    struct step *step = arguments;
    ss_cpu_stream_pace(step->ns);
    atomic_fetch_add(step->count, step->fill[99]);
    return SS_OK;
}

Test(cpu_device, paced_work_takes_its_sum)
{
    enum { STEPS = 400 };
    struct ss_device *device = open_device(0, 0);
    const struct ss_device_ops *ops = device->ops;
    struct ss_stream *stream = open_stream(device, SS_STREAM_COMPUTE);
    struct ss_timeline *done = open_timeline(device);
    atomic_int count = 0;
    struct step step = {.ns = 250 * SS_NS_PER_US, .count = &count, .fill[99] = 1};
    uint64_t begin_ns = ss_now_ns();
    for (int i = 0; i < STEPS; i++)
        cr_assert_eq(ss_cpu_stream_run(stream, pace, &step, sizeof step), SS_OK);
    cr_assert_eq(ops->signal(stream, done, 1), SS_OK);
    cr_assert_eq(ops->timeline_wait(done, 1, LONG_NS), SS_OK);
    cr_assert_geq(ss_now_ns() - begin_ns, STEPS * step.ns);
    cr_assert_eq(count, STEPS);
    ops->stream_destroy(stream);
    ops->timeline_destroy(done);
    ops->destroy(device);
}

static enum ss_status break_down(void *arguments)
{
    (void)arguments;
    return ss_fail(SS_PEER_LOST, "rank 3 is gone");
}

static void count_up(void *argument)
{
    atomic_fetch_add((atomic_int *)argument, 1);
}

Test(cpu_device, a_failed_call_fails_the_device_and_hangs_nobody)
{
    struct ss_device *device = open_device(0, 0);
    const struct ss_device_ops *ops = device->ops;
    struct ss_stream *failing = open_stream(device, SS_STREAM_COMPUTE);
    struct ss_stream *waiting = open_stream(device, SS_STREAM_EDGE);
    struct ss_timeline *never = open_timeline(device), *done = open_timeline(device);
    atomic_int runs = 0, calls = 0;
    struct step step = {.ns = 0, .count = &runs, .fill[99] = 1};
    cr_assert_eq(ops->wait(waiting, never, 1), SS_OK);
    cr_assert_eq(ops->signal(waiting, done, 1), SS_OK);
    cr_assert_eq(ss_cpu_stream_run(failing, break_down, 0, 0), SS_OK);
    cr_assert_eq(ss_cpu_stream_run(failing, pace, &step, sizeof step), SS_OK);
    cr_assert_eq(ops->host_call(failing, count_up, &calls), SS_OK);
    cr_assert_eq(ops->signal(failing, done, 2), SS_OK);
    /* Unsatisfied, so it ends with the failure once that is known. */
    cr_assert_eq(ops->timeline_wait(never, 1, LONG_NS), SS_PEER_LOST);
    ops->stream_destroy(failing);
    ops->stream_destroy(waiting);
    cr_assert_eq(ops->timeline_value(done), 2);
    cr_assert_eq(calls, 1);
    cr_assert_eq(runs, 0);
    cr_assert_eq(ops->health(device), SS_PEER_LOST);
    cr_assert_str_eq(ss_status_message(), "rank 3 is gone");
    ops->timeline_destroy(never);
    ops->timeline_destroy(done);
    ops->destroy(device);
}

Test(cpu_device, a_lost_queueing_call_frees_who_waits)
{
    struct ss_device *device = open_device(0, 0);
    const struct ss_device_ops *ops = device->ops;
    struct ss_stream *stream = open_stream(device, SS_STREAM_COMPUTE);
    struct ss_timeline *never = open_timeline(device);
    cr_assert_eq(ops->wait(stream, never, 1), SS_OK);
    ss_fault_arm(SS_FAULT_DEVICE, 1);
    cr_assert_eq(ops->signal(stream, never, 1), SS_IO);
    ss_fault_arm(SS_FAULT_DEVICE, 0);
    cr_assert_eq(ops->health(device), SS_IO);
    ops->stream_destroy(stream);
    ops->timeline_destroy(never);
    ops->destroy(device);
}

Test(cpu_device, copies_outside_of_device_memory_are_refused)
{
    struct ss_device *device = open_device(0, 0);
    const struct ss_device_ops *ops = device->ops;
    struct ss_stream *stream = open_stream(device, SS_STREAM_LOAD);
    ss_device_address memory = allocate(device, 1000);
    char host[16] = "";
    cr_assert_eq(ops->copy_to_device(stream, memory + 990, host, 11), SS_INVALID);
    cr_assert_eq(ops->copy_to_host(stream, host, memory - 1, 2), SS_INVALID);
    cr_assert_eq(ops->copy_on_device(stream, memory, memory + 600, 401), SS_INVALID);
    cr_assert_eq(ops->copy_to_device(stream, memory + 990, host, 10), SS_OK);
    /* A caller's mistake, not the device's. */
    cr_assert_eq(ops->health(device), SS_OK);
    ops->stream_destroy(stream);
    ops->free(device, memory);
    ops->destroy(device);
}

Test(cpu_device, fresh_memory_is_poisoned)
{
    struct ss_device *device = open_device(0, 0);
    struct ss_stream *stream = open_stream(device, SS_STREAM_UNLOAD);
    ss_device_address memory = allocate(device, 4096);
    float seen[1024] = {0};
    cr_assert_eq(device->ops->copy_to_host(stream, seen, memory, sizeof seen), SS_OK);
    device->ops->stream_destroy(stream);
    for (int i = 0; i < 1024; i++)
        cr_assert(isnan(seen[i]));
    device->ops->free(device, memory);
    device->ops->destroy(device);
}

Test(cpu_device, a_large_pool_costs_nothing_before_it_is_used)
{
    const struct ss_device_options options = {.kind = "cpu", .memory_bytes = (size_t)1 << 40};
    struct ss_device *device;
    cr_assert_eq(ss_device_create(&options, &device), SS_OK);
    ss_device_address memory = allocate(device, (size_t)512 << 30);
    struct ss_stream *stream = open_stream(device, SS_STREAM_COMPUTE);
    char sent = 7, got = 0;
    ss_device_address last = memory + ((size_t)512 << 30) - 1;
    cr_assert_eq(device->ops->copy_to_device(stream, last, &sent, 1), SS_OK);
    cr_assert_eq(device->ops->copy_to_host(stream, &got, last, 1), SS_OK);
    device->ops->stream_destroy(stream);
    cr_assert_eq(got, 7);
    device->ops->free(device, memory);
    device->ops->destroy(device);
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * SS_NS_PER_S + (uint64_t)used.tv_nsec;
}

Test(cpu_device, idle_streams_use_no_cpu)
{
    struct ss_device *device = open_device(1000000, 0);
    struct ss_stream *streams[4];
    struct ss_timeline *never = open_timeline(device);
    for (int i = 0; i < 4; i++)
        streams[i] = open_stream(device, (enum ss_stream_kind)i);
    cr_assert_eq(device->ops->wait(streams[0], never, 1), SS_OK);
    usleep(20000);
    uint64_t before_ns = cpu_ns();
    usleep(200000);
    cr_assert_lt(cpu_ns() - before_ns, 10 * SS_NS_PER_MS);
    device->ops->timeline_raise(never, 1);
    for (int i = 0; i < 4; i++)
        device->ops->stream_destroy(streams[i]);
    device->ops->timeline_destroy(never);
    device->ops->destroy(device);
}

static void arrived(void *user, uint64_t number, int count, uint64_t now_ns)
{
    (void)user, (void)number, (void)count, (void)now_ns;
}

static void ended(void *user, uint64_t number, int count, enum ss_status status)
{
    (void)user, (void)number, (void)count, (void)status;
}

Test(cpu_device, a_transfer_engine_is_created_or_not)
{
    static const enum ss_fault_kind kinds[] = {SS_FAULT_ALLOC, SS_FAULT_DEVICE};
    const struct ss_transfer_options options = {.piece_bytes = 100,
                                                .pieces_in_flight = 2,
                                                .loads_max = 2,
                                                .chunks_max = 2,
                                                .arrived = arrived,
                                                .ended = ended};
    struct ss_device *device = open_device(0, 0);
    for (int k = 0; k < 2; k++) {
        bool done = false;
        uint64_t nth = 1;
        for (; !done; nth++) {
            struct ss_transfer *transfer = 0;
            ss_fault_arm(kinds[k], nth);
            enum ss_status status = ss_transfer_create(device, &options, &transfer);
            done = ss_fault_count(kinds[k]) < nth;
            ss_fault_arm(kinds[k], 0);
            cr_assert_eq(status == SS_OK, done);
            cr_assert_eq(transfer != 0, done);
            if (transfer)
                ss_transfer_destroy(transfer);
        }
        cr_assert_gt(nth, 2);
    }
    cr_assert_eq(device->ops->health(device), SS_OK);
    device->ops->destroy(device);
}
