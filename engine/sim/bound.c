#include "engine/sim/bound.h"

#include "engine/base/assert.h"
#include "engine/base/memory.h"
#include "engine/sim/bound_loads.h"

/* A stage's time for a prompt that is cut into SLICES (none: one row), and for it as a whole. */
static double prompt_s(const struct ss_step_cost *cost, uint32_t tokens, uint32_t slices)
{
    double floor_ns = (double)slices * (double)cost->weights_ns;
    double rows_ns = (double)tokens * cost->row_ns;
    return 1e-9 * ((double)slices * (double)cost->fixed_ns +
                   (rows_ns > floor_ns ? rows_ns : floor_ns) + (double)tokens * cost->context_ns);
}

static uint32_t slices_min(const struct ss_bound_machine *machine,
                           const struct ss_bound_request *request)
{
    uint32_t rows = machine->controller->limits.step_tokens_max;
    return (request->prompt_tokens + rows - 1) / rows;
}

/* From the prompt's first row to the first sample's hop or report. */
static double first_sample_s(const struct ss_bound_machine *machine,
                             const struct ss_bound_request *request)
{
    const struct ss_step_cost *cost = machine->controller->models[request->model].cost;
    int pp = machine->controller->pp;
    uint32_t slices = slices_min(machine, request);
    double whole = 0, rows = 0, cut = 0;
    for (int stage = 0; stage < pp; stage++) {
        whole += prompt_s(&cost[stage], request->prompt_tokens, 1);
        rows += prompt_s(&cost[stage], 1, 1);
    }
    for (int stage = 0; stage < pp; stage++) {
        double path = rows - prompt_s(&cost[stage], 1, 1) +
                      prompt_s(&cost[stage], request->prompt_tokens, slices < 2 ? 2 : slices);
        cut = path > cut ? path : cut;
    }
    return (slices < 2 && whole < cut ? whole : cut) + (pp - 1) * machine->hop_s;
}

/* All samples after the first. */
static double later_samples_s(const struct ss_bound_machine *machine,
                              const struct ss_bound_request *request)
{
    const struct ss_step_cost *cost = machine->controller->models[request->model].cost;
    double steps = request->output_tokens - 1.0, seconds = 0;
    double context = steps * (request->prompt_tokens + (request->output_tokens) / 2.0);
    for (int stage = 0; stage < machine->controller->pp; stage++) {
        double row_ns = cost[stage].row_ns, floor_ns = (double)cost[stage].weights_ns;
        seconds +=
            1e-9 *
            (steps * ((double)cost[stage].fixed_ns + (row_ns > floor_ns ? row_ns : floor_ns)) +
             context * cost[stage].context_ns);
    }
    int hops = machine->controller->pp > 1 ? machine->controller->pp : 0; /* one stage: none */
    return seconds + steps * hops * machine->hop_s;
}

double ss_bound_warm_s(const struct ss_bound_machine *machine,
                       const struct ss_bound_request *request)
{
    return first_sample_s(machine, request) + later_samples_s(machine, request) + machine->report_s;
}

/* What lies between the last byte of a stage and the first sample, at least. */
static double after_stage_s(const struct ss_bound_machine *machine, uint32_t model, int stage)
{
    const struct ss_step_cost *cost = machine->controller->models[model].cost;
    double seconds = 0;
    for (int later = stage + 1; later < machine->controller->pp; later++)
        seconds += prompt_s(&cost[later], 1, 1) + machine->hop_s;
    return seconds;
}

static double stage_load_s(const struct ss_bound_machine *machine, uint32_t index, int stage,
                           double *bytes)
{
    const struct ss_controller_model *model = &machine->controller->models[index];
    uint64_t pieces = 0;
    *bytes = 0;
    for (uint32_t i = 0; i < model->chunk_count[stage]; i++) {
        uint64_t chunk = model->chunk_bytes[stage][i];
        *bytes += (double)chunk;
        if (machine->piece_bytes > 0)
            pieces += (chunk + machine->piece_bytes - 1) / machine->piece_bytes;
    }
    return *bytes / machine->link_bytes_per_s + (double)pieces * machine->piece_s;
}

/* Stage PP stands for the whole group. */
static double resource_load_s(const struct ss_bound_machine *machine, uint32_t model, int stage,
                              double *bytes)
{
    int pp = machine->controller->pp;
    double longest = 0, all = 0;
    if (stage < pp)
        return stage_load_s(machine, model, stage, bytes);
    for (int at = 0; at < pp; at++) {
        double load = stage_load_s(machine, model, at, bytes);
        longest = load > longest ? load : longest;
        all += *bytes * machine->controller->tp;
    }
    *bytes = all;
    return all / machine->total_bytes_per_s;
}

double ss_bound_load_s(const struct ss_bound_machine *machine, uint32_t model)
{
    double longest = 0, bytes;
    int resources = machine->controller->pp + (machine->total_bytes_per_s > 0 ? 1 : 0);
    for (int stage = 0; stage < resources; stage++) {
        double load = resource_load_s(machine, model, stage, &bytes);
        longest = load > longest ? load : longest;
    }
    return longest;
}

static double pool_bytes(const struct ss_bound_machine *machine, int stage)
{
    const struct ss_controller_options *controller = machine->controller;
    double pages = 0;
    for (int at = 0; at < controller->pp; at++)
        if (stage == controller->pp)
            pages += (double)controller->pool_pages[at] * controller->tp;
        else if (stage == at)
            pages += controller->pool_pages[at];
    return pages * (double)controller->page_bytes;
}

/* The sum of what loads add, by one resource. */
static enum ss_status waits_for(const struct ss_bound_machine *machine, int stage,
                                const struct ss_bound_request *requests, size_t count,
                                double effort, double *sum_s)
{
    const struct ss_controller_options *controller = machine->controller;
    double *load_s = 0, *share = 0;
    struct ss_bound_use *uses = 0;
    enum ss_status status =
        ss_alloc(&load_s, controller->model_count, sizeof *load_s, "models of the bound");
    if (status == SS_OK)
        status = ss_alloc(&share, controller->model_count, sizeof *share, "models of the bound");
    if (status == SS_OK)
        status = ss_alloc(&uses, count, sizeof *uses, "uses of the bound");
    if (status != SS_OK)
        goto end;
    for (uint32_t i = 0; i < controller->model_count; i++) {
        double bytes;
        load_s[i] = resource_load_s(machine, i, stage, &bytes);
        share[i] = bytes / pool_bytes(machine, stage);
    }
    for (size_t i = 0; i < count; i++) {
        int from = stage < controller->pp ? stage : controller->pp - 1;
        uses[i] = (struct ss_bound_use){
            .arrival_s = requests[i].arrival_s,
            .hidden_s = first_sample_s(machine, &requests[i]) -
                        after_stage_s(machine, requests[i].model, from),
            .model = requests[i].model,
        };
    }
    struct ss_bound_link link = {
        .model_count = controller->model_count, .load_s = load_s, .pool_share = share};
    status = ss_bound_loads(&link, uses, count, effort, sum_s);
end:
    ss_free(load_s);
    ss_free(share);
    ss_free(uses);
    return status;
}

/* Times left of jobs in one machine, the shortest on top. */
struct heap {
    double *left_s;
    size_t count;
};

static void sift(struct heap *heap, size_t at)
{
    double value = heap->left_s[at];
    while (at > 0 && heap->left_s[(at - 1) / 2] > value) {
        heap->left_s[at] = heap->left_s[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    for (size_t child = 2 * at + 1; child < heap->count; child = 2 * at + 1) {
        child += child + 1 < heap->count && heap->left_s[child + 1] < heap->left_s[child];
        if (heap->left_s[child] >= value)
            break;
        heap->left_s[at] = heap->left_s[child];
        at = child;
    }
    heap->left_s[at] = value;
}

/* The request's part of a stage's time: of its weights' reading, or of the arithmetic. */
static double part_s(const struct ss_bound_machine *machine, const struct ss_bound_request *request,
                     int stage, bool arithmetic)
{
    const struct ss_controller_model *model = &machine->controller->models[request->model];
    const struct ss_step_cost *cost = &model->cost[stage];
    double steps = (double)slices_min(machine, request) + request->output_tokens - 1.0;
    double rows = (double)request->prompt_tokens + request->output_tokens - 1.0;
    double later = request->output_tokens - 1.0;
    double context =
        request->prompt_tokens + later * (request->prompt_tokens + request->output_tokens / 2.0);
    double ns = steps * (double)cost->fixed_ns / model->batch_max + context * cost->context_ns;
    ns += arithmetic ? rows * cost->row_ns : steps * (double)cost->weights_ns / model->batch_max;
    return 1e-9 * ns;
}

/* The least sum of latencies by a stage's time alone: shortest remaining time first. */
static double compute_sum_s(const struct ss_bound_machine *machine, int stage, bool arithmetic,
                            const struct ss_bound_request *requests, size_t count,
                            struct heap *heap)
{
    double now_s = 0, sum_s = 0;
    size_t next = 0;
    heap->count = 0;
    while (next < count || heap->count > 0) {
        if (heap->count == 0 && requests[next].arrival_s > now_s)
            now_s = requests[next].arrival_s;
        while (next < count && requests[next].arrival_s <= now_s) {
            const struct ss_bound_request *request = &requests[next++];
            heap->left_s[heap->count++] = part_s(machine, request, stage, arithmetic);
            sift(heap, heap->count - 1);
            sum_s += machine->report_s + after_stage_s(machine, request->model, stage) -
                     request->arrival_s;
        }
        double end_s = now_s + heap->left_s[0];
        if (next < count && requests[next].arrival_s < end_s) {
            heap->left_s[0] = end_s - requests[next].arrival_s;
            now_s = requests[next].arrival_s;
            continue;
        }
        now_s = end_s;
        sum_s += end_s;
        heap->left_s[0] = heap->left_s[--heap->count];
        if (heap->count > 0)
            sift(heap, 0);
    }
    return sum_s;
}

static enum ss_status best_compute_sum(const struct ss_bound_machine *machine,
                                       const struct ss_bound_request *requests, size_t count,
                                       double *sum_s)
{
    struct heap heap = {0};
    enum ss_status status =
        ss_alloc(&heap.left_s, count, sizeof *heap.left_s, "requests of the bound");
    if (status != SS_OK)
        return status;
    *sum_s = 0;
    for (int stage = 0; stage < machine->controller->pp; stage++)
        for (int arithmetic = 0; arithmetic < 2; arithmetic++) {
            double sum = compute_sum_s(machine, stage, arithmetic == 1, requests, count, &heap);
            *sum_s = sum > *sum_s ? sum : *sum_s;
        }
    ss_free(heap.left_s);
    return SS_OK;
}

enum ss_status ss_bound_of(const struct ss_bound_machine *machine,
                           const struct ss_bound_request *requests, size_t count, double effort,
                           struct ss_bound *out)
{
    double warm_s = 0, first_s = 0, load_s = 0, loads_s = 0, compute_s;
    *out = (struct ss_bound){0};
    if (count == 0)
        return SS_OK;
    for (size_t i = 0; i < count; i++) {
        SS_ASSERT(requests[i].model < machine->controller->model_count);
        SS_ASSERT(i == 0 || requests[i - 1].arrival_s <= requests[i].arrival_s);
        warm_s += ss_bound_warm_s(machine, &requests[i]);
        first_s += first_sample_s(machine, &requests[i]) + machine->report_s;
        load_s += ss_bound_load_s(machine, requests[i].model);
    }
    enum ss_status status = best_compute_sum(machine, requests, count, &compute_s);
    int resources = machine->controller->pp + (machine->total_bytes_per_s > 0 ? 1 : 0);
    for (int stage = 0; stage < resources && status == SS_OK; stage++) {
        double sum;
        status = waits_for(machine, stage, requests, count, effort, &sum);
        if (status == SS_OK && sum > loads_s)
            loads_s = sum;
    }
    if (status != SS_OK)
        return status;
    double n = (double)count, both_s = warm_s + loads_s;
    *out = (struct ss_bound){
        .mean_s = (both_s > compute_s ? both_s : compute_s) / n,
        .first_mean_s = (first_s + loads_s) / n,
        .warm_mean_s = warm_s / n,
        .loads_mean_s = loads_s / n,
        .compute_mean_s = compute_s / n,
        .load_mean_s = load_s / n,
    };
    return SS_OK;
}
