/* The compute of a batch: gather tokens, wait for each chunk and run it, sample. */
#include "pipeline/stage/internal.h"

void ss_stage_point_graph(struct ss_stage *stage, struct flight *flight, const struct ss_step *step)
{
    struct ss_graph *graph = &stage->graph;
    const struct stage_model *model = &stage->models[flight->model];
    graph->shape = model->given.shape;
    graph->step = *step;
    graph->kv = model->kv;
    graph->frequencies = model->frequencies;
    graph->sample_count = flight->samples + flight->padding;
    graph->sample_rows = stage->arrays + stage->needs.layout.sample_rows;
    graph->embedding = 0;
    if (stage->stage == 0) {
        graph->embedding = &model->given.image->chunks[0];
        graph->embedding_address = ss_stage_page_address(stage, model->chunks[0].page);
    }
}

/* A chunk that is there already costs no wait; one that is not is timed. */
static enum ss_status await_chunk(struct ss_stage *stage, struct flight *flight,
                                  const struct resident *chunk)
{
    const struct ss_device_ops *device = stage->device;
    if (device->timeline_value(chunk->ready) >= chunk->load)
        return SS_OK;
    enum ss_status status = device->host_call(stage->compute, ss_flight_wait_began, flight);
    if (!status)
        status = device->wait(stage->compute, chunk->ready, chunk->load);
    if (!status)
        status = device->host_call(stage->compute, ss_flight_wait_ended, flight);
    return status;
}

static enum ss_status run_chunk(struct ss_stage *stage, const struct ss_chunk *chunk,
                                uint32_t layer_in_stage)
{
    const struct ss_family *family = stage->graph.shape->family;
    switch (chunk->kind) {
    case SS_CHUNK_EMBEDDING:
        return family->run_embedding(&stage->graph);
    case SS_CHUNK_LAYER:
        return family->run_layer(&stage->graph, layer_in_stage);
    case SS_CHUNK_HEAD:
        return stage->graph.sample_count ? family->run_head(&stage->graph) : SS_OK;
    }
    return SS_OK;
}

static enum ss_status sample(struct ss_stage *stage)
{
    const struct ss_graph *graph = &stage->graph;
    return stage->options.ops->table->sample(
        stage->options.ops, stage->compute, graph->logits, graph->sample_count, (uint32_t)stage->tp,
        ss_vocab_part(graph->shape, stage->tp), graph->shape->vocab,
        stage->arrays + stage->needs.layout.sampling,
        stage->arrays + stage->needs.layout.tokens_out, stage->stage == 0 ? &stage->table : 0);
}

enum ss_status ss_stage_run_pass(struct ss_stage *stage, struct flight *flight)
{
    struct stage_model *model = &stage->models[flight->model];
    uint32_t layer = 0;
    enum ss_status status = SS_OK;
    if (stage->stage == 0)
        status = stage->options.ops->table->gather_tokens(stage->options.ops, stage->compute,
                                                          &stage->graph.step, &stage->table);
    for (int i = 0; i < model->given.image->chunk_count && !status; i++) {
        const struct ss_chunk *chunk = &model->given.image->chunks[i];
        atomic_store(&stage->place.chunk, i);
        if (!model->awaited)
            status = await_chunk(stage, flight, &model->chunks[i]);
        if (status)
            break;
        stage->graph.chunk = chunk;
        stage->graph.chunk_address = ss_stage_page_address(stage, model->chunks[i].page);
        status = run_chunk(stage, chunk, layer);
        layer += chunk->kind == SS_CHUNK_LAYER;
    }
    if (!status && stage->stage == stage->pp - 1 && stage->graph.sample_count)
        status = sample(stage);
    return status;
}
