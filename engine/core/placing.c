#include "engine/core/placing.h"

#include "engine/base/clock.h"
#include "engine/core/class_share.h"
#include "engine/core/model.h"
#include "engine/core/room.h"

uint32_t ss_placing_absent_pages(const struct ss_model *model, uint16_t stage, uint32_t end)
{
    uint32_t pages = 0;
    for (uint32_t i = 0; i < end; i++)
        if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
            pages += model->chunks[stage][i].pages;
    return pages;
}

/* Places for the absent chunks of one stage before END, fixed, or none. */
static bool try_place(struct ss_controller *controller, uint16_t index, uint16_t stage,
                      uint32_t end, bool as_before)
{
    struct ss_model *model = &controller->models[index];
    struct ss_pool *pool = &controller->pools[stage];
    for (uint32_t i = 0; i < end; i++) {
        struct ss_chunk *chunk = &model->chunks[stage][i];
        if (chunk->state != SS_CHUNK_ABSENT)
            continue;
        struct ss_page_range range = {.use = SS_PAGE_CHUNK,
                                      .fixed = true,
                                      .holder = index,
                                      .index = i,
                                      .pages = chunk->pages};
        uint32_t page =
            ss_pool_take(pool, range, as_before ? chunk->page : SS_NO_PAGE, SS_PAGES_LOW);
        if (page == SS_NO_PAGE) {
            while (i-- > 0)
                if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
                    ss_pool_release(pool, model->chunks[stage][i].page);
            return false;
        }
        chunk->page = page;
    }
    return true;
}

static void unplace(struct ss_controller *controller, uint16_t index, uint16_t stage, uint32_t end)
{
    const struct ss_model *model = &controller->models[index];
    for (uint32_t i = 0; i < end; i++)
        if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
            ss_pool_release(&controller->pools[stage], model->chunks[stage][i].page);
}

/* Returning chunks like to go where they were: that place is often the one that is free. Where they
 * do not all fit so, they are packed; where free pages are scattered, ranges are moved first. */
static bool place(struct ss_controller *controller, uint16_t index, const uint32_t *end)
{
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        uint32_t need = ss_placing_absent_pages(&controller->models[index], stage, end[stage]);
        if (need == 0 || try_place(controller, index, stage, end[stage], true) ||
            try_place(controller, index, stage, end[stage], false) ||
            (ss_room_compact(controller, stage, need) &&
             try_place(controller, index, stage, end[stage], false)))
            continue;
        while (stage-- > 0)
            unplace(controller, index, stage, end[stage]);
        return false;
    }
    return true;
}

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

/* What is missing of the model keeps the links busy for so long. */
static uint64_t link_ns_of(const struct ss_controller *controller, const struct ss_model *model)
{
    double byte_ns = 0, stages = controller->pp;
    for (int stage = 0; stage < controller->pp; stage++)
        byte_ns += controller->byte_ns[stage] / stages;
    return (uint64_t)((double)model->bytes_in[SS_CHUNK_ABSENT] / stages * byte_ns);
}

bool ss_placing_start_load(struct ss_controller *controller, uint16_t index, const uint32_t *end)
{
    struct ss_model *model = &controller->models[index];
    bool guess = end;
    if (!guess)
        end = model->chunk_count;
    size_t bytes = ss_outbox_bytes(model->chunks_in[SS_CHUNK_ABSENT], sizeof(struct ss_placement));
    if (!ss_outbox_fits(&controller->outbox, 1, bytes) || !place(controller, index, end))
        return false;
    if (!ss_outbox_fits(&controller->outbox, 1, bytes)) { /* moves took it */
        for (uint16_t stage = 0; stage < controller->pp; stage++)
            unplace(controller, index, stage, end[stage]);
        return false;
    }
    if (!guess)
        ss_class_share_load(controller, ss_model_precedence(controller, model),
                            link_ns_of(controller, model));
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
