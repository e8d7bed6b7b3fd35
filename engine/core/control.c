#include "engine/core/control.h"

#include "engine/core/model.h"
#include "engine/core/weights.h"

static void answer(struct ss_controller *controller, uint64_t handle, bool ok)
{
    ss_outbox_outcome(
        &controller->outbox,
        (struct ss_outcome){.kind = SS_ACTION_CONTROL_DONE, .request = handle, .ok = ok});
}

static void refuse_for_number(struct ss_controller *controller, uint64_t handle)
{
    ss_outbox_outcome(&controller->outbox, (struct ss_outcome){.kind = SS_ACTION_CONTROL_DONE,
                                                               .request = handle,
                                                               .reason = SS_END_OVERLOADED});
}

static struct ss_control *free_control(struct ss_controller *controller)
{
    for (int i = 0; i < SS_CONTROLS_MAX; i++)
        if (!controller->controls[i].used)
            return &controller->controls[i];
    return 0;
}

static bool has_work(const struct ss_model *model)
{
    return model->queued + model->running > 0;
}

void ss_control_take(struct ss_controller *controller, const struct ss_event *event)
{
    struct ss_model *model = &controller->models[event->model];
    struct ss_control *control = free_control(controller);
    bool drop = event->kind == SS_EVENT_WANT_DROP;
    bool refused = drop ? model->pinned || model->wanted_order != SS_NO_ORDER || has_work(model)
                        : model->drop_wanted;
    if (refused || controller->draining || controller->lost) {
        answer(controller, event->request, false);
        return;
    }
    if (!control) {
        refuse_for_number(controller, event->request);
        return;
    }
    *control = (struct ss_control){
        .handle = event->request, .model = event->model, .used = true, .drop = drop};
    controller->controls_now++;
    if (drop)
        model->drop_wanted = true;
    else if (model->wanted_order == SS_NO_ORDER)
        model->wanted_order = controller->next_order++;
    ss_model_note_work(controller, event->model);
}

static void finish(struct ss_controller *controller, struct ss_control *control, bool ok)
{
    answer(controller, control->handle, ok);
    control->used = false;
    controller->controls_now--;
    if (!control->drop)
        return;
    controller->models[control->model].put_away = ok;
    controller->models[control->model].drop_wanted = false;
    for (int i = 0; i < SS_CONTROLS_MAX; i++)
        if (controller->controls[i].used && controller->controls[i].drop &&
            controller->controls[i].model == control->model)
            controller->models[control->model].drop_wanted = true;
    ss_model_note_work(controller, control->model);
}

/* Requests that came after an operator's drop go first: the drop is refused. */
static void advance_drop(struct ss_controller *controller, struct ss_control *control)
{
    struct ss_model *model = &controller->models[control->model];
    if (has_work(model)) {
        finish(controller, control, false);
        return;
    }
    if (model->load != SS_NONE || model->chunks_in[SS_CHUNK_DROPPING] > 0)
        return;
    if (model->chunks_in[SS_CHUNK_RESIDENT] > 0 &&
        (!ss_weights_drop(controller, control->model, 0) ||
         model->chunks_in[SS_CHUNK_DROPPING] > 0))
        return;
    finish(controller, control, true);
}

static bool is_resident(const struct ss_controller *controller, const struct ss_model *model)
{
    return ss_model_is_loaded(controller, model) && model->chunks_in[SS_CHUNK_LOADING] == 0;
}

void ss_control_advance(struct ss_controller *controller)
{
    for (int i = 0; controller->controls_now > 0 && i < SS_CONTROLS_MAX; i++) {
        struct ss_control *control = &controller->controls[i];
        if (!control->used)
            continue;
        if (control->drop)
            advance_drop(controller, control);
        else if (is_resident(controller, &controller->models[control->model]))
            finish(controller, control, true);
    }
    for (uint32_t i = controller->first_engaged, next; i != SS_NONE; i = next) {
        struct ss_model *model = &controller->models[i];
        next = model->engaged_next;
        if (model->wanted_order == SS_NO_ORDER || !is_resident(controller, model))
            continue;
        model->wanted_order = SS_NO_ORDER;
        ss_model_note_work(controller, (uint16_t)i);
    }
}

void ss_control_finish_drain(struct ss_controller *controller)
{
    if (!controller->draining || controller->stopped || controller->accepted_now > 0)
        return;
    controller->stopped = true;
    ss_control_refuse_all(controller);
    ss_outbox_outcome(&controller->outbox, (struct ss_outcome){.kind = SS_ACTION_DRAINED});
}

void ss_control_refuse_all(struct ss_controller *controller)
{
    for (int i = 0; i < SS_CONTROLS_MAX; i++)
        if (controller->controls[i].used)
            finish(controller, &controller->controls[i], false);
}
