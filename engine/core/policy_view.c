#include "engine/core/policy_view.h"

#include "engine/core/head.h"
#include "engine/core/model.h"

struct ss_policy_context ss_policy_context_of(const struct ss_controller *controller)
{
    struct ss_policy_context context = {
        .on = controller->swap_aware, .now_ns = controller->now_ns, .stages = controller->pp};
    for (int stage = 0; stage < controller->pp; stage++) {
        double page_ns = controller->byte_ns[stage] * (double)controller->page_bytes;
        context.page_ns[stage] = page_ns;
        if (controller->pools[stage].pages * page_ns > context.horizon_ns)
            context.horizon_ns = controller->pools[stage].pages * page_ns;
    }
    if (controller->arrivals > 0)
        context.typical_gap_ns = (double)(controller->now_ns - controller->first_arrival_ns) *
                                 controller->models_seen / (double)controller->arrivals;
    return context;
}

/* Weights of a request by its class. */
static double weight_of(const struct ss_model *model)
{
    static const double weights[SS_CLASSES] = {
        [SS_CLASS_REALTIME] = 4, [SS_CLASS_NORMAL] = 1, [SS_CLASS_BATCH] = 0.25};
    double weight = 0;
    for (int class = 0; class < SS_CLASSES; class ++)
        weight += (model->queue[class].count + model->live[class].count) * weights[class];
    return weight;
}

void ss_policy_view(const struct ss_controller *controller, uint16_t index,
                    struct ss_policy_model *view)
{
    const struct ss_model *model = &controller->models[index];
    bool parted = !ss_model_is_loaded(controller, model) && model->load == SS_NONE;
    uint32_t head = ss_head_of(controller, model);
    /* Field by field, and of the stages only those there are: this is asked for every model that
     * waits, and clearing it all would take as long again. */
    view->model = index;
    view->stuck = model->flights == 0 && (parted || model->stuck);
    view->spare = false;
    view->oldest_order = ss_head_precedence(controller, model, head);
    view->oldest_ns = head == SS_NONE ? controller->now_ns : controller->sequences[head].arrived_ns;
    view->last_used_ns = model->last_used_ns;
    view->last_turn = model->last_turn;
    view->loaded_ns = model->loaded_ns;
    view->load_ns = model->load_ns;
    view->batches_of_stay = model->batches_of_stay;
    for (int stage = 0; stage < controller->pp; stage++) {
        view->missing_pages[stage] = model->pages_in[stage][SS_CHUNK_ABSENT];
        view->resident_pages[stage] = model->pages_in[stage][SS_CHUNK_RESIDENT];
    }
    view->weight = weight_of(model);
    view->hidden_ns = ss_step_cost_ns(&model->cost[0], 1, 0);
    view->arrivals = &model->arrivals;
    view->price = view->share = 0;
}

struct ss_policy_model ss_policy_view_of(const struct ss_controller *controller, uint16_t index)
{
    struct ss_policy_model view;
    ss_policy_view(controller, index, &view);
    return view;
}
