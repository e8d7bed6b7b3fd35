#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "experiments/stepbench/times.h"
#include "experiments/swapbench/bench.h"
#include "pipeline/models/model.h"
#include "swap/arena.h"
#include "swap/threads.h"
#include "swap/transfer.h"

#define LOADS_MAX  2
#define FILL_BYTES ((size_t)16 << 20)
#define PAGE_BYTES ((size_t)4096)

/* One rank's shard, in the arena and on the device, and the engine between them. */
struct shard {
    struct bench *bench;
    struct ss_image image;
    struct ss_arena *arena;
    unsigned char *base;
    ss_device_address pool;
    struct ss_transfer *transfer;
    struct ss_transfer_chunk *chunks;
    struct lane bare;
    uint64_t number;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
    enum ss_status how; /* the load ended */
    uint64_t begun_ns, ended_ns;
    uint64_t *arrived_ns; /* [chunk], of the load under way */
};

static void arrived(void *user, uint64_t number, int count, uint64_t now_ns)
{
    struct shard *shard = user;
    (void)number;
    for (int i = count - 1; i >= 0 && shard->arrived_ns[i] == 0; i--)
        shard->arrived_ns[i] = now_ns;
}

static void ended(void *user, uint64_t number, int count, enum ss_status status)
{
    struct shard *shard = user;
    (void)number, (void)count;
    pthread_mutex_lock(&shard->lock);
    shard->ended = true;
    shard->how = status;
    shard->ended_ns = ss_now_ns();
    pthread_cond_signal(&shard->changed);
    pthread_mutex_unlock(&shard->lock);
}

struct filling {
    struct shard *shard;
    atomic_size_t next;
};

/* Bytes that differ from page to page, written at memory speed: a link does not care which. */
static void fill(void *user)
{
    struct filling *filling = user;
    const struct shard *shard = filling->shard;
    uint64_t *words = (uint64_t *)(void *)shard->base;
    size_t count = shard->image.bytes / sizeof *words, step = FILL_BYTES / sizeof *words, at;
    while ((at = atomic_fetch_add(&filling->next, step)) < count)
        for (size_t i = at; i < at + step && i < count; i++)
            words[i] = i * 0x9e3779b97f4a7c15ull + (uint64_t)shard->bench->link->rank;
}

static enum ss_status open_memory(struct shard *shard)
{
    struct ss_device *device = shard->bench->device;
    size_t bytes = (shard->image.bytes + SS_ARENA_ALIGN - 1) / SS_ARENA_ALIGN * SS_ARENA_ALIGN;
    int threads = ss_threads_share(shard->bench->link->ranks);
    struct filling filling = {.shard = shard};
    enum ss_status status = ss_arena_create(bytes, 0, &shard->arena);
    if (!status)
        status = ss_arena_reserve(shard->arena, 0, bytes, threads);
    if (status)
        return status;
    shard->base = ss_arena_at(shard->arena, 0);
    ss_threads_run(threads, fill, &filling);
    status = device->ops->host_register(device, shard->base, bytes);
    if (!status)
        status = device->ops->alloc(device, shard->image.bytes, &shard->pool);
    return status;
}

static enum ss_status open_engine(struct shard *shard)
{
    struct bench *bench = shard->bench;
    size_t count = (size_t)shard->image.chunk_count;
    const struct ss_transfer_options options = {.piece_bytes = bench->piece_bytes,
                                                .pieces_in_flight = bench->pieces_in_flight,
                                                .loads_max = LOADS_MAX,
                                                .chunks_max = shard->image.chunk_count,
                                                .arrived = arrived,
                                                .ended = ended,
                                                .user = shard};
    enum ss_status status = ss_alloc(&shard->chunks, count, sizeof *shard->chunks, "chunks");
    if (!status)
        status = ss_alloc(&shard->arrived_ns, count, sizeof *shard->arrived_ns, "chunks");
    for (size_t i = 0; i < count && !status; i++) {
        shard->chunks[i] =
            (struct ss_transfer_chunk){.from = shard->base + shard->image.chunks[i].offset,
                                       .to = shard->pool + shard->image.chunks[i].offset,
                                       .bytes = shard->image.chunks[i].bytes};
        status = bench->device->ops->timeline_create(bench->device, &shard->chunks[i].ready);
    }
    if (!status)
        status = ss_transfer_create(bench->device, &options, &shard->transfer);
    return status ? status : lane_open(bench->device, SS_STREAM_LOAD, &shard->bare);
}

static enum ss_status open_shard(struct bench *bench, struct shard *shard)
{
    struct ss_shape shape;
    struct ss_partition partition;
    *shard = (struct shard){.bench = bench};
    pthread_mutex_init(&shard->lock, 0);
    pthread_cond_init(&shard->changed, 0);
    enum ss_status status = ss_shape_synthetic(bench->model, bench->scale, SS_F16, &shape);
    if (!status)
        status = ss_partition_make(&shape, bench->tp, bench->pp, &partition);
    if (!status)
        status = ss_partition_image(&partition, &shape, bench->link->rank / bench->tp,
                                    bench->link->rank % bench->tp, &shard->image);
    if (!status)
        status = open_memory(shard);
    return status ? status : open_engine(shard);
}

static void close_shard(struct shard *shard)
{
    struct ss_device *device = shard->bench->device;
    if (shard->transfer)
        ss_transfer_destroy(shard->transfer);
    lane_close(&shard->bare);
    for (int i = 0; shard->chunks && i < shard->image.chunk_count; i++)
        if (shard->chunks[i].ready)
            device->ops->timeline_destroy(shard->chunks[i].ready);
    if (shard->pool)
        device->ops->free(device, shard->pool);
    if (shard->base)
        device->ops->host_unregister(device, shard->base, ss_arena_bytes(shard->arena));
    if (shard->arena)
        ss_arena_destroy(shard->arena);
    ss_free(shard->chunks);
    ss_free(shard->arrived_ns);
    ss_image_release(&shard->image);
}

/* The ceiling: one bare copy of the whole shard, all ranks together, until the last one ends. */
static enum ss_status copy_bare(struct shard *shard, double *seconds)
{
    struct bench *bench = shard->bench;
    enum ss_status status = bench->link->table->barrier(bench->link);
    uint64_t begin = ss_now_ns();
    if (!status)
        status = bench->device->ops->copy_to_device(shard->bare.stream, shard->pool, shard->base,
                                                    shard->image.bytes);
    if (!status)
        status = lane_finish(&shard->bare);
    return status ? status : times_span(bench->link, begin, ss_now_ns(), seconds);
}

static enum ss_status load(struct shard *shard, double *seconds, double *first_chunk)
{
    struct bench *bench = shard->bench;
    memset(shard->arrived_ns, 0, (size_t)shard->image.chunk_count * sizeof *shard->arrived_ns);
    shard->ended = false;
    enum ss_status status = bench->link->table->barrier(bench->link);
    shard->begun_ns = ss_now_ns();
    if (!status)
        status = ss_transfer_load(shard->transfer, ++shard->number, SS_LANE_DEMAND, shard->chunks,
                                  shard->image.chunk_count);
    if (status)
        return status;
    pthread_mutex_lock(&shard->lock);
    while (!shard->ended)
        pthread_cond_wait(&shard->changed, &shard->lock);
    pthread_mutex_unlock(&shard->lock);
    if (shard->how)
        return shard->how;
    *first_chunk = (double)(shard->arrived_ns[0] - shard->begun_ns) / 1e9;
    return times_span(bench->link, shard->begun_ns, shard->ended_ns, seconds);
}

/* verify() changes and compares the first word of every page of a chunk. */
static uint64_t *word_at(unsigned char *base, size_t offset)
{
    return (uint64_t *)(void *)(base + offset);
}

/* The chunk, read back into BACK, has every page of what was sent. */
static enum ss_status compare(struct shard *shard, int index, unsigned char *back)
{
    const struct ss_chunk *chunk = &shard->image.chunks[index];
    enum ss_status status = shard->bench->device->ops->copy_to_host(
        shard->bare.stream, back, shard->pool + chunk->offset, chunk->bytes);
    if (!status)
        status = lane_finish(&shard->bare);
    for (size_t at = 0; at < chunk->bytes && !status; at += PAGE_BYTES)
        if (*word_at(back, at) != *word_at(shard->base + chunk->offset, at))
            status = ss_fail(SS_INTERNAL,
                             "rank %d: chunk %d differs from what was sent, at byte %zu of %zu",
                             shard->bench->link->rank, index, at, (size_t)chunk->bytes);
    return status;
}

/* What a load brings is what was sent. Every page of it is changed before, or what an earlier copy
 * left would pass for it. */
static enum ss_status verify(struct shard *shard)
{
    const struct ss_image *image = &shard->image;
    double seconds, first_chunk;
    uint64_t most = 0;
    unsigned char *back;
    for (int i = 0; i < image->chunk_count; i++) {
        most = image->chunks[i].bytes > most ? image->chunks[i].bytes : most;
        for (size_t at = 0; at < image->chunks[i].bytes; at += PAGE_BYTES)
            *word_at(shard->base + image->chunks[i].offset, at) ^= UINT64_MAX;
    }
    enum ss_status status = ss_alloc(&back, 1, most, "a chunk read back");
    if (status)
        return status;
    status = load(shard, &seconds, &first_chunk);
    for (int i = 0; i < image->chunk_count && !status; i++)
        status = compare(shard, i, back);
    ss_free(back);
    return status;
}

/* Bytes of all shards, and of the largest. */
static enum ss_status count_bytes(struct shard *shard, uint64_t *total, uint64_t *most)
{
    struct ss_link *link = shard->bench->link;
    uint64_t mine = shard->image.bytes, *all = 0;
    enum ss_status status = ss_alloc(&all, (size_t)link->ranks, sizeof *all, "bytes");
    if (!status)
        status = link->table->all_gather(link, &mine, sizeof mine, all);
    *total = *most = 0;
    for (int rank = 0; rank < link->ranks && !status; rank++) {
        *total += all[rank];
        *most = all[rank] > *most ? all[rank] : *most;
    }
    ss_free(all);
    return status;
}

static void say(struct shard *shard, uint64_t bytes, uint64_t most, double *bare, double *loads,
                double *first)
{
    struct bench *bench = shard->bench;
    int count = bench->repeats;
    json_t *all = json_array(), *ready = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(all, json_pack("[f, f]", bare[i], loads[i]));
    for (int i = 0; i < shard->image.chunk_count; i++)
        json_array_append_new(ready,
                              json_real((double)(shard->arrived_ns[i] - shard->begun_ns) / 1e9));
    double ceiling = times_median(bare, count), load_s = times_median(loads, count);
    json_array_append_new(bench->rows,
                          json_pack("{s:s, s:s, s:i, s:i, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:o}",
                                    "what", "swap", "model", bench->model, "tp", bench->tp, "pp",
                                    bench->pp, "bytes", (json_int_t)bytes, "rank_bytes_max",
                                    (json_int_t)most, "ceiling_s", ceiling, "load_s", load_s,
                                    "share_of_ceiling", ceiling / load_s, "first_chunk_s",
                                    times_median(first, count), "last_load_chunks_ready_s", ready,
                                    "bare_and_load_s", all));
    printf("%s (%d,%d): %.2f GB, bare copies %.4f s (%.1f GB/s), load %.4f s (%.1f GB/s): %.1f%% "
           "of the ceiling; first chunk after %.2f ms\n",
           bench->model, bench->tp, bench->pp, (double)bytes / 1e9, ceiling,
           (double)bytes / ceiling / 1e9, load_s, (double)bytes / load_s / 1e9,
           100 * ceiling / load_s, 1e3 * times_median(first, count));
}

enum ss_status bench_swap(struct bench *bench)
{
    struct shard shard;
    double *times = 0, warm, warm_first;
    uint64_t bytes = 0, most = 0;
    int count = bench->repeats;
    enum ss_status status = open_shard(bench, &shard);
    if (!status)
        status = ss_alloc(&times, (size_t)count * 3, sizeof *times, "times");
    if (!status)
        status = count_bytes(&shard, &bytes, &most);
    if (!status)
        status = copy_bare(&shard, &warm);
    if (!status)
        status = load(&shard, &warm, &warm_first);
    for (int i = 0; i < count && !status; i++) {
        /* Turn about, so that what disturbs the machine disturbs both alike. */
        status = copy_bare(&shard, &times[i]);
        if (!status)
            status = load(&shard, &times[count + i], &times[2 * count + i]);
    }
    if (!status && bench->link->rank == 0)
        say(&shard, bytes, most, times, times + count, times + 2 * count);
    if (!status)
        status = verify(&shard);
    ss_free(times);
    close_shard(&shard);
    return status;
}
