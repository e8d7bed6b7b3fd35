/* Arrivals of each kind: rates, shares, turns, order, ends, and that nothing but the seed matters.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/workload/arrivals.h"

#define NAMES 4

static const char *const names[NAMES] = {"a-0", "a-1", "b", "c"};

static struct ss_workload *read_workload(const char *text)
{
    struct ss_workload *workload = 0;
    char *said = 0;
    size_t bytes = 0;
    FILE *stream = open_memstream(&said, &bytes);
    enum ss_status status =
        ss_workload_read_text("t.yaml", "/nonexistent", text, strlen(text), stream, &workload);
    fclose(stream);
    cr_assert_eq(status, SS_OK, "%s", said);
    free(said);
    return workload;
}

struct counts {
    uint64_t all, of[NAMES], last_ns;
    double gap_squares[NAMES], gap_sum[NAMES], prompts, outputs;
};

/* Runs TEXT's open streams to their end, checking the order. */
static struct counts count(const char *text, uint64_t seed)
{
    struct ss_workload *workload = read_workload(text);
    struct ss_arrivals *arrivals;
    struct ss_arrival arrival;
    struct counts counts = {0};
    uint64_t last_of[NAMES] = {0};
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, seed, &arrivals), SS_OK, "%s",
                 ss_status_message());
    while (ss_arrivals_next(arrivals, &arrival) == SS_OK) {
        cr_assert_geq(arrival.at_ns, counts.last_ns, "out of order");
        cr_assert_lt(arrival.model, NAMES);
        double gap_s = (double)(arrival.at_ns - last_of[arrival.model]) / 1e9;
        if (counts.of[arrival.model]++ > 0) {
            counts.gap_sum[arrival.model] += gap_s;
            counts.gap_squares[arrival.model] += gap_s * gap_s;
        }
        last_of[arrival.model] = counts.last_ns = arrival.at_ns;
        counts.prompts += arrival.prompt_tokens;
        counts.outputs += arrival.output_tokens;
        counts.all++;
    }
    ss_arrivals_destroy(arrivals);
    ss_workload_destroy(workload);
    return counts;
}

static double cv_of(const struct counts *counts, int model)
{
    double gaps = (double)(counts->of[model] - 1), mean = counts->gap_sum[model] / gaps;
    return sqrt(counts->gap_squares[model] / gaps - mean * mean) / mean;
}

/* Arrivals of a Poisson process in T have deviation sqrt(T rate): bounds are four of them. */
Test(workload_arrivals, rates_of_each_model)
{
    struct counts counts =
        count("duration: 1000s\nstreams:\n- gamma: {rate: [10, 1, 0, 5], cv: 1}\n", 1);
    cr_assert_float_eq((double)counts.of[0], 10000, 400);
    cr_assert_float_eq((double)counts.of[1], 1000, 127);
    cr_assert_eq(counts.of[2], 0);
    cr_assert_float_eq((double)counts.of[3], 5000, 283);
    cr_assert_float_eq(cv_of(&counts, 0), 1, 0.06);
    cr_assert_lt(counts.last_ns, 1000000000000ull);
    counts = count("duration: 1000s\nstreams:\n- poisson: {rate: 10}\n", 1);
    cr_assert_float_eq((double)counts.all, 40000, 800);
    cr_assert_float_eq(cv_of(&counts, 2), 1, 0.06);
    counts = count("duration: 4000s\nstreams:\n- gamma: {rate: 5, cv: 4}\n  models: b\n", 2);
    cr_assert_eq(counts.all, counts.of[2]);
    cr_assert_float_eq((double)counts.all, 20000, 4 * 4 * 141);
    cr_assert_float_eq(cv_of(&counts, 2), 4, 0.7);
}

Test(workload_arrivals, zipf_shares)
{
    struct counts counts = count("duration: 1000s\nstreams:\n- zipf: {rate: 50, skew: 1}\n", 3);
    double whole = 1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0;
    for (int i = 0; i < NAMES; i++) {
        double expected = 50000 / (i + 1) / whole;
        cr_assert_float_eq((double)counts.of[i], expected, 4 * sqrt(expected));
    }
    counts =
        count("duration: 1000s\nstreams:\n- zipf: {rate: 40, skew: 0}\n  models: [b, a*]\n", 3);
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq((double)counts.of[i], 13333, 462);
    cr_assert_eq(counts.of[3], 0);
}

/* Half the time at 1 a second, half at 19: 10 on average, and burstier than Poisson. */
Test(workload_arrivals, mmpp)
{
    struct counts counts =
        count("duration: 20000s\nstreams:\n- mmpp: {rates: [1, 19], dwell: [2s, 2s]}\n", 4);
    for (int i = 0; i < NAMES; i++) {
        cr_assert_float_eq((double)counts.of[i] / 20000, 10, 1);
        cr_assert_gt(cv_of(&counts, i), 1.3);
    }
}

Test(workload_arrivals, cyclic)
{
    struct ss_workload *workload =
        read_workload("requests: 9\nstreams:\n- cyclic: {rate: 4}\n  models: [c, a-0]\n");
    struct ss_arrivals *arrivals;
    struct ss_arrival arrival;
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 1, &arrivals), SS_OK);
    for (uint64_t i = 0; i < 9; i++) {
        cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_OK);
        cr_assert_eq(arrival.model, i % 2 ? 0 : 3);
        cr_assert_eq(arrival.at_ns, (i + 1) * 250000000);
    }
    cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_EMPTY);
    ss_arrivals_destroy(arrivals);
    ss_workload_destroy(workload);
}

Test(workload_arrivals, turns)
{
    struct ss_workload *workload = read_workload(
        "requests: 6\nstreams:\n- turns: {clients: 2, think: 10ms}\n  models: [a-0, a-1, b]\n");
    struct ss_arrivals *arrivals;
    struct ss_arrival arrival;
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 1, &arrivals), SS_OK);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_OK);
        cr_assert_eq(arrival.model, i);
        cr_assert_eq(arrival.at_ns, 0);
    }
    uint64_t at_ns;
    cr_assert_not(ss_arrivals_peek(arrivals, &at_ns));
    cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_EMPTY, "before an answer");
    for (uint64_t i = 2; i < 6; i++) {
        ss_arrivals_answered(arrivals, 0, i * 1000000000, i == 4);
        cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_OK);
        cr_assert_eq(arrival.model, i % 3);
        cr_assert_eq(arrival.at_ns, i * 1000000000 + (i == 4 ? SS_REFUSED_PAUSE_NS : 10000000));
    }
    ss_arrivals_answered(arrivals, 0, 9000000000, false);
    cr_assert_eq(ss_arrivals_next(arrivals, &arrival), SS_EMPTY, "the seventh");
    ss_arrivals_destroy(arrivals);
    ss_workload_destroy(workload);
}

Test(workload_arrivals, lengths)
{
    struct counts counts = count("requests: 40000\nprompt: {median: 100, sigma: 0.5}\n"
                                 "output: {median: 10, sigma: 1, max: 20}\n"
                                 "streams:\n- poisson: {rate: 10}\n",
                                 5);
    /* The mean of a lognormal is median x exp(sigma^2 / 2). */
    cr_assert_float_eq(counts.prompts / 40000, 100 * exp(0.125), 1.3);
    cr_assert_lt(counts.outputs / 40000, 20);
    counts = count("requests: 100\nstreams:\n- poisson: {rate: 10}\n  output: {tokens: 7}\n", 5);
    cr_assert_eq(counts.prompts, 800);
    cr_assert_eq(counts.outputs, 700);
}

Test(workload_arrivals, azure_trace)
{
    char text[600], folder[400];
    cr_assert(getcwd(folder, sizeof folder) != 0);
    snprintf(text, sizeof text,
             "prompt: {max: 1000}\nstreams:\n- trace: {csv: %s/tests/golden/azure-sample.csv, "
             "speed: 2, skew: 3}\n",
             folder);
    struct counts counts = count(text, 5);
    cr_assert_eq(counts.all, 10);
    cr_assert_eq(counts.last_ns, (426ull * 86400 + 1) * 500000000 + 159705000);
    cr_assert_eq(counts.prompts, 374 + 396 + 879 + 91 + 1000 + 388 + 242 + 1 + 1000 + 1000);
    cr_assert_eq(counts.outputs, 44 + 109 + 55 + 16 + 174 + 84 + 14 + 1 + 1 + 10);
    cr_assert_gt(counts.of[0], 5, "the first has 85%% of the rows");
}

Test(workload_arrivals, scaled)
{
    struct ss_workload *workload = read_workload(
        "duration: 100s\nstreams:\n- gamma: {rate: 10, cv: 4}\n- cyclic: {rate: 1}\n");
    ss_workload_scale(workload, 2);
    ss_workload_set_cv(workload, 0.5);
    cr_assert_eq(workload->streams[0].rates.items[0], 20);
    cr_assert_eq(workload->streams[0].cv, 0.5);
    cr_assert_eq(workload->streams[1].rate, 2);
    ss_workload_destroy(workload);
}

/* Two generators asked in turn give what one gives alone; another seed gives something else. */
Test(workload_arrivals, only_the_seed_matters)
{
    static const char text[] = "duration: 50s\nprompt: {median: 30}\nstreams:\n"
                               "- gamma: {rate: 3, cv: 4}\n- zipf: {rate: 5}\n"
                               "- mmpp: {rates: [0, 9], dwell: [1s, 500ms]}\n";
    struct ss_workload *workload = read_workload(text);
    struct ss_arrivals *left, *right, *other;
    struct ss_arrival a, b, c;
    uint64_t same = 0, all = 0;
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 1, &left), SS_OK);
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 1, &right), SS_OK);
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 2, &other), SS_OK);
    while (ss_arrivals_next(left, &a) == SS_OK) {
        cr_assert_eq(ss_arrivals_next(right, &b), SS_OK);
        cr_assert(a.at_ns == b.at_ns && a.model == b.model && a.prompt_tokens == b.prompt_tokens &&
                  a.output_tokens == b.output_tokens && a.process == b.process);
        if (ss_arrivals_next(other, &c) == SS_OK)
            same += a.at_ns == c.at_ns;
        all++;
    }
    cr_assert_eq(ss_arrivals_next(right, &b), SS_EMPTY);
    cr_assert_gt(all, 200);
    cr_assert_eq(same, 0);
    ss_arrivals_destroy(left);
    ss_arrivals_destroy(right);
    ss_arrivals_destroy(other);
    ss_workload_destroy(workload);
}

static void refuse_models(const char *text, const char *what)
{
    struct ss_workload *workload = read_workload(text);
    struct ss_arrivals *arrivals;
    cr_assert_eq(ss_arrivals_create(workload, names, NAMES, 1, &arrivals), SS_INVALID);
    cr_assert(strstr(ss_status_message(), what) != 0, "said: %s", ss_status_message());
    ss_workload_destroy(workload);
}

Test(workload_arrivals, models_that_are_not_there)
{
    refuse_models("requests: 1\nstreams:\n- poisson: {rate: 1}\n  models: [a-0, x]\n",
                  "t.yaml:3: models: found x");
    refuse_models("requests: 1\nstreams:\n- poisson: {rate: 1}\n  models: [a-0, 'a*']\n",
                  "t.yaml:3: models: a-0 is named twice");
    refuse_models("requests: 1\nstreams:\n- poisson: {rate: [1, 2]}\n",
                  "t.yaml:3: found 2 rates, expected one, or one for each of 4");
}
