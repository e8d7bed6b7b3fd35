/* A stage of one rank on the CPU device, with two test models, and what it reports. */
#ifndef SS_TESTS_UNIT_STAGE_BENCH_H
#define SS_TESTS_UNIT_STAGE_BENCH_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "pipeline/link/link.h"
#include "pipeline/stage/stage.h"
#include "swap/fill.h"

#define BENCH_MODELS  2
#define BENCH_PAGE    4096u
#define BENCH_POOL    (16u << 20)
#define BENCH_PAGES   (BENCH_POOL / BENCH_PAGE)
#define BENCH_BLOCK   8 /* tokens */
#define BENCH_CONTEXT 64
#define BENCH_SPILL   (1u << 20)
#define BENCH_NUMBERS 512
#define BENCH_WAIT_S  30

enum { LLAMA, OPT };

static const struct ss_stage_limits bench_limits = {.page_bytes = BENCH_PAGE,
                                                    .pool_bytes = BENCH_POOL,
                                                    .piece_bytes = 16384,
                                                    .pieces_in_flight = 2,
                                                    .block_tokens = BENCH_BLOCK,
                                                    .slots_max = 4,
                                                    .batch_max = 3,
                                                    .step_tokens_max = BENCH_CONTEXT,
                                                    .batches_in_flight = 3,
                                                    .loads_in_flight = 2,
                                                    .message_bytes_max = 4096};

struct bench_options {
    uint64_t link_bytes_per_s;
    size_t memory_bytes; /* of the device; 0: plenty */
    struct ss_trace *trace;
    bool graphs;
};

struct bench {
    struct ss_link *link;
    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stage *stage;
    struct ss_stage_options options;
    struct ss_stage_model models[BENCH_MODELS];
    struct ss_shape shapes[BENCH_MODELS];
    struct ss_image images[BENCH_MODELS];
    size_t base_bytes[BENCH_MODELS];
    void *spill;
    uint64_t number;
    uint32_t next_page; /* where the next KV block goes */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ss_report reports[SS_REPORT_KINDS][BENCH_NUMBERS]; /* the latest of each entry */
    uint64_t order[SS_REPORT_KINDS][BENCH_NUMBERS];           /* when it came; 0: it did not */
    struct ss_report_token tokens[BENCH_NUMBERS];             /* first of each batch */
    uint64_t count;
    char failure[SS_MESSAGE_BYTES];
};

static inline void bench_report(void *user, const struct ss_report *report)
{
    struct bench *bench = user;
    pthread_mutex_lock(&bench->lock);
    if (report->number < BENCH_NUMBERS) {
        bench->reports[report->kind][report->number] = *report;
        bench->order[report->kind][report->number] = ++bench->count;
        if (report->token_count)
            bench->tokens[report->number] = report->tokens[0];
    }
    if (report->kind == SS_REPORT_FAILED)
        snprintf(bench->failure, sizeof bench->failure, "%.*s", (int)report->message_bytes,
                 report->message);
    pthread_cond_broadcast(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

static inline void bench_open_model(struct bench *bench, int index, const char *folder)
{
    struct ss_checkpoint *checkpoint;
    struct ss_partition partition;
    struct ss_shape *shape = &bench->shapes[index];
    struct ss_image *image = &bench->images[index];
    cr_assert_eq(ss_shape_read(folder, shape), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK);
    cr_assert_eq(ss_shape_settle(shape, checkpoint), SS_OK);
    cr_assert_eq(ss_partition_make(shape, 1, 1, &partition), SS_OK);
    cr_assert_eq(ss_partition_image(&partition, shape, 0, 0, image), SS_OK);
    bench->base_bytes[index] = (image->bytes + BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
    void *base = mmap(0, bench->base_bytes[index], PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(base, MAP_FAILED);
    cr_assert_eq(ss_image_fill(image, checkpoint, base, 1, 0, 0), SS_OK, "%s", ss_status_message());
    ss_checkpoint_close(checkpoint);
    bench->models[index] = (struct ss_stage_model){.name = strrchr(folder, '/') + 1,
                                                   .shape = shape,
                                                   .image = image,
                                                   .base = base,
                                                   .context_max = BENCH_CONTEXT};
}

/* All but the device and the stage. */
static inline struct bench *bench_prepare(void)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const struct ss_link_options link = {.message_bytes_max = 4096, .credits = 4, .queue_max = 16};
    cr_assert(bench);
    pthread_mutex_init(&bench->lock, 0);
    pthread_cond_init(&bench->changed, 0);
    bench->next_page = BENCH_PAGES / 2;
    bench_open_model(bench, LLAMA, "tests/golden/models/llama-tiny");
    bench_open_model(bench, OPT, "tests/golden/models/opt-tiny");
    bench->spill = mmap(0, BENCH_SPILL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(bench->spill, MAP_FAILED);
    cr_assert_eq(ss_link_open_inproc(&link, 1, &bench->link), SS_OK);
    return bench;
}

static inline void bench_open_device(struct bench *bench, const struct bench_options *options)
{
    const struct ss_device_options device = {
        .kind = "cpu",
        .memory_bytes = options->memory_bytes ? options->memory_bytes : 256u << 20,
        .link_bytes_per_s = options->link_bytes_per_s};
    const struct ss_ops_options ops = {.kind = "real"};
    cr_assert_eq(ss_device_create(&device, &bench->device), SS_OK);
    for (int i = 0; i < BENCH_MODELS; i++)
        cr_assert_eq(bench->device->ops->host_register(bench->device, bench->models[i].base,
                                                       bench->base_bytes[i]),
                     SS_OK);
    cr_assert_eq(bench->device->ops->host_register(bench->device, bench->spill, BENCH_SPILL),
                 SS_OK);
    cr_assert_eq(ss_ops_create(bench->device, &ops, &bench->ops), SS_OK);
    cr_assert_eq(
        ss_comm_create(bench->link, bench->device, 1, 1, 65536, 10000000000ull, &bench->comm),
        SS_OK);
    bench->options = (struct ss_stage_options){
        .device = bench->device,
        .ops = bench->ops,
        .comm = bench->comm,
        .limits = bench_limits,
        .model_count = BENCH_MODELS,
        .models = bench->models,
        .spill = bench->spill,
        .spill_bytes = BENCH_SPILL,
        .report = bench_report,
        .user = bench,
        .trace = options->trace,
        .graphs = options->graphs,
    };
}

static inline struct bench *bench_open(struct bench_options options)
{
    struct bench *bench = bench_prepare();
    bench_open_device(bench, &options);
    cr_assert_eq(ss_stage_create(&bench->options, &bench->stage), SS_OK, "%s", ss_status_message());
    return bench;
}

static inline void bench_close_device(struct bench *bench)
{
    const struct ss_device_ops *device = bench->device->ops;
    ss_stage_destroy(bench->stage);
    bench->comm->table->destroy(bench->comm);
    bench->ops->table->destroy(bench->ops);
    for (int i = 0; i < BENCH_MODELS; i++)
        device->host_unregister(bench->device, bench->models[i].base, bench->base_bytes[i]);
    device->host_unregister(bench->device, bench->spill, BENCH_SPILL);
    device->destroy(bench->device);
}

static inline void bench_release(struct bench *bench)
{
    bench->link->table->destroy(bench->link);
    for (int i = 0; i < BENCH_MODELS; i++) {
        munmap(bench->models[i].base, bench->base_bytes[i]);
        ss_image_release(&bench->images[i]);
    }
    munmap(bench->spill, BENCH_SPILL);
    pthread_mutex_destroy(&bench->lock);
    pthread_cond_destroy(&bench->changed);
    free(bench);
}

static inline void bench_close(struct bench *bench)
{
    bench_close_device(bench);
    bench_release(bench);
}

/* Takes ENTRY under the next number. */
static inline enum ss_status bench_try(struct bench *bench, struct ss_entry entry,
                                       const struct ss_opening *openings, uint32_t opening_count)
{
    entry.number = bench->number + 1;
    cr_assert_lt(entry.number, BENCH_NUMBERS);
    enum ss_status status = ss_stage_take(bench->stage, &entry, openings, opening_count);
    if (!status)
        bench->number++;
    return status;
}

static inline uint64_t bench_take(struct bench *bench, struct ss_entry entry)
{
    enum ss_status status = bench_try(bench, entry, 0, 0);
    cr_assert_eq(status, SS_OK, "%s: %s", ss_entry_kind_name(entry.kind), ss_status_message());
    return bench->number;
}

static inline bool bench_has(struct bench *bench, enum ss_report_kind kind, uint64_t number)
{
    pthread_mutex_lock(&bench->lock);
    bool has = bench->order[kind][number] != 0;
    pthread_mutex_unlock(&bench->lock);
    return has;
}

/* Waits for the report KIND of entry NUMBER. */
static inline struct ss_report bench_await(struct bench *bench, enum ss_report_kind kind,
                                           uint64_t number)
{
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BENCH_WAIT_S;
    pthread_mutex_lock(&bench->lock);
    while (!bench->order[kind][number] && !*bench->failure && !late)
        late = pthread_cond_timedwait(&bench->changed, &bench->lock, &until);
    struct ss_report report = bench->reports[kind][number];
    pthread_mutex_unlock(&bench->lock);
    cr_assert_str_empty(bench->failure);
    cr_assert(!late, "no report %d of entry %llu", (int)kind, (unsigned long long)number);
    return report;
}

static inline uint32_t bench_pages_of(uint64_t bytes)
{
    return (uint32_t)((bytes + BENCH_PAGE - 1) / BENCH_PAGE);
}

/* Fills PLACEMENTS with all chunks of MODEL from PAGE on; returns the load or drop of them. */
static inline struct ss_entry bench_place(const struct bench *bench, enum ss_entry_kind kind,
                                          int model, uint32_t page, struct ss_placement *placements)
{
    const struct ss_image *image = &bench->images[model];
    for (int i = 0; i < image->chunk_count; i++) {
        placements[i] = (struct ss_placement){.chunk = (uint16_t)i, .page = page};
        page += bench_pages_of(image->chunks[i].bytes);
    }
    return (struct ss_entry){.kind = kind,
                             .model = (uint16_t)model,
                             .placement_count = (uint32_t)image->chunk_count,
                             .placements = placements};
}

/* Loads MODEL to PAGE and the pages behind it; returns the entry's number. */
static inline uint64_t bench_load(struct bench *bench, int model, uint32_t page)
{
    struct ss_placement placements[16];
    return bench_take(bench, bench_place(bench, SS_ENTRY_LOAD, model, page, placements));
}

static inline uint64_t bench_drop(struct bench *bench, int model, bool copy_back)
{
    struct ss_placement placements[16];
    struct ss_entry entry = bench_place(bench, SS_ENTRY_DROP, model, 0, placements);
    entry.copy_back = copy_back;
    return bench_take(bench, entry);
}

static inline uint32_t bench_block_pages(const struct bench *bench, int model)
{
    return bench_pages_of(bench->shapes[model].layers * BENCH_BLOCK *
                          ss_kv_bytes_per_token_layer(&bench->shapes[model], 1, 4));
}

/* A sequence that generates, and where its blocks are. */
struct bench_sequence {
    int model;
    uint16_t slot;
    uint32_t prompt_count, position, known, block_count;
    uint32_t blocks[BENCH_CONTEXT / BENCH_BLOCK];
    int32_t prompt[BENCH_CONTEXT], tokens[BENCH_CONTEXT];
    uint32_t token_count;
};

static inline struct bench_sequence bench_sequence(int model, uint16_t slot)
{
    struct bench_sequence sequence = {
        .model = model, .slot = slot, .prompt_count = 11, .known = 11};
    for (int i = 0; i < 11; i++)
        sequence.prompt[i] = 300 + 37 * i;
    return sequence;
}

/* Queues the sequence's next step, all known tokens from its position on; returns its number. */
static inline uint64_t bench_queue(struct bench *bench, struct bench_sequence *sequence)
{
    uint32_t pages[BENCH_CONTEXT / BENCH_BLOCK];
    uint32_t need = (sequence->known + BENCH_BLOCK - 1) / BENCH_BLOCK;
    struct ss_batch_sequence item = {.slot = sequence->slot,
                                     .flags = SS_SEQUENCE_SAMPLE,
                                     .position = sequence->position,
                                     .count = sequence->known - sequence->position,
                                     .new_blocks = need - sequence->block_count};
    struct ss_opening opening = {.top_p = 1,
                                 .length_max = BENCH_CONTEXT,
                                 .prompt_count = sequence->prompt_count,
                                 .prompt = sequence->prompt};
    if (sequence->token_count == 0 && sequence->position == 0)
        item.flags |= SS_SEQUENCE_OPEN;
    for (uint32_t i = 0; i < item.new_blocks; i++) {
        pages[i] = bench->next_page;
        sequence->blocks[sequence->block_count++] = bench->next_page;
        bench->next_page += bench_block_pages(bench, sequence->model);
    }
    struct ss_entry entry = {.kind = SS_ENTRY_BATCH,
                             .model = (uint16_t)sequence->model,
                             .sequence_count = 1,
                             .sequences = &item,
                             .page_count = item.new_blocks,
                             .pages = pages};
    enum ss_status status = bench_try(bench, entry, &opening, 1);
    cr_assert_eq(status, SS_OK, "%s", ss_status_message());
    sequence->position = sequence->known++;
    return bench->number;
}

static inline void bench_collect(struct bench *bench, struct bench_sequence *sequence,
                                 uint64_t number)
{
    bench_await(bench, SS_REPORT_TOKENS, number);
    cr_assert_eq(bench->tokens[number].slot, sequence->slot);
    sequence->tokens[sequence->token_count++] = bench->tokens[number].token;
    bench_await(bench, SS_REPORT_DONE, number);
}

static inline void bench_generate(struct bench *bench, struct bench_sequence *sequence, int steps)
{
    for (int i = 0; i < steps; i++)
        bench_collect(bench, sequence, bench_queue(bench, sequence));
}

static inline void bench_same_tokens(const struct bench_sequence *a, const struct bench_sequence *b)
{
    cr_assert_eq(a->token_count, b->token_count);
    for (uint32_t i = 0; i < a->token_count; i++)
        cr_assert_eq(a->tokens[i], b->tokens[i], "token %u: %d, not %d", i, b->tokens[i],
                     a->tokens[i]);
}

#endif
