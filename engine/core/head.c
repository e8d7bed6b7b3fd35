#include "engine/core/head.h"

#include "engine/core/precedence.h"

uint32_t ss_head_queued(const struct ss_controller *controller, const struct ss_model *model)
{
    return ss_precedence_first(controller, model->queue);
}

uint32_t ss_head_of(const struct ss_controller *controller, const struct ss_model *model)
{
    uint32_t live = ss_precedence_first(controller, model->live);
    uint32_t queued = ss_head_queued(controller, model);
    if (queued != SS_NONE &&
        (live == SS_NONE ||
         ss_precedence_of(controller, queued) < ss_precedence_of(controller, live)) &&
        ss_head_may_open(controller, queued))
        return queued;
    return live;
}

uint64_t ss_head_precedence(const struct ss_controller *controller, const struct ss_model *model,
                            uint32_t head)
{
    uint64_t first = head == SS_NONE ? SS_NO_ORDER : ss_precedence_of(controller, head);
    uint64_t wanted = model->wanted_order;
    if (wanted != SS_NO_ORDER)
        wanted = ss_precedence_of_class(controller, SS_CLASS_NORMAL, wanted);
    return first < wanted ? first : wanted;
}

void ss_head_keep_slot(struct ss_controller *controller)
{
    const uint64_t behind = UINT64_C(1) << (SS_LEVEL_SHIFT - 1);
    uint64_t first = UINT64_MAX;
    controller->slot_next = SS_NONE;
    if (controller->free_slot_count != 1)
        return;
    for (uint32_t i = controller->first_active; i != SS_NONE;
         i = controller->models[i].active_next) {
        const struct ss_model *model = &controller->models[i];
        if (model->queued == 0)
            continue;
        uint32_t index = ss_head_queued(controller, model);
        uint64_t order = ss_precedence_of(controller, index);
        if (model->running > 0) {
            uint64_t level = ss_level_of(order);
            /* Its turn makes it no more urgent than others that are overdue. */
            level = level < SS_LEVEL_OVERDUE ? SS_LEVEL_OVERDUE : level;
            order = ss_precedence_at(level, controller->sequences[index].order) + behind;
        }
        if (order >= first)
            continue;
        first = order;
        controller->slot_next = index;
    }
}

bool ss_head_may_open(const struct ss_controller *controller, uint32_t index)
{
    return controller->free_slot_count > 1 ||
           (controller->free_slot_count == 1 && controller->slot_next == index);
}
