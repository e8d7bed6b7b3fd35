#include <sys/mman.h>

#include "engine/base/clock.h"
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

static enum ss_status queue(struct bed *bed, size_t bytes, size_t total, bool in, bool out)
{
    const struct ss_device_ops *ops = bed->bench->device->ops;
    enum ss_status status = SS_OK;
    for (size_t done = 0; done < total && !status; done += bytes) {
        size_t at = done / bytes % (bed->bytes / bytes) * bytes;
        if (in)
            status = ops->copy_to_device(bed->load.stream, bed->device_memory + at, bed->host + at,
                                         bytes);
        if (out && !status)
            status = ops->copy_to_host(bed->unload.stream, bed->host + bed->bytes + at,
                                       bed->device_memory + bed->bytes + at, bytes);
    }
    if (in && !status)
        status = lane_finish(&bed->load);
    if (out && !status)
        status = lane_finish(&bed->unload);
    return status;
}

/* Copies long enough to mean something; ranks that are idle take part in the gathering alone. */
static enum ss_status measure(struct bed *bed, size_t bytes, bool busy, bool in, bool out,
                              double *rate)
{
    struct bench *bench = bed->bench;
    size_t total = bench->total_bytes;
    if (bytes < (size_t)1 << 20 && total > 512 * bytes)
        total = 512 * bytes;
    total = total > bytes ? total / bytes * bytes : bytes;
    uint64_t begin = 0, end = 0;
    double seconds = 0;
    enum ss_status status = busy ? queue(bed, bytes, bytes * 4, in, out) : SS_OK;
    if (!status)
        status = bench->link->table->barrier(bench->link);
    if (!status && busy) {
        begin = ss_now_ns();
        status = queue(bed, bytes, total, in, out);
        end = ss_now_ns();
    }
    if (!status)
        status = bench_span(bench, begin, end, &seconds);
    *rate = (double)total * (in + out) / seconds / 1e9;
    return status;
}

/* The fastest of a few: what else the machine does can only slow it. */
static enum ss_status row(struct bed *bed, size_t bytes, bool all, bool in, bool out)
{
    struct bench *bench = bed->bench;
    double rate = 0;
    bool busy = all || bench->link->rank == 0;
    enum ss_status status = SS_OK;
    for (int i = 0; i < TRIES && !status; i++) {
        double found;
        status = measure(bed, bytes, busy, in, out, &found);
        rate = !status && found > rate ? found : rate;
    }
    if (status || bench->link->rank != 0)
        return status;
    int ranks = all ? bench->link->ranks : 1;
    const char *direction = in && out ? "both" : in ? "to_device" : "to_host";
    json_array_append_new(bench->rows,
                          json_pack("{s:s, s:s, s:i, s:I, s:f}", "what", "link", "direction",
                                    direction, "ranks", ranks, "copy_bytes", (json_int_t)bytes,
                                    "gb_per_s_total", rate * ranks));
    printf("%-10s %d rank%s  copies of %9zu bytes  %8.2f GB/s\n", direction, ranks,
           ranks > 1 ? "s" : " ", bytes, rate * ranks);
    return SS_OK;
}

enum ss_status bench_link(struct bench *bench)
{
    struct bed bed;
    size_t piece = bench->piece_bytes < COPY_BYTES_MAX ? bench->piece_bytes : COPY_BYTES_MAX;
    enum ss_status status = open_bed(bench, &bed);
    for (size_t bytes = 16 << 10; bytes <= COPY_BYTES_MAX && !status; bytes *= 4)
        status = row(&bed, bytes, false, true, false);
    static const bool directions[][2] = {{true, false}, {false, true}, {true, true}};
    for (int i = 0; i < 3 && !status; i++)
        for (int all = 0; all < (bench->link->ranks > 1 ? 2 : 1) && !status; all++)
            status = row(&bed, piece, all, directions[i][0], directions[i][1]);
    close_bed(&bed);
    if (!status)
        status = bench_peers(bench);
    return status;
}
