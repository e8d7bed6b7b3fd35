/* Chunks on this rank: where they lie, whether they are on their way, what used them last. */
#include <inttypes.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "pipeline/stage/internal.h"

static enum ss_status find_chunk(struct ss_stage *stage, uint16_t model, uint16_t chunk,
                                 const char *what, struct stage_model **model_out,
                                 struct resident **chunk_out)
{
    if (model >= stage->options.model_count)
        return ss_fail(SS_INVALID, "%s: model %u of %" PRIu32, what, model,
                       stage->options.model_count);
    struct stage_model *found = &stage->models[model];
    if (chunk >= found->given.image->chunk_count)
        return ss_fail(SS_INVALID, "%s: chunk %u of %d", what, chunk,
                       found->given.image->chunk_count);
    *model_out = found;
    *chunk_out = &found->chunks[chunk];
    return SS_OK;
}

static enum ss_status place(struct ss_stage *stage, const struct ss_entry *entry,
                            const struct ss_placement *placement, int index)
{
    struct stage_model *model;
    struct resident *resident;
    enum ss_status status =
        find_chunk(stage, entry->model, placement->chunk, "load", &model, &resident);
    if (status)
        return status;
    const struct ss_chunk *chunk = &model->given.image->chunks[placement->chunk];
    status = ss_stage_check_pages(stage, placement->page, chunk->bytes, "load");
    if (status)
        return status;
    if (resident->held)
        return ss_fail(SS_INVALID, "load: chunk %u of model %u is held already", placement->chunk,
                       entry->model);
    uint64_t free_value = ss_stage_last_use(stage, placement->page, chunk->bytes);
    model->awaited = false;
    *resident = (struct resident){
        .held = true, .page = placement->page, .load = entry->number, .ready = resident->ready};
    stage->load_chunks[index] = (struct ss_transfer_chunk){
        .from = (const unsigned char *)model->given.base + chunk->offset,
        .to = ss_stage_page_address(stage, placement->page),
        .bytes = chunk->bytes,
        .ready = resident->ready,
        .free_after = free_value ? stage->computed : 0,
        .free_value = free_value,
    };
    return SS_OK;
}

static struct load *find_load(struct ss_stage *stage, uint64_t number)
{
    for (uint32_t i = 0; i < stage->options.limits.loads_in_flight; i++)
        if (atomic_load(&stage->loads[i].used) && stage->loads[i].number == number)
            return &stage->loads[i];
    return 0;
}

static enum ss_status begin_load(struct ss_stage *stage, const struct ss_entry *entry, int count)
{
    for (uint32_t i = 0; i < stage->options.limits.loads_in_flight; i++) {
        struct load *load = &stage->loads[i];
        if (atomic_load(&load->used))
            continue;
        load->number = entry->number;
        load->begun_ns = ss_now_ns();
        load->model = entry->model;
        load->count = count;
        load->counted = 0;
        for (int chunk = 0; chunk < count; chunk++)
            load->chunk_bytes[chunk] = stage->load_chunks[chunk].bytes;
        atomic_store(&load->used, true);
        return SS_OK;
    }
    return ss_fail(SS_FULL, "load: more than %" PRIu32 " loads in flight",
                   stage->options.limits.loads_in_flight);
}

enum ss_status ss_stage_load(struct ss_stage *stage, const struct ss_entry *entry)
{
    int count = 0;
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        if (entry->placements[i].stage != stage->stage)
            continue;
        enum ss_status status = place(stage, entry, &entry->placements[i], count);
        if (status)
            return status;
        count++;
    }
    if (count == 0) {
        ss_stage_report(stage, SS_REPORT_LOAD_ENDED, entry->number, 0);
        return SS_OK;
    }
    enum ss_status status = begin_load(stage, entry, count);
    if (!status)
        status = ss_transfer_load(stage->transfer, entry->number, (enum ss_lane)entry->lane,
                                  stage->load_chunks, count);
    return status;
}

/* Counts the chunks that are new since the last call: a load's own, in the order of its list. */
static void count_arrived(struct ss_stage *stage, struct load *load, int count, uint64_t now_ns)
{
    if (count <= load->counted)
        return;
    uint64_t bytes = 0;
    for (int i = load->counted; i < count; i++)
        bytes += load->chunk_bytes[i];
    atomic_fetch_add(&stage->loaded_bytes, bytes);
    ss_trace_span(stage->options.trace, SS_TRACE_LOADS, "load", load->model, load->number,
                  load->begun_ns, now_ns);
    load->begun_ns = now_ns;
    load->counted = count;
}

void ss_stage_arrived(void *user, uint64_t number, int count, uint64_t now_ns)
{
    struct ss_stage *stage = user;
    struct ss_report report = {
        .kind = SS_REPORT_CHUNKS, .number = number, .count = (uint32_t)count, .at_ns = now_ns};
    count_arrived(stage, find_load(stage, number), count, now_ns);
    ss_stage_report_full(stage, &report);
}

void ss_stage_load_ended(void *user, uint64_t number, int count, enum ss_status status)
{
    struct ss_stage *stage = user;
    struct ss_report report = {.kind = SS_REPORT_LOAD_ENDED,
                               .number = number,
                               .count = (uint32_t)count,
                               .at_ns = ss_now_ns()};
    struct load *load = find_load(stage, number);
    int model = load->model;
    atomic_store(&load->used, false);
    if (!status || status == SS_CANCELLED)
        ss_stage_report_full(stage, &report);
    else if (ss_stage_is_well(stage, number, model)) {
        enum ss_status failed = ss_fail(status, "load %" PRIu64 " ended after %d chunks: %s",
                                        number, count, ss_status_name(status));
        (void)failed;
        ss_stage_report_failure(stage, number, model);
    }
}

/* Weights are read-only and their master copy stays in the arena, so what a copying drop brings
 * back are the bytes that are there: it exists to show what that costs. */
static enum ss_status copy_back(struct ss_stage *stage, struct stage_model *model, uint16_t index)
{
    const struct ss_chunk *chunk = &model->given.image->chunks[index];
    struct resident *resident = &model->chunks[index];
    enum ss_status status = stage->device->wait(stage->unload, stage->computed, resident->last_use);
    if (!status)
        status = stage->device->wait(stage->unload, resident->ready, resident->load);
    if (!status)
        status = stage->device->copy_to_host(
            stage->unload, (unsigned char *)model->given.base + chunk->offset,
            ss_stage_page_address(stage, resident->page), chunk->bytes);
    if (!status)
        atomic_fetch_add(&stage->copied_back_bytes, chunk->bytes);
    return status;
}

enum ss_status ss_stage_drop(struct ss_stage *stage, const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        struct stage_model *model;
        struct resident *resident;
        if (placement->stage != stage->stage)
            continue;
        enum ss_status status =
            find_chunk(stage, entry->model, placement->chunk, "drop", &model, &resident);
        if (!status && !resident->held)
            status = ss_fail(SS_INVALID, "drop: chunk %u of model %u is not held", placement->chunk,
                             entry->model);
        if (!status && entry->copy_back)
            status = copy_back(stage, model, placement->chunk);
        if (status)
            return status;
        ss_stage_touch_pages(stage, resident->page,
                             model->given.image->chunks[placement->chunk].bytes,
                             resident->last_use);
        resident->held = false;
    }
    return entry->copy_back ? ss_stage_report_when_done(stage, stage->unload, entry->number)
                            : SS_OK;
}

enum ss_status ss_stage_move_chunk(struct ss_stage *stage, const struct ss_page_move *move,
                                   uint64_t number, uint64_t *bytes)
{
    struct stage_model *model = 0;
    struct resident *resident = 0;
    enum ss_status status = find_chunk(stage, move->model, move->index, "move", &model, &resident);
    if (status)
        return status;
    if (!resident->held || resident->page != move->from)
        return ss_fail(SS_INVALID, "move: chunk %u of model %u is not at page %" PRIu32,
                       move->index, move->model, move->from);
    *bytes = model->given.image->chunks[move->index].bytes;
    status = stage->device->wait(stage->compute, resident->ready, resident->load);
    if (status)
        return status;
    resident->page = move->to;
    resident->last_use = number;
    stage->awaiting = number;
    return SS_OK;
}
