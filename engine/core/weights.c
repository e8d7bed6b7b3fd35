#include "engine/core/weights.h"

#include "engine/core/class_share.h"
#include "engine/core/head.h"
#include "engine/core/link.h"
#include "engine/core/model.h"
#include "engine/core/operation.h"
#include "engine/core/placing.h"
#include "engine/core/trust.h"

/* Chunks in execution order, stage by stage in turn: a rank that reads the list starts at once. */
static void send_load(struct ss_controller *controller, uint16_t index, const uint32_t *end,
                      struct ss_load *load)
{
    struct ss_model *model = &controller->models[index];
    uint32_t absent = model->chunks_in[SS_CHUNK_ABSENT], longest = 0;
    struct ss_placement *placements =
        ss_outbox_array(&controller->outbox, absent, sizeof *placements);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_LOAD);
    entry->model = index;
    entry->lane = load->guess ? SS_ENTRY_LANE_PREFETCH : SS_ENTRY_LANE_DEMAND;
    entry->placements = placements;
    for (int stage = 0; stage < controller->pp; stage++) {
        load->parts[stage].count = load->parts[stage].ready = 0;
        load->parts[stage].bytes_left = 0;
        load->parts[stage].ready_ns = controller->now_ns;
        load->parts[stage].settled = false;
        if (end[stage] > longest)
            longest = end[stage];
    }
    for (uint32_t i = 0; i < longest; i++)
        for (uint16_t stage = 0; stage < controller->pp; stage++) {
            struct ss_load_part *part = &load->parts[stage];
            if (i >= end[stage] || model->chunks[stage][i].state != SS_CHUNK_ABSENT)
                continue;
            const struct ss_chunk *chunk = &model->chunks[stage][i];
            placements[entry->placement_count++] =
                (struct ss_placement){.stage = stage, .chunk = (uint16_t)i, .page = chunk->page};
            part->chunks[part->count++] = (uint16_t)i;
            part->bytes_left += chunk->bytes;
            controller->load_bytes += chunk->bytes * (uint64_t)controller->tp;
            ss_chunk_set(controller, index, stage, i, SS_CHUNK_LOADING);
        }
    load->number = model->stay_number = entry->number;
}

static struct ss_load *free_load(struct ss_controller *controller, uint16_t model, bool guess)
{
    uint32_t at = 0;
    while (controller->loads[at].number != 0)
        at++;
    struct ss_load *load = &controller->loads[at];
    controller->loads_now++;
    load->model = model;
    load->cancelled = load->changed = false;
    load->guess = guess;
    load->sent_ns = controller->now_ns;
    load->stages_left = (uint32_t)controller->pp;
    for (int rank = 0; rank < controller->ranks; rank++) {
        load->counts[rank] = 0;
        load->ended[rank] = false;
    }
    controller->models[model].load = at;
    return load;
}

bool ss_weights_load(struct ss_controller *controller, uint16_t index, const uint32_t *end)
{
    struct ss_model *model = &controller->models[index];
    bool guess = end;
    if (!guess)
        end = model->chunk_count;
    size_t bytes = ss_outbox_bytes(model->chunks_in[SS_CHUNK_ABSENT], sizeof(struct ss_placement));
    if (!ss_outbox_fits(&controller->outbox, 1, bytes) ||
        !ss_placing_take_chunks(controller, index, end))
        return false;
    if (!ss_outbox_fits(&controller->outbox, 1, bytes)) { /* moves took it */
        ss_placing_release_chunks(controller, index, end);
        return false;
    }
    if (!guess)
        ss_class_share_load(controller,
                            ss_head_precedence(controller, model, ss_head_of(controller, model)),
                            ss_link_missing_ns(controller, model));
    send_load(controller, index, end, free_load(controller, index, guess));
    model->last_used_ns = controller->now_ns;
    model->batches_of_stay = 0;
    model->stuck = false;
    if (guess) {
        controller->guesses++;
        return true;
    }
    controller->load_count++;
    model->loads++;
    return true;
}

/* Of a stage's chunks, those from the returned one on hold PAGES resident pages. */
static uint32_t tail_of(const struct ss_model *model, uint16_t stage, uint32_t pages)
{
    uint32_t at = model->chunk_count[stage];
    while (at > 0 && pages > 0) {
        const struct ss_chunk *chunk = &model->chunks[stage][--at];
        if (chunk->state == SS_CHUNK_RESIDENT)
            pages -= chunk->pages < pages ? chunk->pages : pages;
    }
    return at;
}

static void note_waste(struct ss_controller *controller, struct ss_model *model, uint64_t bytes)
{
    uint64_t wasted = bytes < model->guessed_bytes ? bytes : model->guessed_bytes;
    model->guessed_bytes -= wasted;
    ss_trust_judge(controller, model, wasted, false);
    controller->guess_wasted_bytes += wasted * (uint64_t)controller->tp;
}

bool ss_weights_drop(struct ss_controller *controller, uint16_t index, const uint32_t *pages)
{
    struct ss_model *model = &controller->models[index];
    uint64_t bytes_before = model->bytes_in[SS_CHUNK_RESIDENT];
    bool copy_back = controller->emulate.copy_back;
    if ((copy_back && !ss_operation_fits(controller, 1)) ||
        !ss_outbox_fits(
            &controller->outbox, 1,
            ss_outbox_bytes(model->chunks_in[SS_CHUNK_RESIDENT], sizeof(struct ss_placement))))
        return false;
    struct ss_placement *placements = ss_outbox_array(
        &controller->outbox, model->chunks_in[SS_CHUNK_RESIDENT], sizeof *placements);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_DROP);
    entry->model = index;
    entry->copy_back = copy_back;
    entry->placements = placements;
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        for (uint32_t i = pages ? tail_of(model, stage, pages[stage]) : 0;
             i < model->chunk_count[stage]; i++) {
            const struct ss_chunk *chunk = &model->chunks[stage][i];
            if (chunk->state != SS_CHUNK_RESIDENT)
                continue;
            placements[entry->placement_count++] =
                (struct ss_placement){.stage = stage, .chunk = (uint16_t)i, .page = chunk->page};
            ss_chunk_set(controller, index, stage, i,
                         copy_back ? SS_CHUNK_DROPPING : SS_CHUNK_ABSENT);
        }
    SS_ASSERT(entry->placement_count > 0);
    if (copy_back)
        ss_operation_start(controller, entry->number, SS_OPERATION_DROP, index);
    note_waste(controller, model, bytes_before - model->bytes_in[SS_CHUNK_RESIDENT]);
    model->drops++;
    controller->drop_count++;
    return true;
}

/* What has moved of the chunks that a cancelled guess was moving is lost. */
static void note_unfinished(struct ss_controller *controller, const struct ss_load *load)
{
    for (uint16_t stage = 0; load->guess && stage < controller->pp; stage++) {
        if (load->parts[stage].ready == load->parts[stage].count)
            continue;
        uint64_t bytes =
            (uint64_t)(ss_link_moved_ns(controller, load, stage) / controller->byte_ns[stage]);
        controller->guess_bytes += bytes * (uint64_t)controller->tp;
        controller->guess_wasted_bytes += bytes * (uint64_t)controller->tp;
    }
}

bool ss_weights_cancel(struct ss_controller *controller, struct ss_load *load)
{
    if (!ss_outbox_fits(&controller->outbox, 1, 0))
        return false;
    ss_outbox_send(&controller->outbox, SS_ENTRY_CANCEL)->target = load->number;
    load->cancelled = true;
    note_unfinished(controller, load);
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        const struct ss_load_part *part = &load->parts[stage];
        for (uint32_t i = part->ready; i < part->count; i++) {
            struct ss_chunk *chunk =
                &controller->models[load->model].chunks[stage][part->chunks[i]];
            if (chunk->state == SS_CHUNK_LOADING)
                ss_pool_set_leaving(&controller->pools[stage], chunk->page, true);
        }
    }
    return true;
}
