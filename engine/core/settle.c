#include "engine/core/settle.h"

#include "engine/core/link.h"
#include "engine/core/model.h"
#include "engine/core/watch.h"

void ss_settle_report(struct ss_controller *controller, uint64_t number, uint32_t rank,
                      uint32_t count, bool ended)
{
    for (struct ss_load *load = ss_link_next_load(controller, 0); load;
         load = ss_link_next_load(controller, load)) {
        if (load->number != number)
            continue;
        const struct ss_load_part *part = &load->parts[rank / (uint32_t)controller->tp];
        /* A late report says less than one before it; what a rank once had, it has. */
        if (count > part->count)
            count = part->count;
        if (count > load->counts[rank])
            load->counts[rank] = count;
        load->ended[rank] |= ended;
        load->changed = true;
        return;
    }
}

/* The chunks that became whole on all ranks of the stage; also how fast they came. */
static void raise_ready(struct ss_controller *controller, struct ss_load *load, uint16_t stage,
                        uint32_t ready)
{
    struct ss_load_part *part = &load->parts[stage];
    uint64_t bytes = 0;
    for (uint32_t i = part->ready; i < ready; i++) {
        uint16_t chunk = part->chunks[i];
        bytes += controller->models[load->model].chunks[stage][chunk].bytes;
        ss_chunk_set(controller, load->model, stage, chunk, SS_CHUNK_RESIDENT);
    }
    if (ready == part->ready)
        return;
    if (load->guess) {
        controller->models[load->model].guessed_bytes += bytes;
        controller->guess_bytes += bytes * (uint64_t)controller->tp;
    }
    uint64_t took_ns = controller->now_ns - part->ready_ns;
    ss_link_learn(controller, load, stage, (double)bytes, (double)took_ns);
    part->bytes_left -= bytes;
    part->ready = ready;
    part->ready_ns = controller->now_ns;
}

static uint32_t ready_of(const struct ss_controller *controller, const struct ss_load *load,
                         uint16_t stage, bool *all_ended)
{
    uint32_t ready = load->parts[stage].count;
    *all_ended = true;
    for (int tp = 0; tp < controller->tp; tp++) {
        uint32_t rank = (uint32_t)(stage * controller->tp + tp);
        if (load->counts[rank] < ready)
            ready = load->counts[rank];
        *all_ended &= load->ended[rank];
    }
    return ready;
}

/* The first rank of the stage that has not all chunks of its part. */
static uint32_t first_short(const struct ss_controller *controller, const struct ss_load *load,
                            uint16_t stage)
{
    uint32_t rank = (uint32_t)(stage * controller->tp);
    while (load->counts[rank] == load->parts[stage].count)
        rank++;
    return rank;
}

/* Forgets the chunks of a stage that the load did not bring everywhere. Ranks count those that they
 * hold, so they are told of all. */
static void drop_rest(struct ss_controller *controller, struct ss_load *load, uint16_t stage)
{
    struct ss_load_part *part = &load->parts[stage];
    uint32_t rest = part->count - part->ready;
    if (rest == 0)
        return;
    struct ss_placement *placements =
        ss_outbox_array(&controller->outbox, rest, sizeof *placements);
    struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_DROP);
    entry->model = load->model;
    entry->placements = placements;
    for (uint32_t i = part->ready; i < part->count; i++) {
        uint16_t chunk = part->chunks[i];
        placements[entry->placement_count++] = (struct ss_placement){
            .stage = stage,
            .chunk = chunk,
            .page = controller->models[load->model].chunks[stage][chunk].page};
        ss_chunk_set(controller, load->model, stage, chunk, SS_CHUNK_ABSENT);
    }
}

/* False where no entry can be sent now: it stays changed. */
static bool settle(struct ss_controller *controller, struct ss_load *load)
{
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        struct ss_load_part *part = &load->parts[stage];
        bool all_ended;
        uint32_t ready = ready_of(controller, load, stage, &all_ended);
        if (part->settled)
            continue;
        raise_ready(controller, load, stage, ready);
        if (!all_ended)
            continue;
        if (ready < part->count &&
            !ss_outbox_fits(&controller->outbox, 1,
                            ss_outbox_bytes(part->count - ready, sizeof(struct ss_placement))))
            return false;
        if (ready < part->count && !load->cancelled) {
            ss_watch_lose(controller, SS_LOSS_LOAD, first_short(controller, load, stage),
                          load->number);
            return false;
        }
        drop_rest(controller, load, stage);
        part->settled = true;
        load->stages_left--;
    }
    load->changed = false;
    if (load->stages_left > 0)
        return true;
    struct ss_model *model = &controller->models[load->model];
    model->load = SS_NONE;
    if (!load->guess) {
        model->loaded_ns = controller->now_ns;
        model->load_ns = controller->now_ns - load->sent_ns;
    }
    if (!load->cancelled && !load->guess)
        ss_link_note_load(controller, load, model->load_ns);
    load->number = 0;
    controller->loads_now--;
    return true;
}

void ss_settle_loads(struct ss_controller *controller)
{
    for (struct ss_load *load = ss_link_next_load(controller, 0); load;
         load = ss_link_next_load(controller, load))
        if (load->changed && !settle(controller, load))
            return;
}
