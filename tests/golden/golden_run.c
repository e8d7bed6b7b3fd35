/* Runs a checkpoint's golden prompts on the stage executor, ranks as threads, and compares.
 *
 *     golden_run MODEL_FOLDER EXPECTED_JSON TP PP [DEVICE [KIND [deterministic]]]
 *
 * Each rank takes the same entries: a load, then for each prompt a prefill and decode steps, two
 * under way at a time. Tokens must be equal and logits near: within 1e-4 (relative, Euclidean)
 * where activations are fp32, 5e-3 in fp16, 2e-2 in bf16, where a prompt may part from what is
 * expected at a near tie and is compared no further. Then all prompts run again in one batch with
 * their prompts cut into slices: where operations of KIND are batch invariant, as the CPU's always
 * are, the bits must be the same. DEVICE is "cpu" by default; each rank has a GPU on "cuda". */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/memory.h"
#include "pipeline/link/link.h"
#include "pipeline/stage/stage.h"
#include "swap/fill.h"
#include "tests/golden/golden.h"

#define RANKS_MAX    16
#define PAGE_BYTES   4096u
#define POOL_BYTES   (24u << 20)
#define BLOCK_TOKENS 16
#define CONTEXT_MAX  256
#define STEP_TOKENS  256
#define SLICE_TOKENS 7
#define IN_FLIGHT    3
#define WAIT_S       100

struct run {
    const struct golden *golden;
    struct ss_shape shape;
    struct ss_partition partition;
    struct ss_checkpoint *checkpoint;
    int tp, pp;
    const char *device, *operations;
    bool deterministic;        /* asked for */
    enum ss_dtype activations; /* of the operations, and what they promise */
    bool invariant;
    pthread_mutex_t lock;
    int failures;
    double worst;
    /* [prompt][generated][vocab]: of the run alone, and whether it was seen. */
    float *alone;
    bool *seen;
    bool *parted; /* [prompt]: at a near tie */
    int partings;
    atomic_bool together; /* the second run */
};

struct rank {
    struct run *run;
    struct ss_link *link;
    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stage *stage;
    struct ss_image image;
    unsigned char *base;
    size_t base_bytes;
    uint64_t number;
    uint32_t next_page; /* for KV blocks: the stages' page maps are kept alike */

    pthread_mutex_t lock;
    pthread_cond_t done;
    uint64_t batches_done;
    bool failed;

    /* What each batch in flight samples: by number. */
    struct {
        uint64_t number;
        uint32_t count, prompt[16], generated[16];
    } sampled[8];
};

static void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct run *run, const char *format, ...)
{
    va_list args;
    pthread_mutex_lock(&run->lock);
    if (run->failures++ < 10) {
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
    }
    pthread_mutex_unlock(&run->lock);
}

/* Relative, Euclidean, by the type of activations. */
static const double tolerance[] = {[SS_F32] = 1e-4, [SS_F16] = 5e-3, [SS_BF16] = 2e-2};

static void compare_logits(struct run *run, uint32_t prompt, uint32_t generated,
                           const float *logits)
{
    const struct golden_prompt *golden = &run->golden->prompts[prompt];
    uint32_t vocab = run->golden->vocab;
    for (int i = 0; i < golden->logits_count; i++) {
        if (golden->logits[i].generated != generated)
            continue;
        double distance = 0, norm = 0;
        for (uint32_t v = 0; v < vocab; v++) {
            double expected = golden->logits[i].values[v], off = logits[v] - expected;
            distance += off * off;
            norm += expected * expected;
        }
        double relative = sqrt(distance / norm);
        if (!(relative < tolerance[run->activations]))
            fail(run, "%s: logits after %u tokens: relative distance %g, at most %g", golden->name,
                 generated, relative, tolerance[run->activations]);
        pthread_mutex_lock(&run->lock);
        run->worst = relative > run->worst ? relative : run->worst;
        pthread_mutex_unlock(&run->lock);
    }
}

static void on_logits(void *user, uint64_t number, uint32_t count, uint32_t vocab,
                      const float *logits)
{
    struct rank *rank = user;
    struct run *run = rank->run;
    if (rank->link->rank != run->tp * (run->pp - 1))
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t prompt = rank->sampled[number % 8].prompt[i];
        uint32_t generated = rank->sampled[number % 8].generated[i];
        size_t index = (size_t)prompt * GOLDEN_TOKENS + generated;
        const float *row = logits + (size_t)i * vocab;
        if (run->parted[prompt]) {
            run->seen[index] = true;
            continue;
        }
        if (!run->together || !run->invariant)
            compare_logits(run, prompt, generated, row);
        if (run->activations != SS_F32 &&
            golden_near_tie(row, vocab, run->golden->prompts[prompt].greedy[generated],
                            tolerance[run->activations])) {
            run->parted[prompt] = true;
            run->partings++;
        }
        if (!run->together) {
            memcpy(run->alone + index * vocab, row, vocab * sizeof *row);
            run->seen[index] = true;
        } else if (run->invariant &&
                   memcmp(run->alone + index * vocab, row, vocab * sizeof *row) != 0) {
            fail(run, "%s: logits after %u tokens: other bits in a batch with slices",
                 run->golden->prompts[prompt].name, generated);
        }
    }
}

static void check_tokens(struct rank *rank, const struct ss_report *report)
{
    struct run *run = rank->run;
    for (uint32_t i = 0; i < report->token_count; i++) {
        uint32_t prompt = rank->sampled[report->number % 8].prompt[i];
        uint32_t generated = rank->sampled[report->number % 8].generated[i];
        int32_t expected = run->golden->prompts[prompt].greedy[generated];
        if (report->tokens[i].token != expected && !run->parted[prompt])
            fail(run, "%s: token %u is %d, expected %d", run->golden->prompts[prompt].name,
                 generated, report->tokens[i].token, expected);
    }
}

static void on_report(void *user, const struct ss_report *report)
{
    struct rank *rank = user;
    if (report->kind == SS_REPORT_TOKENS)
        check_tokens(rank, report);
    pthread_mutex_lock(&rank->lock);
    if (report->kind == SS_REPORT_DONE)
        rank->batches_done++;
    if (report->kind == SS_REPORT_FAILED)
        rank->failed = true;
    pthread_cond_signal(&rank->done);
    pthread_mutex_unlock(&rank->lock);
    if (report->kind == SS_REPORT_FAILED)
        fail(rank->run, "%.*s", (int)report->message_bytes, report->message);
}

/* Waits until at most UNDER of SENT batches are under way. */
static bool await_batches(struct rank *rank, uint64_t sent, uint64_t under)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int late = 0;
    pthread_mutex_lock(&rank->lock);
    while (!rank->failed && !late && rank->batches_done + under < sent)
        late = pthread_cond_timedwait(&rank->done, &rank->lock, &until);
    bool good = !rank->failed && !late;
    pthread_mutex_unlock(&rank->lock);
    if (late)
        fail(rank->run, "rank %d: no batch ended for %d s", rank->link->rank, WAIT_S);
    return good;
}

struct sequence {
    uint32_t prompt, position, known; /* known: tokens in the table, or on their way there */
    uint32_t blocks;
};

/* Adds the next slice of SEQUENCE to the batch. */
static void add(struct rank *rank, struct sequence *sequence, uint32_t slice,
                struct ss_batch_sequence *out, uint32_t *pages, uint32_t *page_count,
                struct ss_opening *openings, uint32_t *opening_count, uint64_t number)
{
    const struct golden_prompt *golden = &rank->run->golden->prompts[sequence->prompt];
    uint32_t left = sequence->known - sequence->position;
    uint32_t count = left < slice ? left : slice;
    uint32_t end = sequence->position + count;
    uint32_t blocks = (end + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    *out = (struct ss_batch_sequence){.request = sequence->prompt,
                                      .slot = (uint16_t)sequence->prompt,
                                      .position = sequence->position,
                                      .count = count,
                                      .new_blocks = blocks - sequence->blocks};
    if (sequence->position == 0) {
        out->flags |= SS_SEQUENCE_OPEN;
        openings[(*opening_count)++] =
            (struct ss_opening){.top_p = 1,
                                .length_max = golden->count + GOLDEN_TOKENS,
                                .prompt_count = golden->count,
                                .prompt = golden->ids};
    }
    uint64_t block_bytes = 0;
    for (int stage = 0; stage < rank->run->pp; stage++) {
        uint64_t layers =
            rank->run->partition.first_layer[stage + 1] - rank->run->partition.first_layer[stage];
        uint64_t bytes = layers * BLOCK_TOKENS *
                         ss_kv_bytes_per_token_layer(&rank->run->shape, rank->run->tp,
                                                     ss_dtype_bytes(rank->run->activations));
        block_bytes = bytes > block_bytes ? bytes : block_bytes;
    }
    uint32_t block_pages = (uint32_t)((block_bytes + PAGE_BYTES - 1) / PAGE_BYTES);
    for (int stage = 0; stage < rank->run->pp; stage++)
        for (uint32_t i = 0; i < out->new_blocks; i++)
            pages[(*page_count)++] = rank->next_page + i * block_pages;
    rank->next_page += out->new_blocks * block_pages;
    sequence->blocks = blocks;
    sequence->position = end;
    if (end == sequence->known) {
        out->flags |= SS_SEQUENCE_SAMPLE;
        uint32_t index = rank->sampled[number % 8].count++;
        rank->sampled[number % 8].prompt[index] = sequence->prompt;
        rank->sampled[number % 8].generated[index] = end - golden->count;
        sequence->known++;
    }
}

static bool step(struct rank *rank, struct sequence *sequences, uint32_t count, uint32_t slice)
{
    struct ss_batch_sequence items[16];
    struct ss_opening openings[16];
    uint32_t pages[RANKS_MAX * 64], page_count = 0, opening_count = 0;
    uint64_t number = rank->number++;
    rank->sampled[number % 8].count = 0;
    for (uint32_t i = 0; i < count; i++)
        add(rank, &sequences[i], slice, &items[i], pages, &page_count, openings, &opening_count,
            number);
    struct ss_entry entry = {.number = number,
                             .kind = SS_ENTRY_BATCH,
                             .sequence_count = count,
                             .sequences = items,
                             .page_count = page_count,
                             .pages = pages};
    return !ss_stage_take(rank->stage, &entry, openings, opening_count);
}

static bool finished(const struct run *run, const struct sequence *sequence)
{
    return sequence->known >= run->golden->prompts[sequence->prompt].count + GOLDEN_TOKENS;
}

/* Runs SEQUENCES until each has its tokens, two batches under way. */
static bool run_sequences(struct rank *rank, struct sequence *sequences, uint32_t count,
                          uint32_t slice, uint64_t *sent)
{
    for (;;) {
        struct sequence live[16];
        uint32_t index[16], n = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!finished(rank->run, &sequences[i])) {
                index[n] = i;
                live[n++] = sequences[i];
            }
        if (n == 0)
            return await_batches(rank, *sent, 0);
        if (!await_batches(rank, *sent, 1) || !step(rank, live, n, slice))
            return false;
        ++*sent;
        for (uint32_t i = 0; i < n; i++)
            sequences[index[i]] = live[i];
    }
}

static bool load(struct rank *rank)
{
    struct run *run = rank->run;
    struct ss_placement placements[1024];
    struct ss_entry entry = {
        .number = rank->number++, .kind = SS_ENTRY_LOAD, .placements = placements};
    uint32_t page = 0;
    for (int i = 0; i < rank->image.chunk_count; i++) {
        placements[entry.placement_count++] = (struct ss_placement){
            .stage = (uint16_t)(rank->link->rank / run->tp), .chunk = (uint16_t)i, .page = page};
        page += (uint32_t)((rank->image.chunks[i].bytes + PAGE_BYTES - 1) / PAGE_BYTES);
    }
    rank->next_page = POOL_BYTES / PAGE_BYTES / 2;
    return !ss_stage_take(rank->stage, &entry, 0, 0);
}

static enum ss_status open_rank(struct rank *rank, struct ss_stage_model *model)
{
    struct run *run = rank->run;
    const struct ss_device_options device = {
        .kind = run->device, .index = rank->link->rank, .memory_bytes = 1u << 30};
    const struct ss_ops_options ops = {.kind = run->operations, .invariant = run->deterministic};
    int stage = rank->link->rank / run->tp;
    enum ss_status status = ss_partition_image(&run->partition, &run->shape, stage,
                                               rank->link->rank % run->tp, &rank->image);
    if (status)
        return status;
    rank->base_bytes = (rank->image.bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    rank->base =
        mmap(0, rank->base_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    status = ss_image_fill(&rank->image, run->checkpoint, rank->base, 1, 0, 0);
    if (!status)
        status = ss_device_create(&device, &rank->device);
    if (!status)
        status = rank->device->ops->host_register(rank->device, rank->base, rank->base_bytes);
    if (!status)
        status = ss_ops_create(rank->device, &ops, &rank->ops);
    if (!status) {
        pthread_mutex_lock(&run->lock);
        run->activations = rank->ops->table->activation_dtype;
        run->invariant = rank->ops->table->batch_invariant;
        pthread_mutex_unlock(&run->lock);
    }
    if (!status)
        status =
            ss_comm_create(rank->link, rank->device, run->tp, run->pp,
                           STEP_TOKENS * 4096 * sizeof(float), WAIT_S * 1000000000ull, &rank->comm);
    *model = (struct ss_stage_model){.shape = &run->shape,
                                     .image = &rank->image,
                                     .base = rank->base,
                                     .context_max = CONTEXT_MAX};
    struct ss_stage_options options = {
        .device = rank->device,
        .ops = rank->ops,
        .comm = rank->comm,
        .rank = rank->link->rank,
        .limits = {.page_bytes = PAGE_BYTES,
                   .pool_bytes = POOL_BYTES,
                   .piece_bytes = 65536,
                   .pieces_in_flight = 2,
                   .block_tokens = BLOCK_TOKENS,
                   .slots_max = 16,
                   .batch_max = 16,
                   .step_tokens_max = STEP_TOKENS,
                   .batches_in_flight = IN_FLIGHT,
                   .loads_in_flight = 2,
                   .message_bytes_max = 65536},
        .model_count = 1,
        .models = model,
        .report = on_report,
        .user = rank,
        .graphs = true,
        .on_logits = on_logits,
    };
    if (!status)
        status = ss_stage_create(&options, &rank->stage);
    return status ? status : ss_stage_warm_up(rank->stage);
}

static void *run_rank(void *argument)
{
    struct rank *rank = argument;
    struct ss_stage_model model;
    uint64_t sent = 0;
    bool good;
    if (open_rank(rank, &model)) {
        fprintf(stderr, "rank %d: %s\n", rank->link->rank, ss_status_message());
        exit(1);
    }
    rank->number = 1;
    good = load(rank);
    uint32_t first_page = rank->next_page;
    uint32_t count = (uint32_t)rank->run->golden->prompt_count;
    struct sequence all[16] = {{0}};
    for (uint32_t i = 0; i < count && good; i++) {
        struct sequence one = {.prompt = i, .known = rank->run->golden->prompts[i].count};
        rank->next_page = first_page;
        good = run_sequences(rank, &one, 1, STEP_TOKENS, &sent);
        all[i] = (struct sequence){.prompt = i, .known = rank->run->golden->prompts[i].count};
    }
    rank->next_page = first_page;
    if (good) {
        rank->link->table->barrier(rank->link);
        rank->run->together = true;
        good = run_sequences(rank, all, count, SLICE_TOKENS, &sent);
    }
    if (!good)
        fail(rank->run, "rank %d stopped early: %s", rank->link->rank, ss_status_message());
    ss_stage_destroy(rank->stage);
    rank->comm->table->destroy(rank->comm);
    rank->ops->table->destroy(rank->ops);
    rank->device->ops->host_unregister(rank->device, rank->base, rank->base_bytes);
    rank->device->ops->destroy(rank->device);
    ss_image_release(&rank->image);
    munmap(rank->base, rank->base_bytes);
    rank->link->table->destroy(rank->link);
    return 0;
}

static enum ss_status open_run(struct run *run, const char *folder)
{
    enum ss_status status = ss_shape_read(folder, &run->shape);
    if (!status)
        status = ss_checkpoint_open(folder, &run->checkpoint);
    if (!status)
        status = ss_shape_settle(&run->shape, run->checkpoint);
    if (!status)
        status = ss_partition_make(&run->shape, run->tp, run->pp, &run->partition);
    size_t cells = (size_t)run->golden->prompt_count * GOLDEN_TOKENS;
    if (!status)
        status = ss_alloc(&run->alone, cells * run->golden->vocab, sizeof(float), "logits");
    if (!status)
        status = ss_alloc(&run->seen, cells, sizeof(bool), "logits");
    if (!status)
        status = ss_alloc(&run->parted, (size_t)run->golden->prompt_count, sizeof(bool), "logits");
    return status;
}

static int run_all(struct run *run)
{
    const struct ss_link_options options = {
        .message_bytes_max = 4096, .credits = 4, .queue_max = 64};
    struct ss_link *links[RANKS_MAX];
    struct rank ranks[RANKS_MAX];
    pthread_t threads[RANKS_MAX];
    int count = run->tp * run->pp;
    if (ss_link_open_inproc(&options, count, links)) {
        fprintf(stderr, "%s\n", ss_status_message());
        return 1;
    }
    memset(ranks, 0, sizeof ranks);
    for (int i = 0; i < count; i++) {
        ranks[i].run = run;
        ranks[i].link = links[i];
        pthread_mutex_init(&ranks[i].lock, 0);
        pthread_cond_init(&ranks[i].done, 0);
        pthread_create(&threads[i], 0, run_rank, &ranks[i]);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], 0);
    size_t cells = (size_t)run->golden->prompt_count * GOLDEN_TOKENS;
    for (size_t i = 0; i < cells; i++)
        if (!run->seen[i])
            fail(run, "%s: no logits after %zu tokens",
                 run->golden->prompts[i / GOLDEN_TOKENS].name, i % GOLDEN_TOKENS);
    return run->failures != 0;
}

int main(int argc, char **argv)
{
    struct golden golden;
    if (argc < 5 || argc > 8) {
        fputs("usage: golden_run MODEL EXPECTED TP PP [DEVICE [KIND [deterministic]]]\n", stderr);
        return 2;
    }
    struct run run = {.golden = &golden,
                      .tp = (int)strtol(argv[3], 0, 10),
                      .pp = (int)strtol(argv[4], 0, 10),
                      .device = argc > 5 ? argv[5] : "cpu",
                      .operations = argc > 6 ? argv[6] : "real",
                      .deterministic = argc > 7 && strcmp(argv[7], "deterministic") == 0,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    if (golden_read(argv[2], &golden) || open_run(&run, argv[1])) {
        fprintf(stderr, "%s\n", ss_status_message());
        return 1;
    }
    int failed = run_all(&run);
    printf("%s tp %d pp %d: %d prompts, worst relative distance of logits %.2e, %d near "
           "ties, %d failures\n",
           argv[2], run.tp, run.pp, golden.prompt_count, run.worst, run.partings, run.failures);
    ss_checkpoint_close(run.checkpoint);
    ss_free(run.alone);
    ss_free(run.seen);
    ss_free(run.parted);
    golden_release(&golden);
    return failed;
}
