#include <inttypes.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/core/block_need.h"
#include "engine/core/class_share.h"
#include "engine/core/model.h"
#include "engine/core/operation.h"

/* A link of the PCIe 4.0 kind, until the first load tells. */
#define LINK_GUESS_BYTES_PER_S 16e9

/* Zeroed memory that lives as long as the controller. */
static enum ss_status take(struct ss_controller *controller, void *out, size_t count, size_t size,
                           const char *what)
{
    SS_ASSERT(controller->array_count < (int)(sizeof controller->arrays / sizeof(void *)));
    enum ss_status status = ss_alloc(out, count, size, what);
    if (status == SS_OK)
        memcpy(&controller->arrays[controller->array_count++], out, sizeof(void *));
    return status;
}

static uint64_t pages_of(const struct ss_controller_model *model, int stage)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < model->chunk_count[stage]; i++)
        pages += model->chunk_pages[stage][i];
    return pages;
}

/* Pinned models stay, and one place more serves the others in turn. */
static enum ss_status check_count(const struct ss_controller_options *options)
{
    uint32_t pinned = 0, most = options->emulate.models_max;
    for (uint32_t i = 0; i < options->model_count; i++)
        pinned += options->models[i].pinned;
    if (most == 0 || pinned < most || (pinned == most && pinned == options->model_count))
        return SS_OK;
    return ss_fail(SS_INVALID,
                   "emulate.models is %" PRIu32 ", but %" PRIu32
                   " models are pinned: more than that, or 0 for no limit",
                   most, pinned);
}

/* Whatever else is dropped, pinned models stay, and the model needs itself and one sequence. */
static enum ss_status check_fit(const struct ss_controller_options *options,
                                const struct ss_controller_model *model,
                                const uint64_t *pinned_pages)
{
    uint32_t blocks = (model->context_max + options->block_tokens - 1) / options->block_tokens;
    for (int stage = 0; stage < options->pp; stage++) {
        uint64_t own = pages_of(model, stage);
        uint64_t pinned = pinned_pages[stage] - (model->pinned ? own : 0);
        uint64_t kv = (uint64_t)blocks * model->kv_block_pages[stage];
        if (own + kv + pinned <= options->pool_pages[stage])
            continue;
        return ss_fail(
            SS_INVALID,
            "model %s: on stage %d its shard takes %" PRIu64 " pages and a sequence of %" PRIu32
            " tokens %" PRIu64 ", other pinned models %" PRIu64 "; the pool has %" PRIu32
            " pages of %" PRIu64 " bytes: a larger pool, a shorter context or fewer pinned models",
            model->name, stage, own, model->context_max, kv, pinned, options->pool_pages[stage],
            options->page_bytes);
    }
    return SS_OK;
}

static enum ss_status check_model(const struct ss_controller_options *options,
                                  const struct ss_controller_model *model,
                                  const uint64_t *pinned_pages)
{
    if (model->context_max < 2 || model->batch_max == 0)
        return ss_fail(SS_INVALID,
                       "model %s: a context of %" PRIu32 " tokens and batches of %" PRIu32
                       ", expected at least 2 and 1",
                       model->name, model->context_max, model->batch_max);
    for (int stage = 0; stage < options->pp; stage++) {
        if (model->kv_block_pages[stage] == 0 || model->chunk_count[stage] > UINT16_MAX)
            return ss_fail(SS_INVALID,
                           "model %s: on stage %d %" PRIu32 " chunks and KV blocks of %" PRIu32
                           " pages, expected at most %d and at least 1",
                           model->name, stage, model->chunk_count[stage],
                           model->kv_block_pages[stage], UINT16_MAX);
        for (uint32_t i = 0; i < model->chunk_count[stage]; i++)
            if (model->chunk_pages[stage][i] == 0)
                return ss_fail(SS_INVALID, "model %s: chunk %" PRIu32 " on stage %d has no pages",
                               model->name, i, stage);
    }
    return check_fit(options, model, pinned_pages);
}

static enum ss_status check(const struct ss_controller_options *options)
{
    const struct ss_controller_limits *limits = &options->limits;
    if (options->tp < 1 || options->tp > SS_TP_MAX || options->pp < 1 ||
        options->pp > SS_STAGES_MAX)
        return ss_fail(SS_INVALID, "a group of tp %d x pp %d, expected 1 x 1 to %d x %d",
                       options->tp, options->pp, SS_TP_MAX, SS_STAGES_MAX);
    if (limits->requests_max == 0 || limits->slots_max == 0 || limits->slots_max >= SS_NO_SLOT ||
        limits->step_tokens_max == 0 || limits->batches_in_flight == 0 ||
        limits->loads_in_flight == 0 || options->block_tokens == 0)
        return ss_fail(
            SS_INVALID,
            "limits: %" PRIu32 " requests, %" PRIu32 " slots, %" PRIu32 " tokens a step, %" PRIu32
            " batches and %" PRIu32 " loads in flight, %" PRIu32
            " tokens a KV block: expected at least 1 each, and less than %d slots",
            limits->requests_max, limits->slots_max, limits->step_tokens_max,
            limits->batches_in_flight, limits->loads_in_flight, options->block_tokens, SS_NO_SLOT);
    if (options->model_count == 0 || options->model_count >= UINT16_MAX)
        return ss_fail(SS_INVALID, "%" PRIu32 " models, expected 1 to %d", options->model_count,
                       UINT16_MAX - 1);
    for (int stage = 0; stage < options->pp; stage++)
        if (options->pool_pages[stage] == 0)
            return ss_fail(SS_INVALID, "stage %d has a pool of no pages", stage);
    uint64_t pinned_pages[SS_STAGES_MAX] = {0};
    for (uint32_t i = 0; i < options->model_count; i++)
        for (int stage = 0; stage < options->pp && options->models[i].pinned; stage++)
            pinned_pages[stage] += pages_of(&options->models[i], stage);
    enum ss_status status = check_count(options);
    for (uint32_t i = 0; i < options->model_count && status == SS_OK; i++)
        status = check_model(options, &options->models[i], pinned_pages);
    return status;
}

static void set_model(struct ss_model *model, const struct ss_controller_model *from, int pp,
                      struct ss_chunk **chunks)
{
    model->name = from->name;
    model->context_max = from->context_max;
    model->batch_max = from->batch_max;
    model->pinned = from->pinned;
    model->cost_is_learnt = true;
    model->load = SS_NONE;
    model->wanted_order = SS_NO_ORDER;
    for (int class = 0; class < SS_CLASSES; class ++)
        model->queue[class] = model->live[class] = (struct ss_list){SS_NONE, SS_NONE, 0};
    for (int stage = 0; stage < pp; stage++) {
        model->block_pages[stage] = from->kv_block_pages[stage];
        model->chunk_count[stage] = from->chunk_count[stage];
        model->cost[stage] = from->cost[stage];
        model->cost_is_learnt &= !ss_step_cost_is_known(&from->cost[stage]);
        model->chunks[stage] = *chunks;
        *chunks += from->chunk_count[stage];
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < from->chunk_count[stage]; i++) {
            struct ss_chunk *chunk = &model->chunks[stage][i];
            *chunk = (struct ss_chunk){.page = SS_NO_PAGE,
                                       .pages = from->chunk_pages[stage][i],
                                       .bytes = from->chunk_bytes[stage][i]};
            model->chunks_in[SS_CHUNK_ABSENT]++;
            model->bytes_in[SS_CHUNK_ABSENT] += chunk->bytes;
            model->pages_in[stage][SS_CHUNK_ABSENT] += chunk->pages;
            bytes += chunk->bytes;
        }
        model->largest_bytes = bytes > model->largest_bytes ? bytes : model->largest_bytes;
    }
}

static enum ss_status make_models(struct ss_controller *controller,
                                  const struct ss_controller_options *options)
{
    size_t total = 0;
    struct ss_chunk *chunks = 0;
    for (uint32_t i = 0; i < options->model_count; i++)
        for (int stage = 0; stage < options->pp; stage++)
            total += options->models[i].chunk_count[stage];
    controller->model_count = options->model_count;
    controller->first_active = controller->first_resident = controller->first_engaged = SS_NONE;
    controller->first_recent = SS_NONE;
    enum ss_status status = take(controller, &controller->models, options->model_count,
                                 sizeof *controller->models, "models");
    if (status == SS_OK)
        status = take(controller, &chunks, total, sizeof *chunks, "chunks");
    for (uint32_t i = 0; i < options->model_count && status == SS_OK; i++) {
        struct ss_model *model = &controller->models[i];
        set_model(model, &options->models[i], options->pp, &chunks);
        if (model->pinned) /* loaded at once, in order */
            model->wanted_order = controller->next_order++;
        ss_model_note_work(controller, (uint16_t)i);
    }
    return status;
}

static enum ss_status make_sequences(struct ss_controller *controller)
{
    const struct ss_controller_limits *limits = &controller->limits;
    /* A closing sequence is answered but still has its place. */
    uint32_t count = controller->sequence_count = limits->requests_max + limits->slots_max;
    size_t table = (size_t)limits->slots_max * (size_t)controller->pp * controller->blocks_max;
    enum ss_status status =
        take(controller, &controller->sequences, count, sizeof *controller->sequences, "sequences");
    if (status == SS_OK)
        status = take(controller, &controller->slot_owner, limits->slots_max,
                      sizeof *controller->slot_owner, "slots");
    if (status == SS_OK)
        status = take(controller, &controller->free_slots, limits->slots_max,
                      sizeof *controller->free_slots, "slots");
    if (status == SS_OK)
        status = take(controller, &controller->closing_slots, limits->slots_max,
                      sizeof *controller->closing_slots, "slots");
    if (status == SS_OK)
        status = take(controller, &controller->tables, table, sizeof *controller->tables,
                      "tables of KV blocks");
    if (status == SS_OK)
        status = ss_handle_map_open(limits->requests_max, &controller->handles);
    if (status == SS_OK)
        status = ss_deadlines_open(count, &controller->deadlines);
    if (status != SS_OK)
        return status;
    for (uint32_t i = 0; i < count; i++)
        controller->sequences[i].next = i + 1 < count ? i + 1 : SS_NONE;
    for (uint32_t i = 0; i < limits->slots_max; i++) {
        controller->slot_owner[i] = SS_NONE;
        controller->free_slots[i] = (uint16_t)(limits->slots_max - 1 - i);
    }
    controller->free_slot_count = limits->slots_max;
    controller->slot_next = SS_NONE;
    return SS_OK;
}

static enum ss_status make_loads(struct ss_controller *controller)
{
    uint32_t longest[SS_STAGES_MAX] = {0}, chunks_max = 0;
    for (uint32_t i = 0; i < controller->model_count; i++)
        for (int stage = 0; stage < controller->pp; stage++)
            if (controller->models[i].chunk_count[stage] > longest[stage])
                longest[stage] = controller->models[i].chunk_count[stage];
    for (int stage = 0; stage < controller->pp; stage++)
        chunks_max += longest[stage];
    size_t count = controller->limits.loads_in_flight, ranks = (size_t)controller->ranks;
    uint16_t *chunks = 0;
    uint32_t *counts = 0;
    bool *ended = 0;
    enum ss_status status =
        take(controller, &controller->loads, count, sizeof *controller->loads, "loads");
    if (status == SS_OK)
        status = take(controller, &chunks, count * chunks_max, sizeof *chunks, "loads");
    if (status == SS_OK)
        status = take(controller, &counts, count * ranks, sizeof *counts, "loads");
    if (status == SS_OK)
        status = take(controller, &ended, count * ranks, sizeof *ended, "loads");
    for (size_t i = 0; i < count && status == SS_OK; i++) {
        struct ss_load *load = &controller->loads[i];
        load->counts = counts + i * ranks;
        load->ended = ended + i * ranks;
        for (int stage = 0; stage < controller->pp; stage++) {
            load->parts[stage].chunks = chunks;
            chunks += longest[stage];
        }
    }
    return status;
}

static enum ss_status make_flights(struct ss_controller *controller)
{
    size_t count = controller->limits.batches_in_flight, ranks = (size_t)controller->ranks;
    uint32_t batch_max = 0;
    for (uint32_t i = 0; i < controller->model_count; i++)
        if (controller->models[i].batch_max > batch_max)
            batch_max = controller->models[i].batch_max;
    struct ss_flight_sequence *sequences = 0;
    bool *done = 0;
    enum ss_status status =
        take(controller, &controller->flights, count, sizeof *controller->flights, "batches");
    if (status == SS_OK)
        status = take(controller, &controller->operations, SS_OPERATIONS_MAX,
                      sizeof *controller->operations, "operations");
    if (status == SS_OK)
        status = take(controller, &sequences, count * batch_max, sizeof *sequences, "batches");
    if (status == SS_OK)
        status = take(controller, &done, (count + SS_OPERATIONS_MAX) * ranks, sizeof *done,
                      "batches and operations");
    if (status != SS_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        controller->flights[i].sequences = sequences + i * batch_max;
        controller->flights[i].done = done + i * ranks;
    }
    for (size_t i = 0; i < SS_OPERATIONS_MAX; i++)
        controller->operations[i].done = done + (count + i) * ranks;
    return SS_OK;
}

static enum ss_status make_pools(struct ss_controller *controller,
                                 const struct ss_controller_options *options)
{
    enum ss_status status = SS_OK;
    for (int stage = 0; stage < controller->pp && status == SS_OK; stage++)
        status = ss_pool_open(options->pool_pages[stage], &controller->pools[stage]);
    if (status == SS_OK && options->spill_blocks > 0)
        status = ss_page_map_create(options->spill_blocks, &controller->spill);
    return status;
}

/* Room for the largest entry of each kind beside a batch under construction. */
static enum ss_status make_outbox(struct ss_controller *controller,
                                  const struct ss_controller_options *options)
{
    const struct ss_controller_limits *limits = &controller->limits;
    size_t pages_max = 0, chunks_max = 0, batch_max = 0, stages = (size_t)controller->pp;
    for (size_t stage = 0; stage < stages; stage++)
        if (options->pool_pages[stage] > pages_max)
            pages_max = options->pool_pages[stage];
    for (uint32_t i = 0; i < controller->model_count; i++) {
        const struct ss_model *model = &controller->models[i];
        if (model->chunks_in[SS_CHUNK_ABSENT] > chunks_max)
            chunks_max = model->chunks_in[SS_CHUNK_ABSENT];
        if (model->batch_max > batch_max)
            batch_max = model->batch_max;
    }
    size_t blocks = limits->step_tokens_max / controller->block_tokens + batch_max;
    size_t bytes = 65536 + pages_max * (sizeof(struct ss_page_move) + 1) +
                   2 * chunks_max * sizeof(struct ss_placement) +
                   2 * (batch_max * sizeof(struct ss_batch_sequence) + blocks * stages * 4) +
                   2 * stages * controller->blocks_max * 4;
    uint32_t outcomes = limits->requests_max + 4 * limits->slots_max + 2 * SS_CONTROLS_MAX + 256;
    return ss_outbox_open(outcomes, bytes, &controller->outbox);
}

static const struct ss_policy *policy_of(enum ss_policy_kind kind)
{
    switch (kind) {
    case SS_POLICY_LRU:
        return &ss_policy_lru;
    case SS_POLICY_SWAP_AWARE:
        return &ss_policy_swap_aware;
    }
    return 0;
}

static enum ss_status make(struct ss_controller *controller,
                           const struct ss_controller_options *options)
{
    controller->tp = options->tp;
    controller->pp = options->pp;
    controller->ranks = options->tp * options->pp;
    controller->limits = options->limits;
    if (controller->limits.queue_max_per_model == 0)
        controller->limits.queue_max_per_model = controller->limits.requests_max;
    controller->emulate = options->emulate;
    controller->policy = policy_of(options->policy);
    if (options->policy == SS_POLICY_SWAP_AWARE)
        controller->swap_aware = options->swap_aware;
    /* One copying drop of a model at a time; and a head would count as a model. */
    if (options->emulate.copy_back || options->emulate.models_max > 0)
        controller->swap_aware.partial = controller->swap_aware.prefetch = false;
    for (int stage = 0; stage < options->pp; stage++)
        controller->byte_ns[stage] =
            1e9 / (options->link_bytes_per_s > 0 ? (double)options->link_bytes_per_s
                                                 : LINK_GUESS_BYTES_PER_S);
    controller->page_bytes = options->page_bytes;
    SS_ASSERT(controller->policy);
    controller->block_tokens = options->block_tokens;
    controller->turn_model = SS_NONE;
    ss_class_share_reset(controller);
    controller->stall_max_ns = options->stall_max_ns;
    controller->silence_max_ns = options->silence_max_ns;
    controller->bytes_per_s_max = options->link_bytes_per_s;
    controller->blocked_order = controller->claimed_order = SS_NO_ORDER;
    controller->wake_ns = controller->timer_ns = UINT64_MAX;
    for (uint32_t i = 0; i < options->model_count; i++) {
        uint32_t blocks = ss_blocks_of(controller, options->models[i].context_max);
        if (blocks > controller->blocks_max)
            controller->blocks_max = blocks;
    }
    enum ss_status status = make_pools(controller, options);
    if (status == SS_OK)
        status = ss_deadlines_open(options->model_count, &controller->line);
    if (status == SS_OK)
        status = make_models(controller, options);
    if (status == SS_OK)
        status = make_sequences(controller);
    if (status == SS_OK)
        status = make_loads(controller);
    if (status == SS_OK)
        status = make_flights(controller);
    if (status == SS_OK)
        status = make_outbox(controller, options);
    if (status == SS_OK)
        status = take(controller, &controller->last_reports, (size_t)controller->ranks,
                      sizeof *controller->last_reports, "ranks");
    return status;
}

enum ss_status ss_controller_create(const struct ss_controller_options *options,
                                    struct ss_controller **out)
{
    enum ss_status status = check(options);
    struct ss_controller *controller;
    if (status == SS_OK)
        status = ss_alloc(&controller, 1, sizeof *controller, "controller");
    if (status != SS_OK)
        return status;
    status = make(controller, options);
    if (status != SS_OK) {
        ss_controller_destroy(controller);
        return status;
    }
    *out = controller;
    return SS_OK;
}

void ss_controller_destroy(struct ss_controller *controller)
{
    if (!controller)
        return;
    for (int stage = 0; stage < SS_STAGES_MAX; stage++)
        if (controller->pools[stage].map)
            ss_pool_close(&controller->pools[stage]);
    ss_page_map_destroy(controller->spill);
    ss_handle_map_close(&controller->handles);
    ss_deadlines_close(&controller->deadlines);
    ss_deadlines_close(&controller->line);
    ss_outbox_close(&controller->outbox);
    for (int i = 0; i < controller->array_count; i++)
        ss_free(controller->arrays[i]);
    ss_free(controller);
}
