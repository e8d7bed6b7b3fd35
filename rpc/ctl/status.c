/* swapctl status and models: tables for people, JSON for programs. */
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpc/ctl/ctl.h"
#include "rpc/ctl/json.h"
#include "rpc/ctl/text.h"

#define BAR_WIDTH 20

struct look {
    bool utf8;
    bool color;
};

static struct look look_of_stdout(void)
{
    return (struct look){.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                         .color = isatty(STDOUT_FILENO)};
}

static double share_of(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static int width_of(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

static const char *color_of(enum swapclient_model_state state)
{
    switch (state) {
    case SWAPCLIENT_MODEL_RESIDENT:
        return "\033[32m";
    case SWAPCLIENT_MODEL_LOADING:
        return "\033[33m";
    case SWAPCLIENT_MODEL_PARTIAL:
        return "\033[36m";
    default:
        return "\033[2m";
    }
}

static void print_totals(const struct ctl_options *options, const struct swapclient_status *status)
{
    printf("swapserve %s at %s, up %s%s\n", status->version, options->connection.endpoint,
           text_duration(status->uptime_ns).text, status->draining ? ", DRAINING" : "");
    printf("requests  %s accepted, %s answered, %s refused; now %s queued, %s running\n",
           text_count(status->accepted).text, text_count(status->answered).text,
           text_count(status->refused).text, text_count(status->queued).text,
           text_count(status->running).text);
    printf("swapping  %s loads, %s guesses, %s drops; %s loaded, %s copied back",
           text_count(status->loads).text, text_count(status->guesses).text,
           text_count(status->drops).text, text_bytes(status->bytes_loaded).text,
           text_bytes(status->bytes_copied_back).text);
    if (status->load_ns > 0)
        printf("; %.1f%% of %s hidden", 100 * share_of(status->hidden_ns, status->load_ns),
               text_duration(status->load_ns).text);
    printf("\n");
}

static void print_models(const struct swapclient_status *status, struct look look)
{
    int name = 5, family = 6;
    for (size_t i = 0; i < status->model_count; i++) {
        name = width_of(name, status->models[i].name);
        family = width_of(family, status->models[i].family);
    }
    printf("\n%-*s  %-*s  %-8s  %-*s  %9s %9s %9s %7s %8s %9s %6s %10s\n", name, "MODEL", family,
           "FAMILY", "STATE", BAR_WIDTH + 7, "RESIDENT", "BYTES", "OF", "CHUNKS", "QUEUED",
           "RUNNING", "ANSWERED", "LOADS", "TOKENS");
    for (size_t i = 0; i < status->model_count; i++) {
        const struct swapclient_model_status *model = &status->models[i];
        double share = share_of(model->resident_bytes, model->total_bytes);
        char chunks[48];
        snprintf(chunks, sizeof chunks, "%llu/%llu", (unsigned long long)model->resident_chunks,
                 (unsigned long long)model->chunks);
        printf("%-*s  %-*s  %s%-8s  %s%s %3d%%  %9s %9s %9s %7s %8s %9s %6s %10s\n", name,
               model->name, family, model->family, look.color ? color_of(model->state) : "",
               swapclient_model_state_name(model->state),
               text_bar(share, BAR_WIDTH, look.utf8).text, look.color ? "\033[0m" : "",
               (int)(100 * share), text_bytes(model->resident_bytes).text,
               text_bytes(model->total_bytes).text, chunks, text_count(model->queued).text,
               text_count(model->running).text, text_count(model->answered).text,
               text_count(model->loads).text, text_count(model->tokens).text);
    }
}

static void print_ranks(const struct swapclient_status *status, struct look look)
{
    int device = 6, host = 4;
    for (size_t i = 0; i < status->rank_count; i++) {
        device = width_of(device, status->ranks[i].device);
        host = width_of(host, status->ranks[i].host);
    }
    printf("\n%4s  %5s  %2s  %-*s  %-*s  %-*s  %9s %9s %10s %5s\n", "RANK", "STAGE", "TP", device,
           "DEVICE", host, "HOST", BAR_WIDTH + 7, "POOL", "USED", "OF", "LOADED", "BUSY");
    for (size_t i = 0; i < status->rank_count; i++) {
        const struct swapclient_rank_status *rank = &status->ranks[i];
        double share = share_of(rank->pool_used_bytes, rank->pool_bytes);
        printf("%4u  %5u  %2u  %-*s  %-*s  %s %3d%%  %9s %9s %10s %4d%%\n", rank->rank, rank->stage,
               rank->tp, device, rank->device, host, rank->host,
               text_bar(share, BAR_WIDTH, look.utf8).text, (int)(100 * share),
               text_bytes(rank->pool_used_bytes).text, text_bytes(rank->pool_bytes).text,
               text_bytes(rank->bytes_loaded).text, (int)(100 * rank->busy + 0.5));
    }
}

static void json_model(struct json *json, const struct swapclient_model_status *model)
{
    json_object_begin(json, 0);
    json_string(json, "name", model->name);
    json_string(json, "family", model->family);
    json_string(json, "state", swapclient_model_state_name(model->state));
    json_u64(json, "total_bytes", model->total_bytes);
    json_u64(json, "resident_bytes", model->resident_bytes);
    json_u64(json, "chunks", model->chunks);
    json_u64(json, "resident_chunks", model->resident_chunks);
    json_u64(json, "queued", model->queued);
    json_u64(json, "running", model->running);
    json_u64(json, "answered", model->answered);
    json_u64(json, "loads", model->loads);
    json_u64(json, "tokens", model->tokens);
    json_object_end(json);
}

static void json_rank(struct json *json, const struct swapclient_rank_status *rank)
{
    json_object_begin(json, 0);
    json_u64(json, "rank", rank->rank);
    json_u64(json, "stage", rank->stage);
    json_u64(json, "tp", rank->tp);
    json_string(json, "device", rank->device);
    json_string(json, "host", rank->host);
    json_u64(json, "pool_bytes", rank->pool_bytes);
    json_u64(json, "pool_used_bytes", rank->pool_used_bytes);
    json_u64(json, "bytes_loaded", rank->bytes_loaded);
    json_number(json, "busy", rank->busy);
    json_object_end(json);
}

static void json_status(const struct swapclient_status *status)
{
    const struct {
        const char *name;
        uint64_t value;
    } totals[] = {
        {"uptime_ns", status->uptime_ns},
        {"accepted", status->accepted},
        {"answered", status->answered},
        {"refused", status->refused},
        {"queued", status->queued},
        {"running", status->running},
        {"loads", status->loads},
        {"guesses", status->guesses},
        {"drops", status->drops},
        {"bytes_loaded", status->bytes_loaded},
        {"bytes_copied_back", status->bytes_copied_back},
        {"load_ns", status->load_ns},
        {"hidden_ns", status->hidden_ns},
    };
    struct json json = json_open(stdout);
    json_object_begin(&json, 0);
    json_string(&json, "version", status->version);
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
        json_u64(&json, totals[i].name, totals[i].value);
    json_bool(&json, "draining", status->draining);
    json_array_begin(&json, "models");
    for (size_t i = 0; i < status->model_count; i++)
        json_model(&json, &status->models[i]);
    json_array_end(&json);
    json_array_begin(&json, "ranks");
    for (size_t i = 0; i < status->rank_count; i++)
        json_rank(&json, &status->ranks[i]);
    json_array_end(&json);
    json_object_end(&json);
    json_close(&json);
}

static enum ctl_exit show_once(const struct ctl_options *options, struct swapclient *client,
                               bool clear)
{
    struct swapclient_status *status;
    struct look look = look_of_stdout();
    int error = swapclient_status(client, ctl_timeout_ms(options, 10), &status);
    if (clear && look.color)
        fputs("\033[H\033[J", stdout);
    if (error)
        return ctl_fail(options, error);
    if (options->json) {
        json_status(status);
    } else {
        print_totals(options, status);
        print_models(status, look);
        print_ranks(status, look);
    }
    swapclient_status_free(status);
    fflush(stdout);
    return CTL_OK;
}

enum ctl_exit ctl_status(const struct ctl_options *options, struct swapclient *client)
{
    if (options->watch_s <= 0)
        return show_once(options, client, false);
    struct timespec pause = {
        .tv_sec = (time_t)options->watch_s,
        .tv_nsec = (long)((options->watch_s - (double)(time_t)options->watch_s) * 1e9)};
    /* Until Ctrl-C, which ends the program as it does any other; a server that went away may come
     * back. */
    for (;;) {
        enum ctl_exit status = show_once(options, client, true);
        if (status != CTL_OK && status != CTL_UNREACHABLE && status != CTL_TIMEOUT)
            return status;
        if (ferror(stdout))
            return CTL_REFUSED;
        nanosleep(&pause, 0);
    }
}

static void json_models(const struct swapclient_models *models)
{
    struct json json = json_open(stdout);
    json_array_begin(&json, 0);
    for (size_t i = 0; i < models->count; i++) {
        const struct swapclient_model *model = &models->list[i];
        json_object_begin(&json, 0);
        json_string(&json, "name", model->name);
        json_string(&json, "family", model->family);
        json_string(&json, "state", swapclient_model_state_name(model->state));
        json_u64(&json, "total_bytes", model->total_bytes);
        json_u64(&json, "context_tokens", model->context_tokens);
        json_u64(&json, "vocab_tokens", model->vocab_tokens);
        json_bool(&json, "text", model->text);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_close(&json);
}

enum ctl_exit ctl_models(const struct ctl_options *options, struct swapclient *client)
{
    struct swapclient_models *models;
    int error = swapclient_models(client, ctl_timeout_ms(options, 10), &models);
    int name = 5, family = 6;
    if (error)
        return ctl_fail(options, error);
    if (options->json) {
        json_models(models);
        swapclient_models_free(models);
        return CTL_OK;
    }
    for (size_t i = 0; i < models->count; i++) {
        name = width_of(name, models->list[i].name);
        family = width_of(family, models->list[i].family);
    }
    printf("%-*s  %-*s  %-8s  %9s  %9s  %8s  %s\n", name, "MODEL", family, "FAMILY", "STATE",
           "BYTES", "CONTEXT", "VOCAB", "PROMPTS");
    for (size_t i = 0; i < models->count; i++) {
        const struct swapclient_model *model = &models->list[i];
        printf("%-*s  %-*s  %-8s  %9s  %9s  %8s  %s\n", name, model->name, family, model->family,
               swapclient_model_state_name(model->state), text_bytes(model->total_bytes).text,
               text_count(model->context_tokens).text, text_count(model->vocab_tokens).text,
               model->text ? "text, ids" : "ids");
    }
    swapclient_models_free(models);
    return CTL_OK;
}
