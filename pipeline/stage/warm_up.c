/* Where kernels are loaded at their first use, every shape runs once before anything can wait. */
#include <string.h>

#include "pipeline/stage/internal.h"

#define PATIENCE_NS 600000000000ull

/* One run of CHUNK with ROWS rows, over what happens to lie in the pool: the values mean nothing.
 */
static enum ss_status run_chunk(struct ss_stage *stage, const struct ss_chunk *chunk)
{
    const struct ss_family *family = stage->graph.shape->family;
    stage->graph.chunk = chunk;
    stage->graph.chunk_address = stage->pool;
    if (chunk->kind == SS_CHUNK_EMBEDDING)
        return family->run_embedding(&stage->graph);
    return chunk->kind == SS_CHUNK_LAYER ? family->run_layer(&stage->graph, 0)
                                         : family->run_head(&stage->graph);
}

/* All rows are position 0 of one sequence, in the pool's first page. */
static void point_graph(struct ss_stage *stage, const struct stage_model *model, uint32_t rows)
{
    const struct ss_stage_limits *limits = &stage->options.limits;
    const struct flight_layout *layout = &stage->needs.layout;
    ss_device_address arrays = stage->arrays;
    struct ss_graph *graph = &stage->graph;
    graph->step = (struct ss_step){.rows = rows,
                                   .sequences = 1,
                                   .tokens = arrays + layout->tokens_in,
                                   .positions = arrays + layout->positions,
                                   .sequence_of = arrays + layout->sequence_of,
                                   .row_begin = arrays + layout->row_begin,
                                   .slots = arrays + layout->slots,
                                   .blocks = arrays + layout->blocks,
                                   .blocks_stride = stage->needs.workspace.blocks_stride,
                                   .rows_max_per_sequence = rows,
                                   .context_max = 1};
    graph->shape = model->given.shape;
    graph->kv = model->kv;
    graph->frequencies = model->frequencies;
    graph->sample_count = rows < limits->batch_max ? rows : limits->batch_max;
    graph->sample_rows = arrays + layout->sample_rows;
    graph->embedding = stage->stage == 0 ? &model->given.image->chunks[0] : 0;
    graph->embedding_address = stage->pool;
}

static enum ss_status run_model(struct ss_stage *stage, const struct stage_model *model,
                                uint32_t rows)
{
    const struct ss_image *image = model->given.image;
    bool layer_ran = false;
    enum ss_status status = SS_OK;
    point_graph(stage, model, rows);
    for (int i = 0; i < image->chunk_count && !status; i++) {
        const struct ss_chunk *chunk = &image->chunks[i];
        if (chunk->bytes > stage->options.limits.pool_bytes)
            return ss_fail(SS_INVALID, "a chunk of %zu bytes does not fit a pool of %llu",
                           chunk->bytes, (unsigned long long)stage->options.limits.pool_bytes);
        /* Layers are alike. */
        if (chunk->kind == SS_CHUNK_LAYER && layer_ran)
            continue;
        layer_ran |= chunk->kind == SS_CHUNK_LAYER;
        status = run_chunk(stage, chunk);
    }
    return status;
}

static uint32_t next_rows(uint32_t rows, uint32_t most)
{
    uint32_t next = rows < SS_EACH_ROWS_MAX ? rows + 1 : 2 * rows;
    return rows < most && next > most ? most : next;
}

/* In all that kernels are chosen by. */
static bool are_alike(const struct ss_shape *a, const struct ss_shape *b)
{
    return a->family == b->family && a->layers == b->layers && a->hidden == b->hidden &&
           a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim &&
           a->ffn == b->ffn && a->vocab == b->vocab && a->embedding == b->embedding &&
           a->dtype == b->dtype && a->activation == b->activation && a->tied == b->tied &&
           a->attention_bias == b->attention_bias && a->output_bias == b->output_bias &&
           a->ffn_bias == b->ffn_bias && a->norm_first == b->norm_first &&
           a->norm_affine == b->norm_affine && a->final_norm == b->final_norm;
}

/* Fine-tuned models are of few shapes. */
static bool ran_before(const struct ss_stage *stage, uint32_t model)
{
    for (uint32_t i = 0; i < model; i++)
        if (are_alike(stage->models[i].given.shape, stage->models[model].given.shape))
            return true;
    return false;
}

enum ss_status ss_stage_warm_up(struct ss_stage *stage)
{
    uint32_t most = stage->options.limits.step_tokens_max;
    struct ss_timeline *done;
    if (!stage->options.ops->table->loads_late)
        return SS_OK;
    enum ss_status status = stage->device->timeline_create(stage->options.device, &done);
    if (status)
        return status;
    /* Staging memory may hold what was copied by way of it before. */
    memset(stage->flights[0].staged, 0, stage->needs.layout.copied_bytes);
    status = stage->device->copy_to_device(stage->compute, stage->arrays, stage->flights[0].staged,
                                           stage->needs.layout.copied_bytes);
    for (uint32_t i = 0; i < stage->options.model_count && !status; i++)
        for (uint32_t rows = 1; rows <= most && !status && !ran_before(stage, i);
             rows = next_rows(rows, most))
            status = run_model(stage, &stage->models[i], rows);
    if (!status)
        status = stage->device->signal(stage->compute, done, 1);
    if (!status)
        status = stage->device->timeline_wait(done, 1, PATIENCE_NS);
    stage->device->timeline_destroy(done);
    return status;
}
