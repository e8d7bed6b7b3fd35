/* Building a stage: everything that entries will need is allocated and registered here, once. */
#include <string.h>
#include <sys/mman.h>

#include "engine/base/assert.h"
#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "pipeline/stage/internal.h"

static enum ss_status take(struct ss_stage *stage, uint64_t bytes, ss_device_address *out)
{
    SS_ASSERT(stage->allocation_count < stage->allocations_max);
    enum ss_status status = stage->device->alloc(stage->options.device, bytes ? bytes : 1, out);
    if (!status)
        stage->allocations[stage->allocation_count++] = *out;
    return status;
}

static enum ss_status create_buffers(struct ss_stage *stage)
{
    struct ss_graph *graph = &stage->graph;
    ss_device_address returns = 0;
    ss_device_address *const buffers[BUFFERS] = {
        [HIDDEN] = &graph->hidden,
        [NORMED] = &graph->normed,
        [QKV] = &graph->qkv,
        [ATTENDED] = &graph->attended,
        [PROJECTED] = &graph->projected,
        [INNER] = &graph->inner,
        [GATED] = &graph->gated,
        [LOGITS_PART] = &graph->logits_part,
        [LOGITS] = &graph->logits,
        [TABLE] = &stage->table.tokens,
        [ARRAYS] = &stage->arrays,
        [RETURNS] = &returns,
    };
    enum ss_status status = take(stage, stage->options.limits.pool_bytes, &stage->pool);
    for (int i = 0; i < BUFFERS && !status; i++)
        status = take(stage, stage->needs.buffer_bytes[i], buffers[i]);
    for (uint32_t i = 0; i < stage->needs.return_count; i++) {
        stage->returns[i].sampling = returns + i * stage->needs.return_bytes;
        stage->returns[i].tokens = stage->returns[i].sampling + stage->needs.return_tokens_at;
    }
    stage->table.slots = stage->options.limits.slots_max;
    stage->table.tokens_max = stage->needs.workspace.tokens_max;
    graph->ops = stage->options.ops;
    graph->comm = stage->options.comm;
    graph->stream = stage->compute;
    graph->cut = (struct ss_cut){.tp = stage->tp, .tp_rank = stage->tp_rank};
    return status;
}

static enum ss_status create_streams(struct ss_stage *stage)
{
    struct {
        enum ss_stream_kind kind;
        struct ss_stream **out;
    } streams[] = {{SS_STREAM_COMPUTE, &stage->compute},
                   {SS_STREAM_EDGE, &stage->edge_in},
                   {SS_STREAM_EDGE, &stage->edge_out},
                   {SS_STREAM_LOAD, &stage->restore},
                   {SS_STREAM_UNLOAD, &stage->unload}};
    struct ss_timeline **const timelines[] = {&stage->computed, &stage->staged, &stage->received,
                                              &stage->tokened, &stage->restored};
    enum ss_status status = SS_OK;
    for (size_t i = 0; i < sizeof streams / sizeof *streams && !status; i++)
        status =
            stage->device->stream_create(stage->options.device, streams[i].kind, streams[i].out);
    for (size_t i = 0; i < sizeof timelines / sizeof *timelines && !status; i++)
        status = stage->device->timeline_create(stage->options.device, timelines[i]);
    return status;
}

static enum ss_status create_model(struct ss_stage *stage, struct stage_model *model,
                                   const struct ss_stage_model *given)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    *model = (struct stage_model){.given = *given};
    uint32_t tp = (uint32_t)stage->tp;
    model->kv = (struct ss_kv_layout){
        .pool = stage->pool,
        .page_bytes = limits->page_bytes,
        .layer_bytes = limits->block_tokens *
                       ss_kv_bytes_per_token_layer(given->shape, stage->tp,
                                                   stage->needs.workspace.activation_bytes),
        .block_tokens = limits->block_tokens,
        .kv_heads = given->shape->kv_heads / tp,
        .head_dim = given->shape->head_dim,
    };
    model->blocks_max = (given->context_max + limits->block_tokens - 1) / limits->block_tokens;
    int chunks = given->image->chunk_count;
    enum ss_status status =
        ss_alloc(&model->chunks, (size_t)chunks, sizeof *model->chunks, "residency");
    for (int i = 0; i < chunks && !status; i++)
        status = stage->device->timeline_create(stage->options.device, &model->chunks[i].ready);
    return status;
}

/* Host memory to be registered with the device: whole pages; MAP_FAILED: none. */
static void *map_host(size_t bytes)
{
    if (ss_fault(SS_FAULT_ALLOC))
        return MAP_FAILED;
    return mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static enum ss_status create_flights(struct ss_stage *stage)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    const struct workspace *space = &stage->needs.workspace;
    size_t tokens = ss_stage_align(limits->batch_max * sizeof(int32_t), SS_TENSOR_ALIGN);
    size_t logits = stage->options.on_logits
                        ? 2 * (size_t)limits->batch_max * space->widths.vocab_part *
                              (size_t)stage->tp * sizeof(float)
                        : 0;
    size_t each = ss_stage_align(stage->needs.layout.host_bytes + tokens + logits, 4096);
    void *mapped = map_host(each * limits->batches_in_flight);
    if (mapped == MAP_FAILED)
        return ss_fail(SS_NO_MEMORY, "staging memory: %zu bytes", each * limits->batches_in_flight);
    stage->host_memory = mapped;
    stage->host_bytes = each * limits->batches_in_flight;
    enum ss_status status =
        stage->device->host_register(stage->options.device, mapped, stage->host_bytes);
    stage->host_registered = !status;
    for (uint32_t i = 0; i < limits->batches_in_flight && !status; i++) {
        struct flight *flight = &stage->flights[i];
        flight->stage = stage;
        flight->staged = stage->host_memory + i * each;
        flight->tokens = (int32_t *)(void *)(flight->staged + stage->needs.layout.host_bytes);
        flight->logits =
            logits ? (float *)(void *)(flight->staged + stage->needs.layout.host_bytes + tokens)
                   : 0;
        if (stage->pp > 1)
            status = take(stage, stage->needs.edge_bytes, &flight->hidden);
        flight->tokens_out = flight->hidden + stage->needs.edge_tokens_at;
        if (!status)
            status = ss_alloc(&flight->endings, limits->batch_max, sizeof *flight->endings,
                              "batch endings");
        if (!status)
            status = ss_alloc(&flight->report_tokens, limits->batch_max,
                              sizeof *flight->report_tokens, "batch tokens");
    }
    return status;
}

static enum ss_status create_tables(struct ss_stage *stage)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    size_t stride = stage->needs.workspace.blocks_stride;
    stage->allocations_max = 1 + BUFFERS + limits->batches_in_flight + stage->options.model_count;
    enum ss_status status = ss_alloc(&stage->allocations, stage->allocations_max,
                                     sizeof *stage->allocations, "allocations");
    if (!status)
        status = ss_alloc(&stage->page_last_use, stage->page_count, sizeof *stage->page_last_use,
                          "page table");
    if (!status)
        status =
            ss_alloc(&stage->models, stage->options.model_count, sizeof *stage->models, "models");
    if (!status)
        status = ss_alloc(&stage->slots, limits->slots_max, sizeof *stage->slots, "slots");
    if (!status)
        status = ss_alloc(&stage->slot_blocks, limits->slots_max * stride,
                          sizeof *stage->slot_blocks, "block tables");
    if (!status)
        status =
            ss_alloc(&stage->flights, limits->batches_in_flight, sizeof *stage->flights, "flights");
    if (!status)
        status = ss_alloc(&stage->returns, (size_t)stage->needs.return_count + 1,
                          sizeof *stage->returns, "tokens on their way");
    for (uint32_t i = 0; !status && i < limits->slots_max; i++)
        stage->slots[i].blocks = stage->slot_blocks + i * stride;
    return status;
}

static enum ss_status create_transfer(struct ss_stage *stage)
{
    int chunks_max = 1;
    for (uint32_t i = 0; i < stage->options.model_count; i++)
        if (chunks_max < stage->options.models[i].image->chunk_count)
            chunks_max = stage->options.models[i].image->chunk_count;
    const struct ss_transfer_options options = {
        .piece_bytes = stage->options.limits.piece_bytes,
        .pieces_in_flight = stage->options.limits.pieces_in_flight,
        .loads_max = (int)stage->options.limits.loads_in_flight,
        .chunks_max = chunks_max,
        .arrived = ss_stage_arrived,
        .ended = ss_stage_load_ended,
        .user = stage,
    };
    size_t loads = stage->options.limits.loads_in_flight, chunks = (size_t)chunks_max;
    enum ss_status status =
        ss_alloc(&stage->load_chunks, chunks, sizeof *stage->load_chunks, "load");
    if (!status)
        status = ss_alloc(&stage->loads, loads, sizeof *stage->loads, "loads");
    if (!status)
        status = ss_alloc(&stage->load_chunk_bytes, loads * chunks, sizeof *stage->load_chunk_bytes,
                          "loads");
    for (size_t i = 0; i < loads && !status; i++)
        stage->loads[i].chunk_bytes = stage->load_chunk_bytes + i * chunks;
    return status ? status : ss_transfer_create(stage->options.device, &options, &stage->transfer);
}

static enum ss_status create_models(struct ss_stage *stage)
{
    enum ss_status status = SS_OK;
    stage->spill_unit = 1;
    for (uint32_t i = 0; i < stage->options.model_count && !status; i++) {
        status = create_model(stage, &stage->models[i], &stage->options.models[i]);
        uint64_t bytes = status ? 0 : ss_stage_block_bytes(stage, (uint16_t)i);
        if (stage->spill_unit < bytes)
            stage->spill_unit = bytes;
    }
    return status;
}

static bool has_frequencies(const struct stage_model *model)
{
    return model->given.shape->rope.theta != 0;
}

/* Computes all models' rotary frequencies in HOST, which is registered, and copies them. A stream
 * of their own is drained by its destruction, so nothing is under way when this returns. */
static enum ss_status copy_frequencies(struct ss_stage *stage, unsigned char *host)
{
    struct ss_stream *stream;
    enum ss_status status =
        stage->device->stream_create(stage->options.device, SS_STREAM_EDGE, &stream);
    if (status)
        return status;
    for (uint32_t i = 0; i < stage->options.model_count && !status; i++) {
        struct stage_model *model = &stage->models[i];
        size_t bytes = model->given.shape->head_dim / 2 * sizeof(float);
        if (!has_frequencies(model))
            continue;
        ss_rope_frequencies(model->given.shape, (float *)(void *)host);
        status = take(stage, bytes, &model->frequencies);
        if (!status)
            status = stage->device->copy_to_device(stream, model->frequencies, host, bytes);
        host += ss_stage_align(bytes, SS_TENSOR_ALIGN);
    }
    stage->device->stream_destroy(stream);
    return status;
}

/* By way of memory of their own: there may be more models than the staging memory has room for. */
static enum ss_status create_frequencies(struct ss_stage *stage)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < stage->options.model_count; i++)
        if (has_frequencies(&stage->models[i]))
            bytes += ss_stage_align(stage->models[i].given.shape->head_dim / 2 * sizeof(float),
                                    SS_TENSOR_ALIGN);
    if (!bytes)
        return SS_OK;
    bytes = ss_stage_align(bytes, 4096);
    void *host = map_host(bytes);
    if (host == MAP_FAILED)
        return ss_fail(SS_NO_MEMORY, "rotary frequencies: %zu bytes", bytes);
    enum ss_status status = stage->device->host_register(stage->options.device, host, bytes);
    if (!status) {
        status = copy_frequencies(stage, host);
        stage->device->host_unregister(stage->options.device, host, bytes);
    }
    munmap(host, bytes);
    return status;
}

enum ss_status ss_stage_create(const struct ss_stage_options *options, struct ss_stage **out)
{
    struct ss_stage *stage;
    enum ss_status status = ss_alloc(&stage, 1, sizeof *stage, "stage");
    if (status)
        return status;
    stage->options = *options;
    stage->device = options->device->ops;
    stage->stage = options->comm->stage;
    stage->tp = options->comm->tp;
    stage->tp_rank = options->comm->tp_rank;
    stage->pp = options->comm->pp;
    stage->next_number = 1;
    ss_stage_measure(options, &stage->needs);
    stage->page_count = (uint32_t)(options->limits.pool_bytes / options->limits.page_bytes);
    status = create_tables(stage);
    if (!status)
        status = create_streams(stage);
    if (!status)
        status = create_buffers(stage);
    if (!status)
        status = create_flights(stage);
    if (!status)
        status = create_models(stage);
    if (!status)
        status = create_frequencies(stage);
    if (!status)
        status = ss_stage_recorded_create(stage);
    if (!status)
        status = create_transfer(stage);
    if (!status)
        status = ss_standstill_watch(stage);
    if (status) {
        ss_stage_destroy(stage);
        return status;
    }
    *out = stage;
    return SS_OK;
}

static void destroy_streams(struct ss_stage *stage)
{
    struct ss_stream *const streams[] = {stage->compute, stage->edge_in, stage->edge_out,
                                         stage->restore, stage->unload};
    struct ss_timeline *const timelines[] = {stage->computed, stage->staged, stage->received,
                                             stage->tokened, stage->restored};
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (streams[i])
            stage->device->stream_destroy(streams[i]);
    for (size_t i = 0; i < sizeof timelines / sizeof *timelines; i++)
        if (timelines[i])
            stage->device->timeline_destroy(timelines[i]);
}

static void destroy_models(struct ss_stage *stage)
{
    for (uint32_t i = 0; stage->models && i < stage->options.model_count; i++) {
        struct stage_model *model = &stage->models[i];
        for (int c = 0; model->chunks && c < model->given.image->chunk_count; c++)
            if (model->chunks[c].ready)
                stage->device->timeline_destroy(model->chunks[c].ready);
        ss_free(model->chunks);
    }
    ss_free(stage->models);
}

static void destroy_flights(struct ss_stage *stage)
{
    for (uint32_t i = 0; stage->flights && i < stage->options.limits.batches_in_flight; i++) {
        ss_free(stage->flights[i].endings);
        ss_free(stage->flights[i].report_tokens);
    }
    ss_free(stage->flights);
    ss_free(stage->returns);
    if (stage->host_memory) {
        if (stage->host_registered)
            stage->device->host_unregister(stage->options.device, stage->host_memory,
                                           stage->host_bytes);
        munmap(stage->host_memory, stage->host_bytes);
    }
}

void ss_stage_destroy(struct ss_stage *stage)
{
    if (!stage)
        return;
    ss_standstill_end(stage);
    /* Loads first: compute may wait for their chunks, and a cancelled load never signals. */
    if (stage->transfer)
        ss_transfer_destroy(stage->transfer);
    for (uint32_t i = 0; stage->models && i < stage->options.model_count; i++)
        for (int c = 0; stage->models[i].chunks && c < stage->models[i].given.image->chunk_count;
             c++)
            if (stage->models[i].chunks[c].ready)
                stage->device->timeline_raise(stage->models[i].chunks[c].ready, UINT64_MAX);
    destroy_streams(stage);
    ss_stage_recorded_destroy(stage);
    destroy_models(stage);
    destroy_flights(stage);
    for (uint32_t i = 0; i < stage->allocation_count; i++)
        stage->device->free(stage->options.device, stage->allocations[i]);
    ss_free(stage->allocations);
    ss_free(stage->load_chunks);
    ss_free(stage->loads);
    ss_free(stage->load_chunk_bytes);
    ss_free(stage->page_last_use);
    ss_free(stage->slot_blocks);
    ss_free(stage->slots);
    ss_free(stage);
}
