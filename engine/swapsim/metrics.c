#include "engine/swapsim/metrics.h"

#include "engine/base/memory.h"
#include "engine/serve/costs.h"

const char *ss_end_text(enum ss_end end)
{
    static const char *const texts[SS_END_KINDS] = {
        [SS_END_LENGTH] = "length",
        [SS_END_EOS] = "eos",
        [SS_END_STOP] = "stop",
        [SS_END_CANCELLED] = "cancelled",
        [SS_END_DEADLINE] = "deadline_exceeded",
        [SS_END_OVERLOADED] = "overloaded",
        [SS_END_TOO_LONG] = "too_long",
        [SS_END_DRAINING] = "draining",
        [SS_END_RANK_LOST] = "rank_lost",
    };
    return texts[end];
}

static void learn_cold(const struct ss_catalog *catalog, int index, struct ss_cold_model *out)
{
    double link = (double)ss_costs_link_bytes_per_s(catalog);
    uint64_t largest = 0;
    for (int stage = 0; stage < catalog->pp; stage++) {
        uint64_t bytes = catalog->models[index].images[stage].bytes;
        largest = bytes > largest ? bytes : largest;
        ss_costs_of_stage(catalog, index, stage, &out->stages[stage]);
    }
    out->load_ns = (uint64_t)((double)largest * 1e9 / link);
}

enum ss_status ss_metrics_open(const struct ss_catalog *catalog, double slo_factor, uint64_t slo_ns,
                               struct ss_metrics *out)
{
    struct ss_metrics metrics = {.catalog = catalog, .slo_factor = slo_factor, .slo_ns = slo_ns};
    size_t count = (size_t)catalog->model_count;
    enum ss_status status =
        ss_alloc(&metrics.models, count, sizeof *metrics.models, "the models' metrics");
    if (!status)
        status = ss_alloc(&metrics.cold_models, count, sizeof *metrics.cold_models,
                          "the models' metrics");
    if (status) {
        ss_free(metrics.models);
        return status;
    }
    for (int i = 0; i < catalog->model_count; i++) {
        int alike = catalog->models[i].config->alike;
        if (alike < i)
            metrics.cold_models[i] = metrics.cold_models[alike];
        else
            learn_cold(catalog, i, &metrics.cold_models[i]);
    }
    *out = metrics;
    return SS_OK;
}

void ss_metrics_close(struct ss_metrics *metrics)
{
    ss_histogram_release(&metrics->latency);
    ss_histogram_release(&metrics->first_token);
    ss_histogram_release(&metrics->between_tokens);
    for (int class = 0; class < SS_CLASSES; class ++) {
        ss_histogram_release(&metrics->class_latency[class]);
        ss_histogram_release(&metrics->class_first_token[class]);
    }
    ss_free(metrics->models);
    ss_free(metrics->cold_models);
}

void ss_metrics_arrival(struct ss_metrics *metrics, uint32_t model, uint64_t at_ns)
{
    struct ss_model_metrics *of = &metrics->models[model];
    if (of->arrivals > 0) {
        double gap_s = (double)(at_ns - of->last_ns) / 1e9;
        of->gap_sum += gap_s;
        of->gap_square_sum += gap_s * gap_s;
    }
    of->arrivals++;
    of->last_ns = at_ns;
    metrics->arrivals++;
}

enum ss_status ss_metrics_gap(struct ss_metrics *metrics, uint64_t gap_ns)
{
    return ss_histogram_add(&metrics->between_tokens, gap_ns);
}

uint64_t ss_cold_latency_ns(const struct ss_metrics *metrics, uint32_t model,
                            uint32_t prompt_tokens, uint32_t output_tokens)
{
    const struct ss_cold_model *of = &metrics->cold_models[model];
    uint64_t ns = of->load_ns;
    for (int stage = 0; stage < metrics->catalog->pp; stage++) {
        ns += ss_step_cost_ns(&of->stages[stage], prompt_tokens, prompt_tokens);
        if (output_tokens > 1)
            ns +=
                (output_tokens - 1) *
                ss_step_cost_ns(&of->stages[stage], 1, (uint64_t)prompt_tokens + output_tokens / 2);
    }
    return ns;
}

static bool in_time(const struct ss_metrics *metrics, const struct ss_outcome *outcome)
{
    uint64_t latency_ns = outcome->end_ns - outcome->arrival_ns;
    if (metrics->slo_ns > 0)
        return latency_ns <= metrics->slo_ns;
    uint64_t cold_ns =
        ss_cold_latency_ns(metrics, outcome->model, outcome->prompt_tokens, outcome->output_tokens);
    return (double)latency_ns <= metrics->slo_factor * (double)cold_ns;
}

static enum ss_status count_answer(struct ss_metrics *metrics, const struct ss_outcome *outcome)
{
    uint64_t latency_ns = outcome->end_ns - outcome->arrival_ns;
    struct ss_model_metrics *of = &metrics->models[outcome->model];
    enum ss_status status = ss_histogram_add(&metrics->latency, latency_ns);
    if (!status)
        status = ss_histogram_add(&metrics->class_latency[outcome->class], latency_ns);
    if (!status && outcome->first_ns) {
        uint64_t first_ns = outcome->first_ns - outcome->arrival_ns;
        status = ss_histogram_add(&metrics->first_token, first_ns);
        if (!status)
            status = ss_histogram_add(&metrics->class_first_token[outcome->class], first_ns);
    }
    metrics->answered++;
    metrics->cold += outcome->cold;
    metrics->in_time += in_time(metrics, outcome);
    of->answered++;
    of->latency_sum_ns += (double)latency_ns;
    return status;
}

bool ss_outcome_is_answer(const struct ss_outcome *outcome)
{
    return !outcome->refused && (outcome->reason == SS_END_LENGTH ||
                                 outcome->reason == SS_END_EOS || outcome->reason == SS_END_STOP);
}

enum ss_status ss_metrics_outcome(struct ss_metrics *metrics, const struct ss_outcome *outcome)
{
    metrics->tokens += outcome->tokens;
    if (outcome->end_ns > metrics->last_end_ns)
        metrics->last_end_ns = outcome->end_ns;
    if (outcome->refused) {
        metrics->refusals[outcome->reason]++;
        return SS_OK;
    }
    metrics->ends[outcome->reason]++;
    return ss_outcome_is_answer(outcome) ? count_answer(metrics, outcome) : SS_OK;
}
