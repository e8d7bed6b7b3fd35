/* What the transfer engine promises (swap/transfer.h), on any device: transfer KIND. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/random.h"
#include "swap/transfer.h"
#include "tests/contract/device_cases.h"

#define CHUNK_BYTES ((size_t)40000) /* nine whole pieces and a rest */
#define PIECE_BYTES ((size_t)4096)
#define CHUNKS_MAX  8
#define LOADS_MAX   4
#define NUMBERS_MAX 2000
#define PLACES      (LOADS_MAX * CHUNKS_MAX)
#define LONG_NS     (60 * SS_NS_PER_S)

/* What the callbacks said of one load. */
struct outcome {
    int arrived, count;
    bool ended;
    enum ss_status status;
};

struct bench {
    struct ss_device *device;
    const struct ss_device_ops *ops;
    struct ss_transfer *transfer;
    struct ss_stream *unload;
    struct ss_timeline *ready[PLACES], *gate, *done;
    unsigned char *source; /* PLACES chunks, and one to read back to */
    ss_device_address pool;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct outcome outcomes[NUMBERS_MAX];
    uint64_t reads;
};

static void arrived(void *user, uint64_t number, int count, uint64_t now_ns)
{
    struct bench *bench = user;
    pthread_mutex_lock(&bench->lock);
    CHECK(!bench->outcomes[number].ended);
    CHECK(count == bench->outcomes[number].arrived + 1);
    CHECK(now_ns > 0 && now_ns <= ss_now_ns());
    bench->outcomes[number].arrived = count;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static void ended(void *user, uint64_t number, int count, enum ss_status status)
{
    struct bench *bench = user;
    pthread_mutex_lock(&bench->lock);
    CHECK(!bench->outcomes[number].ended);
    CHECK(count == bench->outcomes[number].arrived);
    bench->outcomes[number].ended = true;
    bench->outcomes[number].count = count;
    bench->outcomes[number].status = status;
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static size_t source_bytes(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((PLACES + 1) * CHUNK_BYTES + page - 1) / page * page;
}

static void set_up(struct bench *bench)
{
    const struct ss_device_options options = {.kind = kind,
                                              .memory_bytes = 2 * PLACES * CHUNK_BYTES};
    memset(bench, 0, sizeof *bench);
    MUST(ss_device_create(&options, &bench->device));
    bench->ops = bench->device->ops;
    bench->source =
        mmap(0, source_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bench->source == MAP_FAILED)
        exit(1);
    for (size_t i = 0; i < PLACES * CHUNK_BYTES; i++)
        bench->source[i] = (unsigned char)ss_random_u64(1, i);
    MUST(bench->ops->host_register(bench->device, bench->source, source_bytes()));
    MUST(bench->ops->alloc(bench->device, PLACES * CHUNK_BYTES, &bench->pool));
    MUST(bench->ops->stream_create(bench->device, SS_STREAM_UNLOAD, &bench->unload));
    for (int i = 0; i < PLACES; i++)
        MUST(bench->ops->timeline_create(bench->device, &bench->ready[i]));
    MUST(bench->ops->timeline_create(bench->device, &bench->gate));
    MUST(bench->ops->timeline_create(bench->device, &bench->done));
    pthread_mutex_init(&bench->lock, 0);
    pthread_cond_init(&bench->changed, 0);
    const struct ss_transfer_options transfer = {.piece_bytes = PIECE_BYTES,
                                                 .pieces_in_flight = 2,
                                                 .loads_max = LOADS_MAX,
                                                 .chunks_max = CHUNKS_MAX,
                                                 .arrived = arrived,
                                                 .ended = ended,
                                                 .user = bench};
    MUST(ss_transfer_create(bench->device, &transfer, &bench->transfer));
}

static void tear_down(struct bench *bench)
{
    if (bench->transfer)
        ss_transfer_destroy(bench->transfer);
    bench->ops->stream_destroy(bench->unload);
    for (int i = 0; i < PLACES; i++)
        bench->ops->timeline_destroy(bench->ready[i]);
    bench->ops->timeline_destroy(bench->gate);
    bench->ops->timeline_destroy(bench->done);
    bench->ops->free(bench->device, bench->pool);
    bench->ops->host_unregister(bench->device, bench->source, source_bytes());
    munmap(bench->source, source_bytes());
    bench->ops->destroy(bench->device);
    pthread_cond_destroy(&bench->changed);
    pthread_mutex_destroy(&bench->lock);
}

/* Chunk C of the load in place group GROUP, from its own source to its own place. */
static struct ss_transfer_chunk chunk_of(const struct bench *bench, int group, int c)
{
    size_t at = (size_t)(group * CHUNKS_MAX + c);
    return (struct ss_transfer_chunk){.from = bench->source + at * CHUNK_BYTES,
                                      .to = bench->pool + at * CHUNK_BYTES,
                                      .bytes = CHUNK_BYTES,
                                      .ready = bench->ready[at]};
}

static enum ss_status load(struct bench *bench, uint64_t number, enum ss_lane lane, int group,
                           int count, uint64_t gate)
{
    struct ss_transfer_chunk chunks[CHUNKS_MAX];
    for (int c = 0; c < count; c++) {
        chunks[c] = chunk_of(bench, group, c);
        chunks[c].free_after = gate ? bench->gate : 0;
        chunks[c].free_value = gate;
    }
    return ss_transfer_load(bench->transfer, number, lane, chunks, count);
}

static struct outcome await_end(struct bench *bench, uint64_t number)
{
    pthread_mutex_lock(&bench->lock);
    while (!bench->outcomes[number].ended)
        pthread_cond_wait(&bench->changed, &bench->lock);
    struct outcome outcome = bench->outcomes[number];
    pthread_mutex_unlock(&bench->lock);
    return outcome;
}

static bool place_holds_source(struct bench *bench, int group, int c)
{
    struct ss_transfer_chunk chunk = chunk_of(bench, group, c);
    unsigned char *got = bench->source + PLACES * CHUNK_BYTES;
    memset(got, 0, CHUNK_BYTES);
    MUST(bench->ops->copy_to_host(bench->unload, got, chunk.to, CHUNK_BYTES));
    MUST(bench->ops->signal(bench->unload, bench->done, ++bench->reads));
    MUST(bench->ops->timeline_wait(bench->done, bench->reads, LONG_NS));
    return memcmp(got, chunk.from, CHUNK_BYTES) == 0;
}

static void a_load_arrives_chunk_by_chunk(struct bench *bench)
{
    MUST(load(bench, 3, SS_LANE_DEMAND, 0, CHUNKS_MAX, 0));
    struct outcome outcome = await_end(bench, 3);
    CHECK(outcome.status == SS_OK && outcome.count == CHUNKS_MAX);
    for (int c = 0; c < CHUNKS_MAX; c++) {
        CHECK(bench->ops->timeline_value(bench->ready[c]) == 3);
        CHECK(place_holds_source(bench, 0, c));
    }
    CHECK(ss_device_bytes_to_device(bench->device) == CHUNKS_MAX * CHUNK_BYTES);
}

static void a_reader_may_wait_for_a_load_to_come(struct bench *bench)
{
    MUST(bench->ops->wait(bench->unload, bench->ready[CHUNKS_MAX - 1], 9));
    MUST(load(bench, 9, SS_LANE_PREFETCH, 0, CHUNKS_MAX, 0));
    CHECK(place_holds_source(bench, 0, CHUNKS_MAX - 1));
}

static void a_blocked_load_lets_others_pass(struct bench *bench)
{
    MUST(load(bench, 1, SS_LANE_DEMAND, 0, 2, 50));
    MUST(load(bench, 2, SS_LANE_DEMAND, 1, 2, 60));
    MUST(load(bench, 3, SS_LANE_PREFETCH, 2, 2, 0));
    CHECK(await_end(bench, 3).status == SS_OK);
    CHECK(bench->ops->timeline_value(bench->ready[0]) == 0);
    bench->ops->timeline_raise(bench->gate, 59);
    CHECK(await_end(bench, 1).status == SS_OK);
    CHECK(bench->ops->timeline_value(bench->ready[CHUNKS_MAX]) == 0);
    bench->ops->timeline_raise(bench->gate, 60);
    CHECK(await_end(bench, 2).status == SS_OK);
    CHECK(place_holds_source(bench, 0, 1) && place_holds_source(bench, 1, 1));
}

static void a_cancelled_load_writes_no_more(struct bench *bench)
{
    MUST(load(bench, 1, SS_LANE_DEMAND, 0, CHUNKS_MAX, 0));
    CHECK(await_end(bench, 1).status == SS_OK);
    unsigned char *source = bench->source;
    for (size_t i = 0; i < CHUNKS_MAX * CHUNK_BYTES; i++)
        source[i] ^= 0xff;
    MUST(load(bench, 2, SS_LANE_DEMAND, 0, CHUNKS_MAX, 4));
    ss_transfer_cancel(bench->transfer, 2);
    struct outcome outcome = await_end(bench, 2);
    CHECK(outcome.status == SS_CANCELLED && outcome.count == 0);
    bench->ops->timeline_raise(bench->gate, 4);
    usleep(5000);
    CHECK(bench->ops->timeline_value(bench->ready[0]) == 1);
    CHECK(!place_holds_source(bench, 0, 0));
    /* Over already: both are left alone. */
    ss_transfer_cancel(bench->transfer, 1);
    ss_transfer_promote(bench->transfer, 2);
}

static void limits_are_kept(struct bench *bench)
{
    struct ss_transfer_chunk chunks[CHUNKS_MAX + 1] = {{0}};
    for (int i = 0; i < LOADS_MAX; i++)
        MUST(load(bench, (uint64_t)i + 1, SS_LANE_PREFETCH, i, 1, 9));
    CHECK(load(bench, 20, SS_LANE_DEMAND, 0, 1, 0) == SS_FULL);
    CHECK(load(bench, 2, SS_LANE_DEMAND, 0, 1, 0) == SS_INVALID);
    CHECK(ss_transfer_load(bench->transfer, 21, SS_LANE_DEMAND, chunks, CHUNKS_MAX + 1) ==
          SS_INVALID);
    ss_transfer_cancel(bench->transfer, 1);
    CHECK(await_end(bench, 1).status == SS_CANCELLED);
    MUST(ss_transfer_load(bench->transfer, 22, SS_LANE_DEMAND, chunks, 0));
    struct outcome outcome = await_end(bench, 22);
    CHECK(outcome.status == SS_OK && outcome.count == 0);
}

static void destroying_ends_what_is_outstanding(struct bench *bench)
{
    MUST(load(bench, 1, SS_LANE_DEMAND, 0, 3, 9));
    MUST(load(bench, 2, SS_LANE_PREFETCH, 1, CHUNKS_MAX, 0));
    ss_transfer_destroy(bench->transfer);
    bench->transfer = 0;
    CHECK(bench->outcomes[1].ended && bench->outcomes[1].status == SS_CANCELLED);
    CHECK(bench->outcomes[2].ended);
    for (int c = 0; c < bench->outcomes[2].count; c++)
        CHECK(place_holds_source(bench, 1, c));
}

/* Wherever it fails, handing a piece to the link or moving it, no load may seem to have arrived. */
static void a_failed_device_ends_all_loads(struct bench *bench)
{
    enum { NTH_MAX = 30 };
    for (uint64_t nth = 1; nth <= NTH_MAX; nth++) {
        if (nth > 1) {
            tear_down(bench);
            set_up(bench);
        }
        MUST(load(bench, 1, SS_LANE_PREFETCH, 0, 1, 9));
        ss_fault_arm(SS_FAULT_DEVICE, nth);
        MUST(load(bench, 2, SS_LANE_DEMAND, 1, CHUNKS_MAX, 0));
        enum ss_status status = await_end(bench, 2).status;
        ss_fault_arm(SS_FAULT_DEVICE, 0);
        CHECK(status != SS_OK && status != SS_CANCELLED);
        CHECK(await_end(bench, 1).status == status);
        CHECK(load(bench, 3, SS_LANE_DEMAND, 1, CHUNKS_MAX, 0) == status);
        CHECK(bench->ops->health(bench->device) != SS_OK);
    }
}

/* Promotes and cancels loads while another thread makes them. */
struct meddler {
    struct bench *bench;
    atomic_bool stop;
    _Atomic uint64_t latest;
};

static void *meddle(void *argument)
{
    struct meddler *meddler = argument;
    for (uint64_t i = 0; !meddler->stop; i++) {
        uint64_t number = meddler->latest - ss_random_u64(3, i) % LOADS_MAX;
        if (ss_random_u64(4, i) % 4)
            ss_transfer_promote(meddler->bench->transfer, number);
        else
            ss_transfer_cancel(meddler->bench->transfer, number);
        meddler->bench->ops->timeline_raise(meddler->bench->gate, meddler->latest);
        usleep(200);
    }
    return 0;
}

static void many_loads_with_a_meddler(struct bench *bench)
{
    enum { LOADS = 400 };
    struct meddler meddler = {.bench = bench};
    pthread_t thread;
    int whole = 0;
    if (pthread_create(&thread, 0, meddle, &meddler))
        exit(1);
    for (uint64_t n = LOADS_MAX + 1; n <= LOADS; n++) {
        int group = (int)(n % LOADS_MAX);
        /* The load that used these places before has ended, so they may be written again. */
        if (n > 2 * LOADS_MAX)
            (void)await_end(bench, n - LOADS_MAX);
        int count = 1 + (int)(ss_random_u64(5, n) % CHUNKS_MAX);
        enum ss_lane lane = ss_random_u64(6, n) % 2 ? SS_LANE_DEMAND : SS_LANE_PREFETCH;
        meddler.latest = n;
        MUST(load(bench, n, lane, group, count, ss_random_u64(7, n) % 3 ? 0 : n));
        if (n % 8)
            continue;
        struct outcome outcome = await_end(bench, n);
        CHECK(outcome.status == (outcome.count == count ? SS_OK : SS_CANCELLED));
        for (int c = 0; c < outcome.count; c++) {
            CHECK(bench->ops->timeline_value(chunk_of(bench, group, c).ready) == n);
            CHECK(place_holds_source(bench, group, c));
        }
        whole += outcome.count == count;
    }
    meddler.stop = true;
    pthread_join(thread, 0);
    bench->ops->timeline_raise(bench->gate, UINT64_MAX);
    for (uint64_t n = LOADS - LOADS_MAX + 1; n <= LOADS; n++)
        (void)await_end(bench, n);
    CHECK(whole > 0);
}

static const struct device_case cases[] = {
    {"a_load_arrives_chunk_by_chunk", a_load_arrives_chunk_by_chunk},
    {"a_reader_may_wait_for_a_load_to_come", a_reader_may_wait_for_a_load_to_come},
    {"a_blocked_load_lets_others_pass", a_blocked_load_lets_others_pass},
    {"a_cancelled_load_writes_no_more", a_cancelled_load_writes_no_more},
    {"limits_are_kept", limits_are_kept},
    {"destroying_ends_what_is_outstanding", destroying_ends_what_is_outstanding},
    {"a_failed_device_ends_all_loads", a_failed_device_ends_all_loads},
    {"many_loads_with_a_meddler", many_loads_with_a_meddler},
};

int main(int count, char **arguments)
{
    static struct bench bench;
    return run_device_cases(count, arguments, cases, sizeof cases / sizeof *cases, &bench, set_up,
                            tear_down);
}
