#include "engine/core/estimate.h"

#include "engine/base/clock.h"

/* Bytes of the model that a rank of the stage does not have yet. */
static uint64_t missing_bytes(const struct ss_controller *controller, const struct ss_model *model,
                              int stage)
{
    uint64_t bytes = 0;
    if (model->load != SS_NONE)
        bytes = controller->loads[model->load].parts[stage].bytes_left;
    if (model->chunks_in[SS_CHUNK_ABSENT] == 0)
        return bytes;
    for (uint32_t i = 0; i < model->chunk_count[stage]; i++)
        if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
            bytes += model->chunks[stage][i].bytes;
    return bytes;
}

static double load_ns(const struct ss_controller *controller, const struct ss_model *model)
{
    uint64_t most = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        uint64_t bytes = missing_bytes(controller, model, stage);
        most = bytes > most ? bytes : most;
    }
    if (controller->bytes_per_s_max == 0)
        return 0;
    return (double)most * (double)SS_NS_PER_S / (double)controller->bytes_per_s_max;
}

/* A step of one row, through all stages and on the slowest. */
static double step_ns(const struct ss_controller *controller, const struct ss_model *model,
                      double *slowest)
{
    double sum = 0;
    *slowest = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        double ns = (double)ss_step_cost_ns(&model->cost[stage], 1, 0);
        sum += ns;
        *slowest = ns > *slowest ? ns : *slowest;
    }
    return sum;
}

uint64_t ss_estimate_least_ns(const struct ss_controller *controller, const struct ss_event *event)
{
    const struct ss_model *model = &controller->models[event->model];
    double slowest, through = step_ns(controller, model, &slowest), prompt = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        double ns = (double)ss_step_cost_ns(&model->cost[stage], event->prompt_tokens, 0);
        prompt = ns > prompt ? ns : prompt;
    }
    uint32_t batches = model->queue[event->class].count / model->batch_max;
    double ahead = batches * slowest;
    uint32_t tokens = event->min_tokens > 1 ? event->min_tokens : 1;
    double first = ahead + (prompt - slowest) + through, rest = (tokens - 1) * through;
    if (model->cost_is_learnt) {
        first /= 2;
        rest /= 2;
    }
    /* The first step computes beside the load. */
    double load = load_ns(controller, model);
    return (uint64_t)((load > first ? load : first) + rest);
}
