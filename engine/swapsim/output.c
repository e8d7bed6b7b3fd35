#include "engine/swapsim/output.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SHOWN_MODELS_MAX 1000 /* of the list of models, which is for people */

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* TEXT in quotes, as JSON has them. */
static void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

/* VALUE, or null where there is NONE. */
static void write_real(FILE *file, const char *name, bool none, double value)
{
    if (none)
        fprintf(file, "\"%s\": null", name);
    else
        fprintf(file, "\"%s\": %.9f", name, value);
}

static const double shares[] = {0.5, 0.9, 0.99, 0.999};
static const char *const share_keys[] = {"p50", "p90", "p99", "p999"};
static const char *const share_names[] = {"p50", "p90", "p99", "p99.9"};
#define SHARES (sizeof shares / sizeof *shares)

/* One object, without what separates it from the next. */
static void write_times(FILE *file, const char *name, struct ss_histogram *histogram)
{
    bool none = histogram->count == 0;
    fprintf(file, "\"%s\": {\"count\": %" PRIu64 ", ", name, histogram->count);
    write_real(file, "mean", none, ss_histogram_mean_ns(histogram) / 1e9);
    for (size_t i = 0; i < SHARES; i++) {
        fprintf(file, ", ");
        write_real(file, share_keys[i], none,
                   seconds(ss_histogram_quantile_ns(histogram, shares[i])));
    }
    fprintf(file, ", ");
    write_real(file, "max", none, seconds(histogram->max_ns));
    fputc('}', file);
}

static void write_reasons(FILE *file, const char *name, const uint64_t counts[SS_END_KINDS])
{
    const char *separator = "";
    fprintf(file, "  \"%s\": {", name);
    for (int end = 0; end < SS_END_KINDS; end++) {
        if (counts[end] == 0)
            continue;
        fprintf(file, "%s\"%s\": %" PRIu64, separator, ss_end_text((enum ss_end)end), counts[end]);
        separator = ", ";
    }
    fprintf(file, "},\n");
}

/* Of classes that were asked for. */
static void write_classes(FILE *file, struct ss_metrics *metrics)
{
    static const char *const names[SS_CLASSES] = {"realtime", "normal", "batch"};
    const char *separator = "";
    fprintf(file, "  \"classes\": {");
    for (int class = 0; class < SS_CLASSES; class ++) {
        if (metrics->class_latency[class].count == 0)
            continue;
        fprintf(file, "%s\n    \"%s\": {\n      ", separator, names[class]);
        write_times(file, "latency_s", &metrics->class_latency[class]);
        fprintf(file, ",\n      ");
        write_times(file, "first_token_s", &metrics->class_first_token[class]);
        fprintf(file, "\n    }");
        separator = ",";
    }
    fprintf(file, "\n  },\n");
}

static void write_models(FILE *file, const struct ss_metrics *metrics, double duration_s)
{
    const struct ss_catalog *catalog = metrics->catalog;
    const char *separator = "";
    fprintf(file, "  \"models\": [");
    for (int i = 0; i < catalog->model_count && i < SHOWN_MODELS_MAX; i++) {
        const struct ss_model_metrics *of = &metrics->models[i];
        double gaps = of->arrivals > 1 ? (double)(of->arrivals - 1) : 0;
        double mean = gaps > 0 ? of->gap_sum / gaps : 0;
        double variance = gaps > 0 ? of->gap_square_sum / gaps - mean * mean : 0;
        fprintf(file, "%s\n    {\"name\": \"%s\", \"requests\": %" PRIu64 ", \"rate\": %.6f, ",
                separator, catalog->models[i].config->name, of->arrivals,
                duration_s > 0 ? (double)of->arrivals / duration_s : 0);
        write_real(file, "cv", mean == 0, variance > 0 ? sqrt(variance) / mean : 0);
        fprintf(file, ", ");
        write_real(file, "mean_latency_s", of->answered == 0,
                   of->latency_sum_ns / 1e9 / (double)of->answered);
        fputc('}', file);
        separator = ",";
    }
    fprintf(file, "\n  ]\n");
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void write_work(FILE *file, const struct ss_run_totals *totals)
{
    const struct ss_controller_view *view = &totals->view;
    fprintf(file,
            "  \"loads\": %" PRIu64 ",\n  \"drops\": %" PRIu64 ",\n  \"steps\": %" PRIu64
            ",\n  \"bytes_loaded\": %" PRIu64 ",\n  \"bytes_ordered\": %" PRIu64
            ",\n  \"bytes_copied_back\": %" PRIu64 ",\n  \"spilled\": %" PRIu64
            ",\n  \"recomputed\": %" PRIu64 ",\n  \"decisions\": %" PRIu64
            ",\n  \"load_s\": %.9f,\n  ",
            view->loads, view->drops, view->batches, totals->loaded_bytes, view->load_bytes,
            totals->copied_back_bytes, view->spilled, view->recomputed, totals->decisions,
            seconds(totals->load_ns));
    write_real(file, "hidden_share", totals->load_ns == 0,
               share(totals->hidden_ns, totals->load_ns));
    fprintf(file, ",\n  \"compute_s\": %.9f,\n", seconds(totals->compute_ns));
}

static void write_guesses(FILE *file, const struct ss_controller_view *view)
{
    fprintf(file,
            "  \"prefetch\": {\"loads\": %" PRIu64 ", \"bytes\": %" PRIu64
            ", \"hit_bytes\": %" PRIu64 ", \"wasted_bytes\": %" PRIu64 "},\n",
            view->guesses, view->guess_bytes, view->guess_hit_bytes, view->guess_wasted_bytes);
}

static void write_bound(FILE *file, const struct ss_bound *bound)
{
    if (bound->mean_s > 0)
        fprintf(file,
                "  \"bound\": {\"mean_s\": %.9f, \"first_mean_s\": %.9f, \"warm_mean_s\": %.9f, "
                "\"loads_mean_s\": %.9f, \"compute_mean_s\": %.9f, \"load_mean_s\": %.9f},\n",
                bound->mean_s, bound->first_mean_s, bound->warm_mean_s, bound->loads_mean_s,
                bound->compute_mean_s, bound->load_mean_s);
}

void ss_write_summary(FILE *file, const struct ss_run_options *options, struct ss_metrics *metrics,
                      const struct ss_run_totals *totals)
{
    uint64_t duration_ns = options->workload->duration_ns;
    double arrivals_s = seconds(duration_ns ? duration_ns : totals->end_ns);
    double end_s = seconds(metrics->last_end_ns);
    fprintf(file, "{\n  \"config\": ");
    write_text(file, options->catalog->config->path);
    fprintf(file, ",\n  \"workload\": ");
    write_text(file, options->workload->path);
    fprintf(file, ",\n  \"seed\": %" PRIu64 ",\n  \"groups\": %u,\n  \"policy\": \"%s\",\n",
            options->seed, options->groups, options->catalog->config->policy);
    fprintf(file,
            "  \"requests\": %" PRIu64 ",\n  \"answered\": %" PRIu64 ",\n  \"cold\": %" PRIu64
            ",\n",
            metrics->arrivals, metrics->answered, metrics->cold);
    write_reasons(file, "ended", metrics->ends);
    write_reasons(file, "refused", metrics->refusals);
    fprintf(file, "  ");
    write_times(file, "latency_s", &metrics->latency);
    fprintf(file, ",\n  ");
    write_times(file, "first_token_s", &metrics->first_token);
    fprintf(file, ",\n  ");
    write_times(file, "between_tokens_s", &metrics->between_tokens);
    fprintf(file, ",\n");
    write_classes(file, metrics);
    if (metrics->slo_ns > 0)
        fprintf(file, "  \"slo_s\": %.9f,\n  ", seconds(metrics->slo_ns));
    else
        fprintf(file, "  \"slo_factor\": %g,\n  ", metrics->slo_factor);
    write_real(file, "slo_attainment", metrics->arrivals == 0,
               share(metrics->in_time, metrics->arrivals));
    fprintf(file,
            ",\n  \"end_s\": %.9f,\n  \"requests_per_s\": %.6f,\n  \"tokens\": %" PRIu64
            ",\n  \"tokens_per_s\": %.6f,\n  \"requests_at_once\": %" PRIu64 ",\n",
            end_s, end_s > 0 ? (double)metrics->answered / end_s : 0, metrics->tokens,
            end_s > 0 ? (double)metrics->tokens / end_s : 0, totals->live_max);
    write_work(file, totals);
    write_guesses(file, &totals->view);
    write_bound(file, &totals->bound);
    write_models(file, metrics, arrivals_s);
    fprintf(file, "}\n");
}

void ss_write_wall(FILE *file, const struct ss_metrics *metrics, const struct ss_run_totals *totals)
{
    double wall_s = seconds(totals->wall_ns);
    fprintf(file,
            "{\n  \"wall_s\": %.6f,\n  \"requests_per_wall_s\": %.1f,\n  \"steps_per_wall_s\": "
            "%.1f,\n  \"decisions_per_wall_s\": %.1f,\n  \"happenings\": %" PRIu64
            ",\n  \"happenings_per_wall_s\": %.1f\n}\n",
            wall_s, (double)metrics->arrivals / wall_s, (double)totals->view.batches / wall_s,
            (double)totals->decisions / wall_s, totals->feeds, (double)totals->feeds / wall_s);
}

/* A line of the digest. */
static void tell_times(FILE *file, const char *name, struct ss_histogram *histogram)
{
    fprintf(file, "%-12s ", name);
    if (histogram->count == 0) {
        fprintf(file, "-\n");
        return;
    }
    fprintf(file, "mean %.4f s", ss_histogram_mean_ns(histogram) / 1e9);
    for (size_t i = 0; i < SHARES; i++)
        fprintf(file, ", %s %.4f", share_names[i],
                seconds(ss_histogram_quantile_ns(histogram, shares[i])));
    fputc('\n', file);
}

static void tell_attainment(FILE *file, const struct ss_metrics *metrics)
{
    if (metrics->arrivals == 0)
        fprintf(file, "in time      -\n");
    else if (metrics->slo_ns > 0)
        fprintf(file, "in time      %.2f%% within %g ms\n",
                100 * share(metrics->in_time, metrics->arrivals), (double)metrics->slo_ns / 1e6);
    else
        fprintf(file, "in time      %.2f%% within %g times the unloaded cold latency\n",
                100 * share(metrics->in_time, metrics->arrivals), metrics->slo_factor);
}

void ss_write_digest(FILE *file, struct ss_metrics *metrics, const struct ss_run_totals *totals)
{
    uint64_t refused = 0;
    for (int end = 0; end < SS_END_KINDS; end++)
        refused += metrics->refusals[end];
    fprintf(file,
            "requests     %" PRIu64 ", %" PRIu64 " answered, %" PRIu64 " refused; %" PRIu64
            " found their model not resident\n",
            metrics->arrivals, metrics->answered, refused, metrics->cold);
    tell_times(file, "latency", &metrics->latency);
    if (totals->bound.mean_s > 0)
        fprintf(file, "bound        mean %.4f s: no scheduler has less\n", totals->bound.mean_s);
    tell_times(file, "first token", &metrics->first_token);
    tell_attainment(file, metrics);
    fprintf(file,
            "work         %" PRIu64 " loads, %.1f GB, %" PRIu64 " drops, %" PRIu64
            " steps, %" PRIu64 " tokens until %.3f s\n",
            totals->view.loads, (double)totals->loaded_bytes / 1e9, totals->view.drops,
            totals->view.batches, metrics->tokens, seconds(metrics->last_end_ns));
    fprintf(file, "simulated in %.2f s: %.0f requests, %.0f steps a second\n",
            seconds(totals->wall_ns), (double)metrics->arrivals / seconds(totals->wall_ns),
            (double)totals->view.batches / seconds(totals->wall_ns));
}
