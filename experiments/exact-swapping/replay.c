/* mpirun -np RANKS replay CONFIG RECORD: computes again what `swapserve --config CONFIG --record
 * RECORD` computed, the same sequences in the same steps, with everything resident from the start;
 * every batch's logits must have the same bits.
 *
 * The pool is larger by all weights, which lie behind the recorded pool: so KV blocks keep their
 * places, and entries that move weights are left out. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/serve/node.h"
#include "engine/serve/record.h"
#include "pipeline/link/agree.h"

#define WAIT_NS (60 * SS_NS_PER_S)

struct replay {
    const struct ss_catalog *catalog;
    struct ss_node node;
    struct ss_entry_storage *storage;
    unsigned char *message;
    size_t message_bytes_max;
    FILE *entries, *logits; /* the last stage's first rank has both */
    uint64_t number;        /* of the latest entry taken */
    uint64_t recorded;      /* its number in the record */
    uint64_t batches, compared, different, left_out;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t done; /* the latest entry reported as done, or load as ended */
    bool failed;
};

static void on_report(void *user, const struct ss_report *report)
{
    struct replay *replay = user;
    pthread_mutex_lock(&replay->lock);
    bool ended = report->kind == SS_REPORT_DONE || report->kind == SS_REPORT_LOAD_ENDED;
    if (ended && report->number > replay->done)
        replay->done = report->number;
    replay->failed |= report->kind == SS_REPORT_FAILED;
    pthread_cond_signal(&replay->changed);
    pthread_mutex_unlock(&replay->lock);
}

/* One batch at a time: the record's next hash is this one's. */
static void on_logits(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits)
{
    struct replay *replay = user;
    uint64_t pair[2] = {0}, hash = ss_record_hash(logits, count, vocab);
    (void)number;
    if (!replay->logits)
        return;
    bool same = fread(pair, sizeof pair, 1, replay->logits) == 1 && pair[0] == replay->recorded &&
                pair[1] == hash;
    replay->compared++;
    if (!same && replay->different++ == 0)
        SS_ERROR("entry %llu: the logits of %u rows are not those recorded (entry %llu)",
                 (unsigned long long)replay->recorded, count, (unsigned long long)pair[0]);
}

static enum ss_status await(struct replay *replay)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(WAIT_NS / SS_NS_PER_S);
    pthread_mutex_lock(&replay->lock);
    while (replay->done < replay->number && !replay->failed && !error)
        error = pthread_cond_timedwait(&replay->changed, &replay->lock, &until);
    bool failed = replay->failed;
    pthread_mutex_unlock(&replay->lock);
    if (failed)
        return ss_fail(SS_IO, "the stage failed at entry %llu",
                       (unsigned long long)replay->recorded);
    return error ? ss_fail(SS_TIMEOUT, "entry %llu does not end",
                           (unsigned long long)replay->recorded)
                 : SS_OK;
}

/* Whether ENTRY is reported as done. */
static bool ends(const struct ss_entry *entry)
{
    return entry->kind == SS_ENTRY_BATCH || entry->kind == SS_ENTRY_MOVE ||
           entry->kind == SS_ENTRY_SPILL || entry->kind == SS_ENTRY_RESTORE ||
           entry->kind == SS_ENTRY_STOP;
}

static enum ss_status take(struct replay *replay, struct ss_entry *entry,
                           const struct ss_opening *openings, uint32_t opening_count)
{
    entry->number = ++replay->number;
    enum ss_status status = ss_stage_take(replay->node.executor, entry, openings, opening_count);
    return !status && ends(entry) ? await(replay) : status;
}

/* What is left of a move without its chunks; none: SS_EMPTY. */
static enum ss_status keep_blocks(struct ss_entry *entry, struct ss_page_move **out)
{
    uint32_t kept = 0;
    enum ss_status status = ss_alloc(out, entry->move_count, sizeof **out, "moves");
    for (uint32_t i = 0; i < entry->move_count && !status; i++)
        if (entry->moves[i].slot != SS_NO_SLOT)
            (*out)[kept++] = entry->moves[i];
    entry->moves = *out;
    entry->move_count = kept;
    return status || kept ? status : SS_EMPTY;
}

static enum ss_status replay_one(struct replay *replay, size_t bytes)
{
    struct ss_entry entry;
    struct ss_page_move *moves = 0;
    const struct ss_opening *openings;
    uint32_t opening_count;
    enum ss_status status =
        ss_entry_decode(replay->message, bytes, replay->storage, &entry, &openings, &opening_count);
    if (status)
        return status;
    replay->recorded = entry.number;
    replay->batches += entry.kind == SS_ENTRY_BATCH;
    switch (entry.kind) {
    case SS_ENTRY_LOAD:
    case SS_ENTRY_DROP:
    case SS_ENTRY_PROMOTE:
    case SS_ENTRY_CANCEL:
        replay->left_out++;
        return SS_OK;
    case SS_ENTRY_MOVE:
        status = keep_blocks(&entry, &moves);
        replay->left_out += status == SS_EMPTY;
        break;
    default:
        break;
    }
    if (!status)
        status = take(replay, &entry, openings, opening_count);
    ss_free(moves);
    return status == SS_EMPTY ? SS_OK : status;
}

static enum ss_status replay_all(struct replay *replay)
{
    uint32_t length;
    enum ss_status status = SS_OK;
    while (!status && fread(&length, sizeof length, 1, replay->entries) == 1) {
        if (length > replay->message_bytes_max ||
            fread(replay->message, 1, length, replay->entries) != length)
            return ss_fail(SS_INVALID, "the record ends within an entry, or is of another config");
        status = replay_one(replay, length);
    }
    return status;
}

static uint32_t pages_of(const struct ss_catalog *catalog, int stage)
{
    uint32_t pages = 0;
    for (int m = 0; m < catalog->model_count; m++)
        for (int c = 0; c < catalog->models[m].images[stage].chunk_count; c++)
            pages += catalog->models[m].chunk_pages[stage][c];
    return pages;
}

/* All models behind the first PAGE pages. */
static enum ss_status load_all(struct replay *replay, uint32_t page)
{
    const struct ss_catalog *catalog = replay->catalog;
    int stage = replay->node.stage;
    enum ss_status status = SS_OK;
    for (int m = 0; m < catalog->model_count && !status; m++) {
        uint32_t count = (uint32_t)catalog->models[m].images[stage].chunk_count;
        struct ss_placement *placements;
        status = ss_alloc(&placements, count, sizeof *placements, "placements");
        if (status)
            break;
        for (uint32_t c = 0; c < count; c++) {
            placements[c] = (struct ss_placement){(uint16_t)stage, (uint16_t)c, page};
            page += catalog->models[m].chunk_pages[stage][c];
        }
        struct ss_entry load = {.kind = SS_ENTRY_LOAD,
                                .model = (uint16_t)m,
                                .placements = placements,
                                .placement_count = count};
        status = take(replay, &load, 0, 0);
        if (!status)
            status = await(replay);
        ss_free(placements);
    }
    return status;
}

static FILE *open_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        SS_ERROR("%s cannot be read", path);
    return file;
}

static enum ss_status open_all(struct replay *replay, struct ss_link *link, const char *path)
{
    const struct ss_catalog *catalog = replay->catalog;
    const struct ss_node_hooks hooks = {on_report, on_logits, replay};
    char logits[4096];
    replay->message_bytes_max = ss_catalog_message_bytes_max(catalog);
    enum ss_status status = ss_record_logits_path(path, logits, sizeof logits);
    if (!status && link->rank == (catalog->pp - 1) * catalog->tp)
        replay->logits = open_file(logits);
    replay->entries = open_file(path);
    if (!replay->entries || (link->rank == (catalog->pp - 1) * catalog->tp && !replay->logits))
        status = ss_fail(SS_IO, "the record is not there");
    if (!status)
        status = ss_alloc(&replay->message, replay->message_bytes_max, 1, "message");
    if (!status)
        status = ss_entry_storage_create(replay->message_bytes_max, &replay->storage);
    status = ss_agree(link, status);
    return status ? status : ss_node_open(catalog, link, &hooks, &replay->node);
}

static void close_all(struct replay *replay)
{
    if (replay->node.link)
        ss_node_close(&replay->node);
    ss_entry_storage_destroy(replay->storage);
    ss_free(replay->message);
    if (replay->entries)
        fclose(replay->entries);
    if (replay->logits)
        fclose(replay->logits);
}

/* Nothing may be left of the hashes. */
static enum ss_status judge(struct replay *replay)
{
    if (!replay->logits)
        return SS_OK;
    bool rest = fgetc(replay->logits) != EOF;
    printf(
        "%llu batches, %llu with logits, %llu of them different; %llu entries left out, that moved "
        "weights\n",
        (unsigned long long)replay->batches, (unsigned long long)replay->compared,
        (unsigned long long)replay->different, (unsigned long long)replay->left_out);
    fflush(stdout);
    if (replay->different || rest || !replay->compared)
        return ss_fail(SS_INVALID, "%llu batches differ%s", (unsigned long long)replay->different,
                       rest ? ", and some of the record are missing" : "");
    return SS_OK;
}

static enum ss_status run(struct ss_config *config, struct ss_catalog *catalog, const char *path)
{
    struct replay replay = {
        .catalog = catalog, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const struct ss_link_options options = {
        .message_bytes_max = ss_catalog_message_bytes_max(catalog), .credits = 16, .queue_max = 64};
    struct ss_link *link;
    uint32_t recorded_pages = (uint32_t)(config->device.pool_bytes / config->device.page_bytes);
    uint32_t most = 0;
    for (int stage = 0; stage < catalog->pp; stage++)
        most = pages_of(catalog, stage) > most ? pages_of(catalog, stage) : most;
    config->device.pool_bytes = (size_t)(recorded_pages + most) * config->device.page_bytes;
    enum ss_status status = ss_link_open_mpi(&options, &link);
    if (status)
        return status;
    ss_log_set_rank(link->rank);
    status = open_all(&replay, link, path);
    if (!status)
        status = load_all(&replay, recorded_pages);
    if (!status)
        status = replay_all(&replay);
    if (!status)
        status = judge(&replay);
    /* Peers of one that failed would wait: no taking down in order. */
    if (status) {
        SS_ERROR("%s", ss_status_message());
        _Exit(EXIT_FAILURE);
    }
    status = link->table->barrier(link);
    close_all(&replay);
    link->table->destroy(link);
    return status;
}

int main(int argc, char **argv)
{
    struct ss_config *config = 0;
    struct ss_catalog *catalog = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: replay CONFIG RECORD\n");
        return 2;
    }
    enum ss_status status = ss_config_read(argv[1], stderr, &config);
    if (!status)
        status = ss_catalog_open(config, stderr, &catalog);
    if (!status)
        status = run(config, catalog, argv[2]);
    if (status)
        SS_ERROR("%s", ss_status_message());
    ss_catalog_close(catalog);
    if (config)
        ss_config_destroy(config);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
