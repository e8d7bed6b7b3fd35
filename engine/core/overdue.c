#include "engine/core/overdue.h"

#include "engine/core/head.h"
#include "engine/core/precedence.h"

static uint64_t later(uint64_t at_ns, uint64_t by_ns)
{
    return at_ns < UINT64_MAX - by_ns ? at_ns + by_ns : UINT64_MAX;
}

/* When the model is, was or will be overdue, if nothing of it is served; UINT64_MAX: never. What
 * was overdue when its last turn began, and still is, goes behind all that stood in line then. */
static uint64_t overdue_at(const struct ss_controller *controller, const struct ss_model *model)
{
    uint64_t at_ns = UINT64_MAX;
    for (int class = 0; class < SS_CLASSES; class ++) {
        uint64_t age_ns = ss_precedence_age_ns(controller, (enum ss_class) class), class_ns;
        uint32_t oldest = model->queue[class].first;
        if (oldest != SS_NONE) {
            class_ns = later(controller->sequences[oldest].arrived_ns, age_ns);
            at_ns = class_ns < at_ns ? class_ns : at_ns;
        }
        if (model->live[class].first != SS_NONE && model->flights == 0) {
            class_ns = later(model->last_batch_ns, age_ns);
            at_ns = class_ns < at_ns ? class_ns : at_ns;
        }
    }
    return at_ns <= model->turn_taken_ns ? model->turn_ended_ns : at_ns;
}

void ss_overdue_note(struct ss_controller *controller, uint16_t index)
{
    struct ss_deadlines *line = &controller->line;
    if (controller->limits.overdue_ns == 0)
        return;
    uint64_t at_ns = index == controller->turn_model
                         ? UINT64_MAX
                         : overdue_at(controller, &controller->models[index]);
    if (line->place_of[index] != 0 && line->at_ns[index] == at_ns)
        return;
    ss_deadlines_remove(line, index);
    if (at_ns != UINT64_MAX)
        ss_deadlines_add(line, index, at_ns);
}

/* A turn is worth its load: it lasts for as long at least. */
static uint64_t turn_ends_at(const struct ss_controller *controller, const struct ss_model *model)
{
    uint64_t quantum_ns = controller->limits.quantum_ns;
    return later(controller->turn_began_ns,
                 quantum_ns > model->load_ns ? quantum_ns : model->load_ns);
}

static bool is_over(const struct ss_controller *controller, const struct ss_model *model)
{
    if (ss_head_of(controller, model) == SS_NONE)
        return true; /* no work, or no slot for it: others go on until there is one */
    if (!controller->turn_has_progressed)
        return false;
    bool idle =
        model->stuck && model->flights == 0; /* what it lacks is kept for the next in line */
    return idle || controller->now_ns >= turn_ends_at(controller, model);
}

static void begin(struct ss_controller *controller, uint32_t index)
{
    ss_deadlines_remove(&controller->line, index);
    controller->turn_model = index;
    controller->models[index].turn_taken_ns = controller->now_ns;
    controller->turn_began_ns = UINT64_MAX;
    controller->turn_has_progressed = false;
    controller->turn_balance_ns = 0;
}

static void send_back(struct ss_controller *controller, uint32_t index)
{
    controller->models[index].turn_ended_ns = controller->now_ns;
    ss_overdue_note(controller, (uint16_t)index);
}

void ss_overdue_decide(struct ss_controller *controller)
{
    uint32_t index;
    if (controller->limits.overdue_ns == 0)
        return;
    if (controller->turn_model != SS_NONE &&
        is_over(controller, &controller->models[controller->turn_model])) {
        index = controller->turn_model;
        controller->turn_model = SS_NONE;
        send_back(controller, index);
    }
    uint64_t next_ns = ss_deadlines_first(&controller->line, &index);
    while (controller->turn_model == SS_NONE && next_ns <= controller->now_ns) {
        struct ss_model *model = &controller->models[index];
        if (ss_head_of(controller, model) != SS_NONE)
            begin(controller, index);
        else if (model->turn_ended_ns == controller->now_ns)
            break; /* none in line has a slot */
        else {
            model->turn_taken_ns = controller->now_ns;
            send_back(controller, index);
        }
        next_ns = ss_deadlines_first(&controller->line, &index);
    }
    if (controller->turn_model != SS_NONE && controller->turn_began_ns != UINT64_MAX) {
        uint64_t ends_ns = turn_ends_at(controller, &controller->models[controller->turn_model]);
        if (next_ns <= controller->now_ns || ends_ns < next_ns)
            next_ns = ends_ns;
    }
    if (next_ns > controller->now_ns && next_ns < controller->wake_ns)
        controller->wake_ns = next_ns;
}

static void start_clock(struct ss_controller *controller)
{
    if (controller->turn_began_ns != UINT64_MAX)
        return;
    controller->turn_began_ns = controller->now_ns;
    controller->turn_balance_ns = 0;
}

void ss_overdue_step_over(struct ss_controller *controller, uint16_t index)
{
    controller->models[index].last_batch_ns = controller->now_ns;
    if (index == controller->turn_model)
        start_clock(controller);
    ss_overdue_note(controller, index);
}

void ss_overdue_served(struct ss_controller *controller, uint16_t index, bool gets_on)
{
    if (index == controller->turn_model) {
        if (controller->models[index].chunks_in[SS_CHUNK_LOADING] == 0)
            start_clock(controller);
        controller->turn_has_progressed |= gets_on;
    }
    ss_overdue_note(controller, index);
}

bool ss_overdue_waits(const struct ss_controller *controller)
{
    uint32_t index;
    return controller->turn_model != SS_NONE &&
           ss_deadlines_first(&controller->line, &index) <= controller->now_ns;
}

int ss_overdue_rank(const struct ss_controller *controller, uint16_t model)
{
    uint32_t next = SS_NONE;
    if (model == controller->turn_model)
        return 0;
    return ss_deadlines_first(&controller->line, &next) <= controller->now_ns && next == model ? 1
                                                                                               : 2;
}
