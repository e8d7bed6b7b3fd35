/* What came of a run's requests. */
#ifndef SS_SWAPSIM_METRICS_H
#define SS_SWAPSIM_METRICS_H

#include <stdbool.h>

#include "engine/core/controller.h"
#include "engine/serve/catalog.h"
#include "engine/swapsim/histogram.h"

/* One request, when it is over. */
struct ss_outcome {
    uint64_t arrival_ns, first_ns, end_ns; /* FIRST_NS: 0 without a token */
    uint32_t model;                        /* of the catalog */
    uint32_t prompt_tokens, output_tokens; /* asked for */
    uint32_t tokens;                       /* given */
    enum ss_class class;
    enum ss_end reason;
    bool refused, cold;
};

struct ss_model_metrics {
    uint64_t arrivals, last_ns;
    double gap_sum, gap_square_sum; /* seconds, between arrivals */
    uint64_t answered;
    double latency_sum_ns;
};

/* What a request of a model takes alone, in parts that do not change. */
struct ss_cold_model {
    uint64_t load_ns;
    struct ss_step_cost stages[SS_STAGES_MAX];
};

struct ss_metrics {
    const struct ss_catalog *catalog;
    struct ss_cold_model *cold_models;
    struct ss_histogram latency, first_token, between_tokens;
    struct ss_histogram class_latency[SS_CLASSES], class_first_token[SS_CLASSES];
    uint64_t arrivals, answered, cold, in_time;
    uint64_t ends[SS_END_KINDS], refusals[SS_END_KINDS];
    uint64_t tokens, last_end_ns;
    struct ss_model_metrics *models;
    double slo_factor;
    uint64_t slo_ns;
};

/* The name of a reason, in files: "length", "overloaded". */
const char *ss_end_text(enum ss_end end);

/* A request within SLO_NS is in time; where that is 0, within SLO_FACTOR times its unloaded cold
 * latency. */
SS_MUST_CHECK enum ss_status ss_metrics_open(const struct ss_catalog *catalog, double slo_factor,
                                             uint64_t slo_ns, struct ss_metrics *out);
void ss_metrics_close(struct ss_metrics *metrics);

void ss_metrics_arrival(struct ss_metrics *metrics, uint32_t model, uint64_t at_ns);
/* A further token of a request came so long after the one before it. */
SS_MUST_CHECK enum ss_status ss_metrics_gap(struct ss_metrics *metrics, uint64_t gap_ns);

/* All of it was given: neither refused nor cut off by a deadline, a cancel or a fault. What is said
 * of latencies, and the bound on them, is of these. */
bool ss_outcome_is_answer(const struct ss_outcome *outcome);

SS_MUST_CHECK enum ss_status ss_metrics_outcome(struct ss_metrics *metrics,
                                                const struct ss_outcome *outcome);

/* What a request of MODEL takes with nothing else there and none of the model resident: the largest
 * shard at the rate of the links, its prompt in one step, and a step for each further token. */
uint64_t ss_cold_latency_ns(const struct ss_metrics *metrics, uint32_t model,
                            uint32_t prompt_tokens, uint32_t output_tokens);

#endif
