/* Operations on a CPU device: a stream that they are queued on, and memory that they work in. */
#ifndef SS_TESTS_UNIT_OPS_BENCH_H
#define SS_TESTS_UNIT_OPS_BENCH_H

#include "engine/base/clock.h"
#include "pipeline/ops/ops.h"
#include "tests/unit/ops_data.h"

static struct ss_device *device;
static struct ss_stream *stream;
static struct ss_timeline *timeline;
static struct ss_ops *ops;
static uint64_t signalled;

static inline void open_ops(const struct ss_ops_options *options)
{
    const struct ss_device_options cpu = {.kind = "cpu", .memory_bytes = 64u << 20};
    cr_assert_eq(ss_device_create(&cpu, &device), SS_OK, "%s", ss_status_message());
    cr_assert_eq(device->ops->stream_create(device, SS_STREAM_COMPUTE, &stream), SS_OK);
    cr_assert_eq(device->ops->timeline_create(device, &timeline), SS_OK);
    cr_assert_eq(ss_ops_create(device, options, &ops), SS_OK, "%s", ss_status_message());
    signalled = 0;
}

static inline void open_real_ops(void)
{
    open_ops(&(struct ss_ops_options){.kind = "real"});
}

static inline void close_ops(void)
{
    device->ops->stream_destroy(stream);
    ops->table->destroy(ops);
    device->ops->timeline_destroy(timeline);
    device->ops->destroy(device);
}

/* How the device is when all that was queued is done. */
static inline enum ss_status await_work(void)
{
    cr_assert_eq(device->ops->signal(stream, timeline, ++signalled), SS_OK);
    enum ss_status status = device->ops->timeline_wait(timeline, signalled, 20 * SS_NS_PER_S);
    return status ? status : device->ops->health(device);
}

static inline void finish(void)
{
    cr_assert_eq(await_work(), SS_OK, "%s", ss_status_message());
}

/* BYTES of the device's, with a copy of what is at FROM; null: with anything. */
static inline ss_device_address to_device(const void *from, size_t bytes)
{
    ss_device_address address;
    cr_assert_eq(device->ops->alloc(device, bytes, &address), SS_OK, "%s", ss_status_message());
    if (from)
        cr_assert_eq(device->ops->copy_to_device(stream, address, from, bytes), SS_OK);
    finish();
    return address;
}

/* The bytes at ADDRESS, which is given back. */
static inline void from_device(void *to, ss_device_address address, size_t bytes)
{
    cr_assert_eq(device->ops->copy_to_host(stream, to, address, bytes), SS_OK);
    finish();
    device->ops->free(device, address);
}

static inline struct ss_weight weight_on_device(const struct test_weights *weights, uint32_t rows,
                                                uint32_t columns)
{
    size_t bytes = (size_t)rows * columns * ss_dtype_bytes(weights->dtype);
    return (struct ss_weight){.address = to_device(weights->data, bytes),
                              .dtype = weights->dtype,
                              .rows = rows,
                              .columns = columns};
}

#endif
