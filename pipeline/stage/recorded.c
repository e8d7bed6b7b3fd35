/* Steps of one token a sequence, over weights that are there: recorded once for each number of
 * rows, then launched as one.
 *
 * Whether a step is recorded depends on entries alone, so that tensor-parallel peers, whose
 * collectives are in it, agree without asking each other. */
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "pipeline/stage/internal.h"

/* The driver takes what recordings need when they are made: it must be there then. */
static enum ss_status try_memory(struct ss_stage *stage)
{
    ss_device_address room;
    enum ss_status status =
        stage->device->alloc(stage->options.device, stage->needs.recorded_bytes, &room);
    if (status)
        return ss_status_context(status, "memory for recorded steps");
    stage->device->free(stage->options.device, room);
    return SS_OK;
}

enum ss_status ss_stage_recorded_create(struct ss_stage *stage)
{
    size_t chunks = 1;
    const struct ss_ops_table *ops = stage->options.ops->table;
    /* Where bits depend on the number of rows, steps that are not recorded are padded as well. */
    stage->pads = ops->takes_padding && (stage->options.graphs || !ops->batch_invariant);
    if (!stage->options.graphs || !stage->pads)
        return SS_OK;
    for (uint32_t i = 0; i < stage->options.model_count; i++)
        if (chunks < (size_t)stage->options.models[i].image->chunk_count)
            chunks = (size_t)stage->options.models[i].image->chunk_count;
    uint32_t count = stage->needs.recorded_count;
    enum ss_status status = try_memory(stage);
    if (!status)
        status = ss_alloc(&stage->recorded, count, sizeof *stage->recorded, "recorded steps");
    if (!status)
        status = ss_alloc(&stage->recorded_pages, count * chunks, sizeof *stage->recorded_pages,
                          "recorded steps");
    if (status)
        return status;
    for (uint32_t i = 0; i < count; i++)
        stage->recorded[i].pages = stage->recorded_pages + i * chunks;
    return SS_OK;
}

void ss_stage_recorded_destroy(struct ss_stage *stage)
{
    for (uint32_t i = 0; stage->recorded && i < stage->needs.recorded_count; i++)
        if (stage->recorded[i].recording)
            stage->device->recording_destroy(stage->options.device, stage->recorded[i].recording);
    ss_free(stage->recorded);
    ss_free(stage->recorded_pages);
}

/* The step of FLIGHT's shape, or the place where it is to be recorded; null: there is none. */
static struct recorded *find(struct ss_stage *stage, const struct flight *flight)
{
    const struct ss_step *step = &stage->graph.step;
    struct recorded *oldest = &stage->recorded[0];
    for (uint32_t i = 0; i < stage->needs.recorded_count; i++) {
        struct recorded *place = &stage->recorded[i];
        if (place->recording && place->model == flight->model && place->rows == step->rows &&
            place->context == step->context_max)
            return place;
        if (place->used < oldest->used)
            oldest = place;
    }
    if (stage->recorded_full)
        return 0;
    if (oldest->recording)
        stage->device->recording_destroy(stage->options.device, oldest->recording);
    oldest->recording = 0;
    oldest->model = flight->model;
    oldest->rows = step->rows;
    oldest->context = step->context_max;
    return oldest;
}

static bool is_current(const struct recorded *recorded, const struct stage_model *model)
{
    if (!recorded->recording)
        return false;
    for (int i = 0; i < model->given.image->chunk_count; i++)
        if (recorded->pages[i] != model->chunks[i].page)
            return false;
    return true;
}

static enum ss_status record(struct ss_stage *stage, struct flight *flight,
                             struct recorded *recorded)
{
    const struct stage_model *model = &stage->models[flight->model];
    uint64_t begin_ns = ss_now_ns();
    const char *what = recorded->recording ? "bind graph" : "record graph";
    enum ss_status status = stage->device->record_begin(stage->compute);
    if (status)
        return status;
    status = ss_stage_run_pass(stage, flight);
    if (status) {
        stage->device->record_abort(stage->compute);
        return status;
    }
    status = stage->device->record_end(stage->compute, &recorded->recording);
    if (status)
        return ss_status_context(status, "recording a step of %u rows", stage->graph.step.rows);
    for (int i = 0; i < model->given.image->chunk_count; i++)
        recorded->pages[i] = model->chunks[i].page;
    ss_trace_span(stage->options.trace, SS_TRACE_ENTRIES, what, flight->model, flight->number,
                  begin_ns, ss_now_ns());
    return SS_OK;
}

/* A recording with collectives is not launched behind compute that waits for copies: on two H200s
 * (NCCL 2.28) both ranks then stood still for ever. It is not all that can make them. */
bool ss_stage_may_play(const struct ss_stage *stage, const struct flight *flight)
{
    return stage->recorded && flight->alike && stage->models[flight->model].awaited &&
           (stage->tp == 1 || flight->settled);
}

/* After a recording failed with STATUS: whether steps go on without. No memory comes back by
 * itself, and to try at every step would cost every step a recording: no other shape is recorded
 * any more. A collective is recorded by all ranks or by none (NCCL User Guide, "Using NCCL with
 * CUDA Graphs"), so tensor-parallel peers cannot part here. */
static bool goes_without(struct ss_stage *stage, enum ss_status status)
{
    char message[SS_MESSAGE_BYTES];
    if (status != SS_NO_MEMORY || stage->tp > 1)
        return false;
    snprintf(message, sizeof message, "%s", ss_status_message());
    if (stage->device->health(stage->options.device))
        return false;
    if (!stage->recorded_full)
        SS_WARNING("%s: steps that are not recorded by now will not be, and are slower", message);
    stage->recorded_full = true;
    return true;
}

enum ss_status ss_stage_play(struct ss_stage *stage, struct flight *flight)
{
    struct recorded *recorded = find(stage, flight);
    enum ss_status status = SS_OK;
    if (!recorded)
        return ss_stage_run_pass(stage, flight);
    recorded->used = flight->number;
    if (!is_current(recorded, &stage->models[flight->model]))
        status = record(stage, flight, recorded);
    if (status && goes_without(stage, status))
        return ss_stage_run_pass(stage, flight);
    return status ? status : stage->device->play(stage->compute, recorded->recording);
}
