/* The transfer engine over a made-up device that does all work at once, on the caller's thread, and
 * fails in silence when told to: its signals come, its bytes do not. */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "swap/transfer.h"

#define TIMELINES 8

struct fake_timeline {
    struct ss_timeline base;
    _Atomic uint64_t value;
};

struct fake_device {
    struct ss_device base;
    atomic_int copies;
    int copies_good; /* the device fails as the next runs */
    struct ss_stream stream;
    struct fake_timeline timelines[TIMELINES];
    int timeline_count;
};

static struct fake_device fake;

static enum ss_status stream_create(struct ss_device *device, enum ss_stream_kind kind,
                                    struct ss_stream **out)
{
    cr_assert_eq(kind, SS_STREAM_LOAD);
    fake.stream.device = device;
    *out = &fake.stream;
    return SS_OK;
}

static void stream_destroy(struct ss_stream *stream)
{
    (void)stream;
}

static enum ss_status timeline_create(struct ss_device *device, struct ss_timeline **out)
{
    cr_assert_lt(fake.timeline_count, TIMELINES);
    struct fake_timeline *timeline = &fake.timelines[fake.timeline_count++];
    timeline->base.device = device;
    *out = &timeline->base;
    return SS_OK;
}

static void timeline_destroy(struct ss_timeline *timeline)
{
    (void)timeline;
}

static uint64_t timeline_value(const struct ss_timeline *timeline)
{
    return ((const struct fake_timeline *)timeline)->value;
}

static enum ss_status timeline_wait(struct ss_timeline *timeline, uint64_t value,
                                    uint64_t timeout_ns)
{
    uint64_t deadline_ns = ss_now_ns() + timeout_ns;
    while (timeline_value(timeline) < value) {
        if (ss_now_ns() >= deadline_ns)
            return ss_fail(SS_TIMEOUT, "not yet");
        ss_sleep_until_ns(ss_now_ns() + 50 * SS_NS_PER_US);
    }
    return SS_OK;
}

static enum ss_status signal_now(struct ss_stream *stream, struct ss_timeline *timeline,
                                 uint64_t value)
{
    (void)stream;
    ((struct fake_timeline *)timeline)->value = value;
    return SS_OK;
}

static enum ss_status copy_to_device(struct ss_stream *stream, ss_device_address to,
                                     const void *from, size_t bytes)
{
    (void)stream, (void)to, (void)from, (void)bytes;
    fake.copies++;
    return SS_OK;
}

static enum ss_status health(struct ss_device *device)
{
    (void)device;
    return fake.copies > fake.copies_good ? ss_fail(SS_IO, "the device burnt down") : SS_OK;
}

static const struct ss_device_ops fake_ops = {
    .name = "fake",
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .timeline_create = timeline_create,
    .timeline_destroy = timeline_destroy,
    .timeline_value = timeline_value,
    .timeline_wait = timeline_wait,
    .signal = signal_now,
    .copy_to_device = copy_to_device,
    .health = health,
};

/* What was reported; read after the engine is gone. */
static int arrived_count, ended_count;
static enum ss_status ended_status;
static char ended_message[SS_MESSAGE_BYTES];
static atomic_bool over;

static void arrived(void *user, uint64_t number, int count, uint64_t now_ns)
{
    (void)user, (void)number, (void)now_ns;
    arrived_count = count;
}

static void ended(void *user, uint64_t number, int count, enum ss_status status)
{
    (void)user, (void)number;
    ended_count = count;
    ended_status = status;
    snprintf(ended_message, sizeof ended_message, "%s", ss_status_message());
    over = true;
}

static void load_three_chunks(int copies_good)
{
    const struct ss_transfer_options options = {.piece_bytes = 100,
                                                .pieces_in_flight = 1,
                                                .loads_max = 1,
                                                .chunks_max = 3,
                                                .arrived = arrived,
                                                .ended = ended};
    struct ss_transfer_chunk chunks[3] = {{.bytes = 100}, {.bytes = 200}, {.bytes = 100}};
    struct ss_transfer *transfer;
    struct ss_timeline *ready;
    fake.base.ops = &fake_ops;
    fake.copies_good = copies_good;
    cr_assert_eq(timeline_create(&fake.base, &ready), SS_OK);
    for (int i = 0; i < 3; i++)
        chunks[i].ready = ready;
    cr_assert_eq(ss_transfer_create(&fake.base, &options, &transfer), SS_OK);
    cr_assert_eq(ss_transfer_load(transfer, 1, SS_LANE_DEMAND, chunks, 3), SS_OK);
    while (!over)
        ss_sleep_until_ns(ss_now_ns() + SS_NS_PER_MS);
    if (ended_status)
        cr_assert_eq(ss_transfer_load(transfer, 2, SS_LANE_DEMAND, chunks, 1), ended_status);
    ss_transfer_destroy(transfer);
}

TestSuite(transfer, .timeout = 30);

Test(transfer, a_signal_of_a_failed_device_is_no_arrival)
{
    load_three_chunks(1);
    cr_assert_eq(arrived_count, 1);
    cr_assert_eq(ended_count, 1);
    cr_assert_eq(ended_status, SS_IO);
    cr_assert_str_eq(ended_message, "the device burnt down");
}

Test(transfer, a_failure_in_the_middle_of_a_chunk_is_none_either)
{
    load_three_chunks(2);
    cr_assert_eq(arrived_count, 1);
    cr_assert_eq(ended_count, 1);
    cr_assert_eq(ended_status, SS_IO);
}

Test(transfer, a_good_device_brings_all)
{
    load_three_chunks(4);
    cr_assert_eq(arrived_count, 3);
    cr_assert_eq(ended_count, 3);
    cr_assert_eq(ended_status, SS_OK);
    cr_assert_eq(fake.copies, 4);
}
