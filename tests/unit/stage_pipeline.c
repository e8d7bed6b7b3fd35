/* Two stages of one rank each on CPU devices: who reports what, and when. */
#include "tests/unit/stage_bench.h"

#define STAGES     2
#define SLOW_LINK  2000000u /* bytes/s: the last stage takes half a second to load */
#define PIPE_STEPS 6

struct pipe;

struct half {
    struct pipe *pipe;
    struct ss_link *link;
    struct ss_device *device;
    struct ss_ops *ops;
    struct ss_comm *comm;
    struct ss_stage *stage;
    struct ss_image image;
    struct ss_stage_model model;
    size_t base_bytes;
    uint64_t order[SS_REPORT_KINDS][BENCH_NUMBERS];
};

struct pipe {
    struct half halves[STAGES];
    struct ss_shape shape;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t count, number;
    int32_t tokens[BENCH_NUMBERS];
    char failure[SS_MESSAGE_BYTES];
};

static void on_report(void *user, const struct ss_report *report)
{
    struct half *half = user;
    struct pipe *pipe = half->pipe;
    pthread_mutex_lock(&pipe->lock);
    half->order[report->kind][report->number] = ++pipe->count;
    if (report->kind == SS_REPORT_TOKENS)
        pipe->tokens[report->number] = report->tokens[0].token;
    if (report->kind == SS_REPORT_FAILED)
        snprintf(pipe->failure, sizeof pipe->failure, "%.*s", (int)report->message_bytes,
                 report->message);
    pthread_cond_broadcast(&pipe->changed);
    pthread_mutex_unlock(&pipe->lock);
}

static void await(struct pipe *pipe, int stage, enum ss_report_kind kind, uint64_t number)
{
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BENCH_WAIT_S;
    pthread_mutex_lock(&pipe->lock);
    while (!pipe->halves[stage].order[kind][number] && !*pipe->failure && !late)
        late = pthread_cond_timedwait(&pipe->changed, &pipe->lock, &until);
    pthread_mutex_unlock(&pipe->lock);
    cr_assert_str_empty(pipe->failure);
    cr_assert(!late, "stage %d: no report %d of entry %llu", stage, (int)kind,
              (unsigned long long)number);
}

/* A half opens in a thread of its own: forming the comm waits for the other. */
static void *open_half(void *argument)
{
    struct half *half = argument;
    int rank = half->link->rank;
    const struct ss_device_options device = {
        .kind = "cpu", .memory_bytes = 256u << 20, .link_bytes_per_s = rank ? SLOW_LINK : 0};
    const struct ss_ops_options ops = {.kind = "real"};
    cr_assert_eq(ss_device_create(&device, &half->device), SS_OK);
    cr_assert_eq(half->device->ops->host_register(half->device, half->model.base, half->base_bytes),
                 SS_OK);
    cr_assert_eq(ss_ops_create(half->device, &ops, &half->ops), SS_OK);
    cr_assert_eq(
        ss_comm_create(half->link, half->device, 1, STAGES, 65536, 10000000000ull, &half->comm),
        SS_OK, "%s", ss_status_message());
    const struct ss_stage_options options = {
        .device = half->device,
        .ops = half->ops,
        .comm = half->comm,
        .rank = rank,
        .limits = bench_limits,
        .model_count = 1,
        .models = &half->model,
        .report = on_report,
        .user = half,
    };
    cr_assert_eq(ss_stage_create(&options, &half->stage), SS_OK, "%s", ss_status_message());
    return 0;
}

static struct pipe *open_pipe(void)
{
    const struct ss_link_options options = {
        .message_bytes_max = 4096, .credits = 4, .queue_max = 16};
    const char *folder = "tests/golden/models/llama-tiny";
    struct pipe *pipe = calloc(1, sizeof *pipe);
    struct ss_link *links[STAGES];
    struct ss_checkpoint *checkpoint;
    struct ss_partition partition;
    pthread_t threads[STAGES];
    cr_assert(pipe);
    pthread_mutex_init(&pipe->lock, 0);
    pthread_cond_init(&pipe->changed, 0);
    cr_assert_eq(ss_shape_read(folder, &pipe->shape), SS_OK, "%s", ss_status_message());
    cr_assert_eq(ss_checkpoint_open(folder, &checkpoint), SS_OK);
    cr_assert_eq(ss_shape_settle(&pipe->shape, checkpoint), SS_OK);
    cr_assert_eq(ss_partition_make(&pipe->shape, 1, STAGES, &partition), SS_OK);
    cr_assert_eq(ss_link_open_inproc(&options, STAGES, links), SS_OK);
    for (int i = 0; i < STAGES; i++) {
        struct half *half = &pipe->halves[i];
        half->pipe = pipe;
        half->link = links[i];
        cr_assert_eq(ss_partition_image(&partition, &pipe->shape, i, 0, &half->image), SS_OK);
        half->base_bytes = (half->image.bytes + BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
        void *base =
            mmap(0, half->base_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(base, MAP_FAILED);
        cr_assert_eq(ss_image_fill(&half->image, checkpoint, base, 1, 0, 0), SS_OK);
        half->model = (struct ss_stage_model){.shape = &pipe->shape,
                                              .image = &half->image,
                                              .base = base,
                                              .context_max = BENCH_CONTEXT};
        cr_assert_eq(pthread_create(&threads[i], 0, open_half, half), 0);
    }
    for (int i = 0; i < STAGES; i++)
        pthread_join(threads[i], 0);
    ss_checkpoint_close(checkpoint);
    return pipe;
}

static void close_pipe(struct pipe *pipe)
{
    for (int i = 0; i < STAGES; i++)
        ss_stage_destroy(pipe->halves[i].stage);
    for (int i = 0; i < STAGES; i++) {
        struct half *half = &pipe->halves[i];
        half->comm->table->destroy(half->comm);
        half->ops->table->destroy(half->ops);
        half->device->ops->host_unregister(half->device, half->model.base, half->base_bytes);
        half->device->ops->destroy(half->device);
        munmap(half->model.base, half->base_bytes);
        ss_image_release(&half->image);
        half->link->table->destroy(half->link);
    }
    pthread_mutex_destroy(&pipe->lock);
    pthread_cond_destroy(&pipe->changed);
    free(pipe);
}

static uint64_t take(struct pipe *pipe, struct ss_entry entry, const struct ss_opening *opening)
{
    entry.number = ++pipe->number;
    for (int i = 0; i < STAGES; i++)
        cr_assert_eq(ss_stage_take(pipe->halves[i].stage, &entry, opening, opening != 0), SS_OK,
                     "stage %d: %s", i, ss_status_message());
    return entry.number;
}

static uint64_t load(struct pipe *pipe)
{
    struct ss_placement placements[32];
    uint32_t count = 0;
    for (uint16_t i = 0; i < STAGES; i++) {
        const struct ss_image *image = &pipe->halves[i].image;
        uint32_t page = 0;
        for (int c = 0; c < image->chunk_count; c++) {
            placements[count++] =
                (struct ss_placement){.stage = i, .chunk = (uint16_t)c, .page = page};
            page += bench_pages_of(image->chunks[c].bytes);
        }
    }
    return take(pipe,
                (struct ss_entry){
                    .kind = SS_ENTRY_LOAD, .placement_count = count, .placements = placements},
                0);
}

/* The next step of SEQUENCE: its prompt, or one token. */
static uint64_t step(struct pipe *pipe, struct bench_sequence *sequence)
{
    uint32_t pages[STAGES * BENCH_CONTEXT / BENCH_BLOCK], count = 0;
    uint32_t need = (sequence->known + BENCH_BLOCK - 1) / BENCH_BLOCK;
    struct ss_batch_sequence item = {.slot = sequence->slot,
                                     .flags = SS_SEQUENCE_SAMPLE,
                                     .position = sequence->position,
                                     .count = sequence->known - sequence->position,
                                     .new_blocks = need - sequence->block_count};
    const struct ss_opening opening = {.top_p = 1,
                                       .length_max = BENCH_CONTEXT,
                                       .prompt_count = sequence->prompt_count,
                                       .prompt = sequence->prompt};
    bool opens = sequence->position == 0;
    uint32_t block_pages =
        bench_pages_of(pipe->shape.layers * BENCH_BLOCK *
                       ss_kv_bytes_per_token_layer(&pipe->shape, 1, sizeof(float)));
    if (opens)
        item.flags |= SS_SEQUENCE_OPEN;
    for (int stage = 0; stage < STAGES; stage++)
        for (uint32_t i = 0; i < item.new_blocks; i++)
            pages[count++] = BENCH_PAGES / 2 + (sequence->block_count + i) * block_pages;
    sequence->block_count = need;
    sequence->position = sequence->known++;
    return take(pipe,
                (struct ss_entry){.kind = SS_ENTRY_BATCH,
                                  .sequence_count = 1,
                                  .sequences = &item,
                                  .page_count = count,
                                  .pages = pages},
                opens ? &opening : 0);
}

/* What the first stage has computed and sent it reports at once: the tokens may be long in coming,
 * here behind the last stage's load. They come back all the same, to the step that needs them. */
Test(stage_pipeline, a_stage_is_done_before_its_tokens_are_back)
{
    struct pipe *pipe = open_pipe();
    struct bench *whole = bench_open((struct bench_options){0});
    struct bench_sequence sequence = bench_sequence(LLAMA, 1), expected = sequence;
    uint64_t numbers[PIPE_STEPS];
    (void)bench_load(whole, LLAMA, 0);
    bench_generate(whole, &expected, PIPE_STEPS);
    load(pipe);
    for (int i = 0; i < PIPE_STEPS; i++) {
        numbers[i] = step(pipe, &sequence);
        await(pipe, 0, SS_REPORT_DONE, i ? numbers[i - 1] : numbers[0]);
        await(pipe, STAGES - 1, SS_REPORT_DONE, i ? numbers[i - 1] : numbers[0]);
        if (i == 0)
            cr_assert_lt(pipe->halves[0].order[SS_REPORT_DONE][numbers[0]],
                         pipe->halves[STAGES - 1].order[SS_REPORT_TOKENS][numbers[0]]);
    }
    await(pipe, STAGES - 1, SS_REPORT_TOKENS, numbers[PIPE_STEPS - 1]);
    for (int i = 0; i < PIPE_STEPS; i++)
        cr_assert_eq(pipe->tokens[numbers[i]], expected.tokens[i], "token %d", i);
    bench_close(whole);
    close_pipe(pipe);
}
