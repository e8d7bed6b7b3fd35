#include <sys/mman.h>

#include "engine/base/clock.h"
#include "experiments/stepbench/times.h"
#include "experiments/swapbench/bench.h"

#define BUFFER_BYTES_MAX ((size_t)256 << 20)
#define COPY_BYTES_MAX   ((size_t)64 << 20)
#define TRIES            3

/* One buffer on either side, and a lane for each direction. */
struct bed {
    struct bench *bench;
    unsigned char *host;
    size_t bytes; /* of each buffer */
    ss_device_address device_memory;
    struct lane load, unload;
};

static enum ss_status open_bed(struct bench *bench, struct bed *bed)
{
    struct ss_device *device = bench->device;
    *bed = (struct bed){.bench = bench, .bytes = BUFFER_BYTES_MAX};
    while (bed->bytes > bench->total_bytes && bed->bytes > COPY_BYTES_MAX)
        bed->bytes /= 2;
    void *host = mmap(0, 2 * bed->bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (host == MAP_FAILED)
        return ss_fail(SS_NO_MEMORY, "host buffer of %zu bytes", 2 * bed->bytes);
    bed->host = host;
    enum ss_status status = device->ops->host_register(device, host, 2 * bed->bytes);
    if (!status)
        status = device->ops->alloc(device, 2 * bed->bytes, &bed->device_memory);
    if (!status)
        status = lane_open(device, SS_STREAM_LOAD, &bed->load);
    if (!status)
        status = lane_open(device, SS_STREAM_UNLOAD, &bed->unload);
    return status;
}

static void close_bed(struct bed *bed)
{
    struct ss_device *device = bed->bench->device;
    lane_close(&bed->load);
    lane_close(&bed->unload);
    if (bed->device_memory)
        device->ops->free(device, bed->device_memory);
    if (bed->host) {
        device->ops->host_unregister(device, bed->host, 2 * bed->bytes);
        munmap(bed->host, 2 * bed->bytes);
    }
}

/* What is copied, in multiples of a total, and of which ways the time is taken: those beside go on
 * for longer. */
struct way {
    const char *name;
    size_t in, out;
    bool times_in, times_out;
};

enum { TO_DEVICE, TO_HOST, BOTH, TO_DEVICE_BESIDE, TO_HOST_BESIDE, WAYS };

static const struct way ways[WAYS] = {
    [TO_DEVICE] = {"to_device", 1, 0, true, false},
    [TO_HOST] = {"to_host", 0, 1, false, true},
    [BOTH] = {"both", 1, 1, true, true},
    [TO_DEVICE_BESIDE] = {"to_device_beside", 1, 2, true, false},
    [TO_HOST_BESIDE] = {"to_host_beside", 2, 1, false, true},
};

static enum ss_status queue(struct bed *bed, size_t bytes, size_t total, const struct way *way)
{
    const struct ss_device_ops *ops = bed->bench->device->ops;
    size_t in = way->in * total, out = way->out * total;
    enum ss_status status = SS_OK;
    for (size_t done = 0; (done < in || done < out) && !status; done += bytes) {
        size_t at = done / bytes % (bed->bytes / bytes) * bytes;
        if (done < in)
            status = ops->copy_to_device(bed->load.stream, bed->device_memory + at, bed->host + at,
                                         bytes);
        if (done < out && !status)
            status = ops->copy_to_host(bed->unload.stream, bed->host + bed->bytes + at,
                                       bed->device_memory + bed->bytes + at, bytes);
    }
    return status;
}

static enum ss_status finish(struct bed *bed, bool in, bool out)
{
    enum ss_status status = in ? lane_finish(&bed->load) : SS_OK;
    return !status && out ? lane_finish(&bed->unload) : status;
}

/* Copies long enough to mean something; ranks that are idle take part in the gathering alone. */
static enum ss_status measure(struct bed *bed, size_t bytes, bool busy, const struct way *way,
                              double *rate)
{
    struct bench *bench = bed->bench;
    size_t total = bench->total_bytes;
    if (bytes < (size_t)1 << 20 && total > 512 * bytes)
        total = 512 * bytes;
    total = total > bytes ? total / bytes * bytes : bytes;
    uint64_t begin = 0, end = 0;
    double seconds = 0;
    enum ss_status status = busy ? queue(bed, bytes, bytes * 4, way) : SS_OK;
    if (!status)
        status = finish(bed, busy, busy);
    if (!status)
        status = bench->link->table->barrier(bench->link);
    if (!status && busy) {
        begin = ss_now_ns();
        status = queue(bed, bytes, total, way);
        if (!status)
            status = finish(bed, way->times_in, way->times_out);
        end = ss_now_ns();
    }
    if (!status)
        status = times_span(bench->link, begin, end, &seconds);
    if (!status)
        status = finish(bed, busy, busy);
    *rate = (double)total * (way->times_in + way->times_out) / seconds / 1e9;
    return status;
}

/* The fastest of a few: what else the machine does can only slow it. */
static enum ss_status row(struct bed *bed, size_t bytes, bool all, const struct way *way)
{
    struct bench *bench = bed->bench;
    double rate = 0;
    bool busy = all || bench->link->rank == 0;
    enum ss_status status = SS_OK;
    for (int i = 0; i < TRIES && !status; i++) {
        double found;
        status = measure(bed, bytes, busy, way, &found);
        rate = !status && found > rate ? found : rate;
    }
    if (status || bench->link->rank != 0)
        return status;
    int ranks = all ? bench->link->ranks : 1;
    json_array_append_new(bench->rows,
                          json_pack("{s:s, s:s, s:i, s:I, s:f}", "what", "link", "direction",
                                    way->name, "ranks", ranks, "copy_bytes", (json_int_t)bytes,
                                    "gb_per_s_total", rate * ranks));
    printf("%-16s %d rank%s  copies of %9zu bytes  %8.2f GB/s\n", way->name, ranks,
           ranks > 1 ? "s" : " ", bytes, rate * ranks);
    return SS_OK;
}

enum ss_status bench_link(struct bench *bench)
{
    struct bed bed;
    size_t piece = bench->piece_bytes < COPY_BYTES_MAX ? bench->piece_bytes : COPY_BYTES_MAX;
    enum ss_status status = open_bed(bench, &bed);
    for (size_t bytes = 16 << 10; bytes <= COPY_BYTES_MAX && !status; bytes *= 4)
        status = row(&bed, bytes, false, &ways[TO_DEVICE]);
    for (int way = 0; way < WAYS && !status; way++)
        for (int all = 0; all < (bench->link->ranks > 1 ? 2 : 1) && !status; all++)
            status = row(&bed, piece, all, &ways[way]);
    close_bed(&bed);
    if (!status)
        status = bench_peers(bench);
    return status;
}
