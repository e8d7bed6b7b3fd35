#include "experiments/stepbench/bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/memory.h"
#include "pipeline/link/agree.h"
#include "swap/fill.h"
#include "swap/threads.h"

#define SEED       7
#define PATIENCE_S 100

static void on_report(void *user, const struct ss_report *report)
{
    struct bed *bed = user;
    pthread_mutex_lock(&bed->lock);
    if (report->kind == SS_REPORT_DONE && report->number > bed->done) {
        bed->done = report->number;
        bed->done_ns[report->number % STEPS_KEPT] = report->at_ns;
        bed->begun_ns[report->number % STEPS_KEPT] = report->started_ns;
    }
    if (report->kind == SS_REPORT_LOAD_ENDED && report->number > bed->ended) {
        bed->ended = report->number;
        bed->ended_ns = report->at_ns;
    }
    if (report->kind == SS_REPORT_FAILED) {
        bed->failed = true;
        fprintf(stderr, "rank %d: %.*s\n", bed->link->rank, (int)report->message_bytes,
                report->message);
    }
    pthread_cond_signal(&bed->changed);
    pthread_mutex_unlock(&bed->lock);
}

static enum ss_status await(struct bed *bed, const uint64_t *what, uint64_t number)
{
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&bed->lock);
    while (*what < number && !bed->failed && !late)
        late = pthread_cond_timedwait(&bed->changed, &bed->lock, &until);
    bool good = *what >= number && !bed->failed;
    pthread_mutex_unlock(&bed->lock);
    return good ? SS_OK : ss_fail(SS_TIMEOUT, "entry %llu did not end", (unsigned long long)number);
}

enum ss_status bed_await_batch(struct bed *bed, uint64_t number)
{
    return await(bed, &bed->done, number);
}

enum ss_status bed_await_load(struct bed *bed, uint64_t number)
{
    return await(bed, &bed->ended, number);
}

bool bed_load_ended(struct bed *bed, uint64_t number, uint64_t *at_ns)
{
    pthread_mutex_lock(&bed->lock);
    bool ended = bed->ended >= number;
    *at_ns = bed->ended_ns;
    pthread_mutex_unlock(&bed->lock);
    return ended;
}

uint64_t bed_batch_ended_ns(struct bed *bed, uint64_t number)
{
    pthread_mutex_lock(&bed->lock);
    uint64_t at_ns = bed->done_ns[number % STEPS_KEPT];
    pthread_mutex_unlock(&bed->lock);
    return at_ns;
}

uint64_t bed_batch_begun_ns(struct bed *bed, uint64_t number)
{
    pthread_mutex_lock(&bed->lock);
    uint64_t at_ns = bed->begun_ns[number % STEPS_KEPT];
    pthread_mutex_unlock(&bed->lock);
    return at_ns;
}

static uint64_t pages_of(const struct bed *bed, uint64_t bytes)
{
    return (bytes + bed->page_bytes - 1) / bed->page_bytes;
}

/* Room for the widest of the stages, so that the same pages serve them all. */
static uint64_t measure_pages(struct bed *bed)
{
    uint64_t layers = 0;
    for (int i = 0; i < bed->pp; i++) {
        uint64_t count =
            (uint64_t)bed->partition.first_layer[i + 1] - (uint64_t)bed->partition.first_layer[i];
        layers = count > layers ? count : layers;
    }
    bed->block_pages = (uint32_t)pages_of(
        bed, layers * BLOCK_TOKENS *
                 ss_kv_bytes_per_token_layer(&bed->shape, bed->tp,
                                             ss_dtype_bytes(bed->ops->table->activation_dtype)));
    for (int i = 0; i < bed->image.chunk_count; i++)
        bed->weight_pages += (uint32_t)pages_of(bed, bed->image.chunks[i].bytes);
    return (uint64_t)bed->models * bed->weight_pages +
           (uint64_t)BATCH_MAX * (CONTEXT_MAX / BLOCK_TOKENS) * bed->block_pages;
}

static enum ss_status open_arena(struct bed *bed)
{
    size_t bytes = (bed->image.bytes + SS_ARENA_ALIGN - 1) / SS_ARENA_ALIGN * SS_ARENA_ALIGN;
    int threads = ss_threads_share(bed->link->ranks);
    enum ss_status status = ss_arena_create(bytes, 0, &bed->arena);
    if (!status)
        status = ss_arena_reserve(bed->arena, 0, bytes, threads);
    if (status)
        return status;
    bed->base = ss_arena_at(bed->arena, 0);
    status = ss_image_fill_random(&bed->image, SEED, 0.02f, bed->base, threads, 0, 0);
    return status ? status : bed->device->ops->host_register(bed->device, bed->base, bytes);
}

static enum ss_status open_stage(struct bed *bed)
{
    /* Models alike may share their bytes in the arena: a link does not care. */
    for (uint16_t i = 0; i < bed->models; i++)
        bed->served[i] = (struct ss_stage_model){.shape = &bed->shape,
                                                 .image = &bed->image,
                                                 .base = bed->base,
                                                 .context_max = CONTEXT_MAX};
    const struct ss_stage_options options = {
        .device = bed->device,
        .ops = bed->ops,
        .comm = bed->comm,
        .rank = bed->link->rank,
        .limits = {.page_bytes = bed->page_bytes,
                   .pool_bytes = measure_pages(bed) * bed->page_bytes,
                   .piece_bytes = bed->piece_bytes,
                   .pieces_in_flight = 2,
                   .block_tokens = BLOCK_TOKENS,
                   .slots_max = BATCH_MAX,
                   .batch_max = BATCH_MAX,
                   .step_tokens_max = STEP_TOKENS_MAX,
                   .batches_in_flight = 3,
                   .loads_in_flight = 2,
                   .message_bytes_max = 1 << 20},
        .model_count = bed->models,
        .models = bed->served,
        .report = on_report,
        .user = bed,
        .graphs = bed->graphs,
        .trace = bed->trace,
        .on_logits = bed->on_logits,
    };
    enum ss_status status = ss_stage_create(&options, &bed->stage);
    return status ? status : ss_stage_warm_up(bed->stage);
}

enum ss_status bed_open(struct bed *bed)
{
    const struct ss_device_options device = {.kind = bed->device_kind,
                                             .index = ss_link_place(bed->link),
                                             .memory_bytes = (size_t)8 << 30,
                                             .link_bytes_per_s = bed->link_bytes_per_s,
                                             .link_latency_ns = bed->link_latency_ns};
    const struct ss_ops_options ops = {
        .kind = bed->operations, .profile = bed->profile, .invariant = bed->deterministic};
    int rank = bed->link->rank;
    bed->models = bed->models ? bed->models : 1;
    bed->number = 1;
    pthread_mutex_init(&bed->lock, 0);
    pthread_cond_init(&bed->changed, 0);
    enum ss_status status = ss_shape_synthetic(bed->model, bed->scale, SS_F16, &bed->shape);
    if (!status)
        status = ss_partition_make(&bed->shape, bed->tp, bed->pp, &bed->partition);
    if (!status)
        status = ss_partition_image(&bed->partition, &bed->shape, rank / bed->tp, rank % bed->tp,
                                    &bed->image);
    if (!status)
        status = ss_device_create(&device, &bed->device);
    if (!status)
        status = ss_ops_create(bed->device, &ops, &bed->ops);
    if (!status)
        status = ss_comm_create(bed->link, bed->device, bed->tp, bed->pp,
                                (size_t)STEP_TOKENS_MAX * bed->shape.hidden * sizeof(float),
                                30000000000ull, &bed->comm);
    if (!status)
        status = open_arena(bed);
    if (!status)
        status = open_stage(bed);
    bed_clear(bed);
    return status;
}

void bed_close(struct bed *bed)
{
    ss_stage_destroy(bed->stage);
    if (bed->comm)
        bed->comm->table->destroy(bed->comm);
    if (bed->ops)
        bed->ops->table->destroy(bed->ops);
    if (bed->base)
        bed->device->ops->host_unregister(bed->device, bed->base, ss_arena_bytes(bed->arena));
    if (bed->arena)
        ss_arena_destroy(bed->arena);
    if (bed->device)
        bed->device->ops->destroy(bed->device);
    ss_image_release(&bed->image);
}

static enum ss_status place(struct bed *bed, enum ss_entry_kind kind, uint16_t model,
                            uint64_t *number)
{
    struct ss_placement *placements;
    uint32_t page = model * bed->weight_pages + bed->shift;
    size_t count = (size_t)bed->image.chunk_count;
    enum ss_status status = ss_alloc(&placements, count, sizeof *placements, "placements");
    if (status)
        return status;
    struct ss_entry entry = {.number = bed->number++,
                             .kind = kind,
                             .model = model,
                             .placement_count = (uint32_t)count,
                             .placements = placements};
    for (size_t i = 0; i < count; i++) {
        placements[i] = (struct ss_placement){
            .stage = (uint16_t)(bed->link->rank / bed->tp), .chunk = (uint16_t)i, .page = page};
        page += (uint32_t)pages_of(bed, bed->image.chunks[i].bytes);
    }
    *number = entry.number;
    status = ss_stage_take(bed->stage, &entry, 0, 0);
    ss_free(placements);
    return status;
}

enum ss_status bed_load(struct bed *bed, uint16_t model, uint64_t *number)
{
    return place(bed, SS_ENTRY_LOAD, model, number);
}

enum ss_status bed_drop(struct bed *bed, uint16_t model, uint64_t *number)
{
    return place(bed, SS_ENTRY_DROP, model, number);
}

void bed_clear(struct bed *bed)
{
    bed->next_page = bed->models * bed->weight_pages;
}

enum ss_status bed_step(struct bed *bed, struct sequence *sequences, uint32_t count,
                        uint64_t *number)
{
    static int32_t prompt[CONTEXT_MAX];
    struct ss_batch_sequence items[BATCH_MAX];
    struct ss_opening openings[BATCH_MAX];
    static uint32_t pages[BATCH_MAX * (CONTEXT_MAX / BLOCK_TOKENS) * SS_STAGES_MAX];
    uint32_t page_count = 0, opening_count = 0;
    for (uint32_t i = 0; i < CONTEXT_MAX; i++)
        prompt[i] = (int32_t)(i * 31 % bed->shape.vocab);
    for (uint32_t i = 0; i < count; i++) {
        struct sequence *s = &sequences[i];
        uint32_t blocks = (s->known + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
        items[i] = (struct ss_batch_sequence){.request = s->slot,
                                              .slot = s->slot,
                                              .flags = SS_SEQUENCE_SAMPLE,
                                              .position = s->position,
                                              .count = s->known - s->position,
                                              .new_blocks = blocks - s->blocks};
        if (s->position == 0) {
            items[i].flags |= SS_SEQUENCE_OPEN;
            openings[opening_count++] = (struct ss_opening){
                .top_p = 1, .length_max = CONTEXT_MAX, .prompt_count = s->prompt, .prompt = prompt};
        }
        for (int stage = 0; stage < bed->pp; stage++)
            for (uint32_t b = 0; b < items[i].new_blocks; b++)
                pages[page_count++] = bed->next_page + b * bed->block_pages;
        bed->next_page += items[i].new_blocks * bed->block_pages;
        s->blocks = blocks;
        s->position = s->known++;
    }
    struct ss_entry entry = {.number = bed->number++,
                             .kind = SS_ENTRY_BATCH,
                             .sequence_count = count,
                             .sequences = items,
                             .page_count = page_count,
                             .pages = pages};
    *number = entry.number;
    return ss_stage_take(bed->stage, &entry, openings, opening_count);
}
