#include "engine/core/model.h"

#include "engine/core/trust.h"

static void list_resident(struct ss_controller *controller, uint16_t index)
{
    struct ss_model *model = &controller->models[index];
    uint32_t total = 0;
    for (int state = 0; state < SS_CHUNK_STATES; state++)
        total += model->chunks_in[state];
    bool listed = model->chunks_in[SS_CHUNK_ABSENT] < total;
    if (listed == model->listed)
        return;
    model->listed = listed;
    if (listed) {
        model->resident_previous = SS_NONE;
        model->resident_next = controller->first_resident;
        if (model->resident_next != SS_NONE)
            controller->models[model->resident_next].resident_previous = index;
        controller->first_resident = index;
        return;
    }
    if (model->resident_previous != SS_NONE)
        controller->models[model->resident_previous].resident_next = model->resident_next;
    else
        controller->first_resident = model->resident_next;
    if (model->resident_next != SS_NONE)
        controller->models[model->resident_next].resident_previous = model->resident_previous;
}

/* What runs, or could without a load: few, however many wait. */
static void list_engaged(struct ss_controller *controller, uint16_t index)
{
    struct ss_model *model = &controller->models[index];
    bool there = model->chunks_in[SS_CHUNK_ABSENT] == 0 && model->chunks_in[SS_CHUNK_DROPPING] == 0;
    bool engaged = model->running > 0 || (model->active && there);
    if (engaged == model->engaged)
        return;
    model->engaged = engaged;
    if (engaged) {
        model->engaged_previous = SS_NONE;
        model->engaged_next = controller->first_engaged;
        if (model->engaged_next != SS_NONE)
            controller->models[model->engaged_next].engaged_previous = index;
        controller->first_engaged = index;
        return;
    }
    if (model->engaged_previous != SS_NONE)
        controller->models[model->engaged_previous].engaged_next = model->engaged_next;
    else
        controller->first_engaged = model->engaged_next;
    if (model->engaged_next != SS_NONE)
        controller->models[model->engaged_next].engaged_previous = model->engaged_previous;
}

bool ss_chunk_may_become(enum ss_chunk_state from, enum ss_chunk_state to)
{
    static const bool legal[SS_CHUNK_STATES][SS_CHUNK_STATES] = {
        [SS_CHUNK_ABSENT] = {[SS_CHUNK_LOADING] = true},
        [SS_CHUNK_LOADING] = {[SS_CHUNK_RESIDENT] = true, [SS_CHUNK_ABSENT] = true},
        [SS_CHUNK_RESIDENT] = {[SS_CHUNK_DROPPING] = true, [SS_CHUNK_ABSENT] = true},
        [SS_CHUNK_DROPPING] = {[SS_CHUNK_ABSENT] = true},
    };
    return legal[from][to];
}

void ss_chunk_set(struct ss_controller *controller, uint16_t model_index, uint16_t stage,
                  uint32_t chunk_index, enum ss_chunk_state state)
{
    struct ss_model *model = &controller->models[model_index];
    struct ss_chunk *chunk = &model->chunks[stage][chunk_index];
    struct ss_pool *pool = &controller->pools[stage];
    SS_ASSERT(ss_chunk_may_become(chunk->state, state));
    controller->chunk_changes[chunk->state][state]++;
    model->chunks_in[chunk->state]--;
    model->bytes_in[chunk->state] -= chunk->bytes;
    model->pages_in[stage][chunk->state] -= chunk->pages;
    chunk->state = (uint8_t)state;
    model->chunks_in[state]++;
    model->bytes_in[state] += chunk->bytes;
    model->pages_in[stage][state] += chunk->pages;
    if (state == SS_CHUNK_ABSENT) {
        ss_pool_release(pool, chunk->page);
    } else {
        ss_pool_set_fixed(pool, chunk->page, state != SS_CHUNK_RESIDENT);
        ss_pool_set_leaving(pool, chunk->page, state == SS_CHUNK_DROPPING);
    }
    list_resident(controller, model_index);
    list_engaged(controller, model_index);
}

static void list_active(struct ss_controller *controller, uint16_t index)
{
    struct ss_model *model = &controller->models[index];
    bool active = model->queued > 0 || model->running > 0 || model->wanted_order != SS_NO_ORDER ||
                  model->drop_wanted;
    if (active == model->active)
        return;
    model->active = active;
    controller->active_count += active ? 1 : -1u;
    if (active) {
        model->active_previous = SS_NONE;
        model->active_next = controller->first_active;
        if (model->active_next != SS_NONE)
            controller->models[model->active_next].active_previous = index;
        controller->first_active = index;
        return;
    }
    if (model->active_previous != SS_NONE)
        controller->models[model->active_previous].active_next = model->active_next;
    else
        controller->first_active = model->active_next;
    if (model->active_next != SS_NONE)
        controller->models[model->active_next].active_previous = model->active_previous;
}

/* To the front of those that had requests. */
static void note_recent(struct ss_controller *controller, uint16_t index)
{
    struct ss_model *models = controller->models, *model = &models[index];
    if (controller->first_recent == index)
        return;
    if (model->arrivals.count > 0) {
        models[model->recent_previous].recent_next = model->recent_next;
        if (model->recent_next != SS_NONE)
            models[model->recent_next].recent_previous = model->recent_previous;
    }
    model->recent_previous = SS_NONE;
    model->recent_next = controller->first_recent;
    if (model->recent_next != SS_NONE)
        models[model->recent_next].recent_previous = index;
    controller->first_recent = index;
}

void ss_model_note_work(struct ss_controller *controller, uint16_t index)
{
    list_active(controller, index);
    list_engaged(controller, index);
}

void ss_model_note_arrival(struct ss_controller *controller, uint16_t index)
{
    struct ss_model *model = &controller->models[index];
    if (controller->arrivals++ == 0)
        controller->first_arrival_ns = controller->now_ns;
    controller->last_arrival_ns = controller->now_ns;
    controller->models_seen += model->arrivals.count == 0;
    note_recent(controller, index);
    model->put_away = false;
    ss_arrivals_note(&model->arrivals, controller->first_arrival_ns, controller->now_ns);
    ss_trust_judge(controller, model, model->guessed_bytes, true);
    controller->guess_hit_bytes += model->guessed_bytes * (uint64_t)controller->tp;
    model->guessed_bytes = 0;
}

bool ss_model_is_finishing(const struct ss_controller *controller, const struct ss_model *model)
{
    if (model->queued > 0 || model->running == 0)
        return false;
    for (int class = 0; class < SS_CLASSES; class ++)
        for (uint32_t i = model->live[class].first; i != SS_NONE; i = controller->sequences[i].next)
            if (controller->sequences[i].issued < controller->sequences[i].tokens_max)
                return false;
    return true;
}

double ss_model_answer_ns(const struct ss_model *model)
{
    return model->completed > 0 ? (double)model->answers_ns / (double)model->completed : 0;
}

uint32_t ss_model_absent_pages(const struct ss_model *model, uint16_t stage, uint32_t end)
{
    uint32_t pages = 0;
    for (uint32_t i = 0; i < end; i++)
        if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
            pages += model->chunks[stage][i].pages;
    return pages;
}
