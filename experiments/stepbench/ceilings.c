#include "experiments/stepbench/ceilings.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "experiments/stepbench/figures.h"
#include "experiments/stepbench/reading.h"
#include "experiments/stepbench/times.h"

#define PATIENCE_NS 20000000000ull
#define PRODUCTS    20
#define SUMS        20
#define ROUNDS      6 /* the first warms up */
#define MESSAGES    200
#define GAP_NS      20000000ull

/* A stream with memory and a timeline, for timing what is queued. */
struct ground {
    struct bed *bed;
    struct ss_stream *stream;
    struct ss_timeline *done;
    ss_device_address memory;
    uint64_t value;
};

static void close_ground(struct ground *ground)
{
    const struct ss_device_ops *ops = ground->bed->device->ops;
    if (ground->stream)
        ops->stream_destroy(ground->stream);
    if (ground->done)
        ops->timeline_destroy(ground->done);
    if (ground->memory)
        ops->free(ground->bed->device, ground->memory);
}

static enum ss_status open_ground(struct bed *bed, size_t bytes, struct ground *ground)
{
    const struct ss_device_ops *ops = bed->device->ops;
    *ground = (struct ground){.bed = bed};
    enum ss_status status = ops->alloc(bed->device, bytes, &ground->memory);
    if (!status)
        status = ops->stream_create(bed->device, SS_STREAM_COMPUTE, &ground->stream);
    if (!status)
        status = ops->timeline_create(bed->device, &ground->done);
    return status;
}

static enum ss_status finish(struct ground *ground)
{
    const struct ss_device_ops *ops = ground->bed->device->ops;
    enum ss_status status = ops->signal(ground->stream, ground->done, ++ground->value);
    return status ? status : ops->timeline_wait(ground->done, ground->value, PATIENCE_NS);
}

/* The rates of device memory: read by a kernel, and read and written by a copy. */
static enum ss_status measure_memory(struct bed *bed, json_t *rows)
{
    enum { PASSES = 8 };
    const struct ss_device_ops *ops = bed->device->ops;
    uint64_t bytes = (uint64_t)1 << 30;
    struct ground ground;
    if (strcmp(ops->name, "cuda") != 0)
        return SS_OK;
    enum ss_status status = open_ground(bed, 2 * bytes, &ground);
    for (int copies = 0; copies < 2 && !status; copies++) {
        double best = 1e9;
        for (int round = 0; round < ROUNDS && !status; round++) {
            uint64_t begin_ns = ss_now_ns();
            for (int i = 0; i < PASSES && !status; i++)
                status = copies
                             ? ops->copy_on_device(ground.stream, ground.memory,
                                                   ground.memory + bytes, bytes)
                             : reading_queue(bed->device, ground.stream,
                                             ground.memory + i % 2 * bytes, bytes, ground.memory);
            if (!status)
                status = finish(&ground);
            double spent = (double)(ss_now_ns() - begin_ns) / 1e9;
            best = round > 0 && spent < best ? spent : best;
        }
        if (!status)
            figures_say(bed, rows,
                        copies ? "device memory, read and written" : "device memory, read",
                        (copies ? 2.0 : 1.0) * PASSES * (double)bytes / best, "B/s");
    }
    close_ground(&ground);
    return status;
}

/* PRODUCTS of ROWS x SIDE x SIDE, one after the other; the seconds of one in the fastest round. */
static enum ss_status multiply(struct ground *ground, uint32_t side, uint32_t rows, double *seconds)
{
    const struct ss_ops_table *table = ground->bed->ops->table;
    size_t bytes = (size_t)side * side * ss_dtype_bytes(table->activation_dtype);
    struct ss_weight weight = {ground->memory, SS_F16, side, side};
    enum ss_status status = SS_OK;
    *seconds = 1e9;
    for (int round = 0; round < ROUNDS && !status; round++) {
        uint64_t begin_ns = ss_now_ns();
        for (int i = 0; i < PRODUCTS && !status; i++)
            status =
                table->linear(ground->bed->ops, ground->stream, ground->memory + 2 * bytes,
                              ground->memory + bytes, rows, &weight, 0, SS_ACTIVATION_NONE, false);
        if (!status)
            status = finish(ground);
        double spent = (double)(ss_now_ns() - begin_ns) / 1e9 / PRODUCTS;
        if (round > 0 && spent < *seconds)
            *seconds = spent;
    }
    return status;
}

/* Weights as operands: products of zeros run faster than real ones. */
static enum ss_status fill(struct ground *ground, size_t bytes)
{
    struct bed *bed = ground->bed;
    enum ss_status status = SS_OK;
    for (size_t at = 0; at < bytes && !status;) {
        size_t most = bytes - at < bed->image.bytes ? bytes - at : bed->image.bytes;
        status =
            bed->device->ops->copy_to_device(ground->stream, ground->memory + at, bed->base, most);
        at += most;
    }
    return status;
}

/* Products of one row of growing size give the rate at which weights are read, and what a product
 * takes whatever its size; a large square one gives the rate of arithmetic. */
static enum ss_status measure_products(struct bed *bed, json_t *rows)
{
    bool cuda = strcmp(bed->device->ops->name, "cuda") == 0;
    bool paced = strcmp(bed->operations, "paced") == 0;
    /* The largest is larger than any cache. */
    uint32_t side_max = 8192, square = cuda ? 8192 : paced ? 2048 : 1024;
    size_t bytes = (size_t)side_max * side_max * ss_dtype_bytes(bed->ops->table->activation_dtype);
    struct ground ground;
    char what[64];
    double seconds = 0;
    enum ss_status status = open_ground(bed, 3 * bytes, &ground);
    if (!status && !paced)
        status = fill(&ground, 2 * bytes);
    for (uint32_t side = side_max / 16; side <= side_max && !status; side *= 4) {
        status = multiply(&ground, side, 1, &seconds);
        snprintf(what, sizeof what, "product of 1 x %u x %u", side, side);
        if (!status)
            figures_say(bed, rows, what, seconds, "s");
    }
    if (!status)
        status = multiply(&ground, square, square, &seconds);
    snprintf(what, sizeof what, "matrix product of %u x %u x %u", square, square, square);
    if (!status)
        figures_say(bed, rows, what, 2.0 * square * square * (double)square / seconds, "FLOP/s");
    close_ground(&ground);
    return status;
}

/* SUMS of COUNT elements, one after the other; the seconds of one in the fastest round. */
static enum ss_status sum(struct ground *ground, size_t count, double *seconds)
{
    struct bed *bed = ground->bed;
    enum ss_status status = SS_OK;
    *seconds = 1e9;
    for (int round = 0; round < ROUNDS && !status; round++) {
        double spent;
        status = bed->link->table->barrier(bed->link);
        uint64_t begin_ns = ss_now_ns();
        for (int i = 0; i < SUMS && !status; i++)
            status = bed->comm->table->all_reduce(bed->comm, ground->stream, ground->memory, count,
                                                  bed->ops->table->sum_dtype);
        if (!status)
            status = finish(ground);
        if (!status)
            status = times_span(bed->link, begin_ns, ss_now_ns(), &spent);
        if (!status && round > 0 && spent / SUMS < *seconds)
            *seconds = spent / SUMS;
    }
    return status;
}

/* Of one row to all of a large step. */
static enum ss_status measure_sums(struct bed *bed, json_t *rows)
{
    size_t row_bytes = bed->shape.hidden * ss_dtype_bytes(bed->ops->table->activation_dtype);
    struct ground ground;
    char what[64];
    if (bed->tp == 1)
        return SS_OK;
    enum ss_status status = open_ground(bed, 512 * row_bytes, &ground);
    for (uint32_t count = 1; count <= 512 && !status; count *= 8) {
        double seconds;
        status = sum(&ground, (size_t)count * bed->shape.hidden, &seconds);
        snprintf(what, sizeof what, "sum of %zu bytes", count * row_bytes);
        if (!status)
            figures_say(bed, rows, what, seconds, "s");
    }
    close_ground(&ground);
    return status;
}

static enum ss_status take_message(struct ss_link *link)
{
    unsigned char buffer[4096];
    size_t bytes;
    int peer;
    uint64_t until_ns = ss_now_ns() + PATIENCE_NS;
    enum ss_status status;
    while ((status = link->table->receive(link, &peer, buffer, &bytes)) == SS_EMPTY) {
        if (ss_now_ns() > until_ns)
            return ss_fail(SS_TIMEOUT, "a message did not come");
        link->table->wait(link, until_ns);
    }
    return status;
}

/* From the first rank to the last and back, 256 bytes as an entry or a report has; GAP_NS apart, so
 * that the peer may fall asleep. The median of the seconds of one way. */
static enum ss_status exchange(struct ss_link *link, int count, uint64_t gap_ns, double *seconds)
{
    const unsigned char message[256] = {0};
    int last = link->ranks - 1;
    double ways[MESSAGES] = {0};
    enum ss_status status = link->table->barrier(link);
    for (int i = 0; i < count && !status && (link->rank == 0 || link->rank == last); i++) {
        if (link->rank == 0 && gap_ns)
            ss_sleep_until_ns(ss_now_ns() + gap_ns);
        uint64_t begin_ns = ss_now_ns();
        if (link->rank == last)
            status = take_message(link);
        if (!status)
            status = link->table->post(link, last - link->rank, message, sizeof message);
        if (!status && link->rank == 0)
            status = take_message(link);
        ways[i] = (double)(ss_now_ns() - begin_ns) / 2e9;
    }
    *seconds = times_median(ways, count);
    return status ? status : link->table->barrier(link);
}

static enum ss_status measure_messages(struct bed *bed, json_t *rows)
{
    double seconds;
    if (bed->link->ranks == 1)
        return SS_OK;
    enum ss_status status = exchange(bed->link, MESSAGES, 0, &seconds);
    if (!status)
        figures_say(bed, rows, "message to a busy rank", seconds, "s");
    if (!status)
        status = exchange(bed->link, MESSAGES / 10, GAP_NS, &seconds);
    if (!status)
        figures_say(bed, rows, "message to a sleeping rank", seconds, "s");
    return status;
}

enum ss_status measure_ceilings(struct bed *bed, json_t *rows)
{
    figures_say(bed, rows, "weights of rank 0", (double)bed->image.bytes, "B");
    figures_say(bed, rows, "layers of stage 0", bed->partition.first_layer[1], "");
    enum ss_status status = measure_memory(bed, rows);
    if (!status)
        status = measure_products(bed, rows);
    if (!status)
        status = measure_sums(bed, rows);
    if (!status)
        status = measure_messages(bed, rows);
    return status;
}
