#include "engine/core/step_bound.h"

#include "engine/core/link.h"

uint64_t ss_step_bound_ns(const struct ss_controller *controller, const struct ss_model *model,
                          const struct ss_step_load *load)
{
    uint64_t longest = 0;
    for (int stage = 0; stage < controller->pp; stage++) {
        uint64_t ns = ss_step_cost_ns(&model->cost[stage], load->rows, load->context);
        longest = ns > longest ? ns : longest;
    }
    return longest;
}

/* A step that follows its load waits for the link anyway: beside what is still to come it may
 * compute for as long. */
static uint64_t longest_ns(const struct ss_controller *controller, const struct ss_model *model)
{
    uint64_t most = controller->limits.step_time_max_ns;
    if (most == 0 || model->load == SS_NONE || model->chunks_in[SS_CHUNK_LOADING] == 0)
        return most;
    double left = ss_link_busy_ns(controller, controller->loads[model->load].number);
    return left > (double)most ? (uint64_t)left : most;
}

static uint32_t rows_on(const struct ss_step_cost *cost, const struct ss_step_load *load,
                        uint64_t most_ns)
{
    if (cost->row_ns <= 0)
        return UINT32_MAX;
    double beside = (double)load->rows, given = (double)most_ns - (double)cost->fixed_ns;
    given -= (double)load->context * cost->context_ns;
    /* Each row's own token is context too. */
    double rows = (given - beside * cost->row_ns) / (cost->row_ns + cost->context_ns);
    double hidden = (double)cost->weights_ns / cost->row_ns - beside;
    rows = hidden > rows ? hidden : rows;
    if (rows >= (double)UINT32_MAX)
        return UINT32_MAX;
    return rows > 0 ? (uint32_t)rows : 0;
}

uint32_t ss_step_bound_rows(const struct ss_controller *controller, const struct ss_model *model,
                            const struct ss_step_load *load)
{
    uint32_t fewest = UINT32_MAX;
    uint64_t most_ns = longest_ns(controller, model);
    for (int stage = 0; most_ns > 0 && stage < controller->pp; stage++) {
        uint32_t rows = rows_on(&model->cost[stage], load, most_ns);
        fewest = rows < fewest ? rows : fewest;
    }
    return fewest;
}

uint32_t ss_step_bound_hidden_rows(const struct ss_controller *controller,
                                   const struct ss_model *model, const struct ss_step_load *load)
{
    uint32_t fewest = UINT32_MAX;
    for (int stage = 0; stage < controller->pp; stage++) {
        uint32_t rows = rows_on(&model->cost[stage], load, 0);
        fewest = rows < fewest ? rows : fewest;
    }
    return fewest;
}

/* Of what was seen last, a quarter counts: outliers pass, and drifts are followed. */
static double blend(double known, double seen)
{
    return known > 0 ? known + (seen - known) / 4 : seen;
}

void ss_step_bound_learn(struct ss_controller *controller, struct ss_model *model, uint32_t rank,
                         const struct ss_step_load *load, bool decodes_only, uint64_t took_ns)
{
    struct ss_step_cost *cost = &model->cost[rank / (uint32_t)controller->tp];
    if (!model->cost_is_learnt || load->rows == 0)
        return;
    if (decodes_only) {
        cost->weights_ns = (uint64_t)blend((double)cost->weights_ns, (double)took_ns);
        return;
    }
    /* A step that the weights' reading bounds only says that a row costs no more than its share. */
    double row_ns = (double)took_ns / (double)load->rows;
    if (2 * took_ns > 3 * cost->weights_ns)
        cost->row_ns = blend(cost->row_ns, row_ns);
    else if (row_ns < cost->row_ns)
        cost->row_ns = row_ns;
}
