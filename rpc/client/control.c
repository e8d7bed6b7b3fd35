/* The requests that are not about a sequence, all blocking. */
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "rpc/client/client.h"

/* Sends FRAME and waits; *OUT is the ended request, to be freed by the caller. */
static int ask(struct swapclient *client, struct ss_request *frame, int timeout_ms,
               struct swapclient_request **out)
{
    struct swapclient_request *request;
    int error = request_create(client, frame, &request);
    if (error)
        return error;
    if (timeout_ms >= 0)
        request->answer_by_ns = request->submitted_ns + (uint64_t)timeout_ms * SS_NS_PER_MS;
    error = request_post(request);
    if (error) {
        request_destroy(request);
        return error;
    }
    error = swapclient_wait(request, SWAPCLIENT_FOREVER, 0);
    if (error)
        swapclient_request_free(request);
    else
        *out = request;
    return error;
}

static int command(struct swapclient *client, enum ss_op op, const char *model, int timeout_ms)
{
    struct ss_request frame = {.op = op, .model = model};
    struct swapclient_request *request;
    int error = ask(client, &frame, timeout_ms, &request);
    if (!error)
        swapclient_request_free(request);
    return error;
}

int swapclient_load(struct swapclient *client, const char *model, int timeout_ms)
{
    return command(client, SS_OP_LOAD, model, timeout_ms);
}

int swapclient_drop(struct swapclient *client, const char *model, int timeout_ms)
{
    return command(client, SS_OP_DROP, model, timeout_ms);
}

int swapclient_drain(struct swapclient *client, int timeout_ms)
{
    return command(client, SS_OP_DRAIN, 0, timeout_ms);
}

int swapclient_shutdown(struct swapclient *client, int timeout_ms)
{
    return command(client, SS_OP_SHUTDOWN, 0, timeout_ms);
}

/* An answer kept alive: what is given out points into the frame. */
struct report {
    struct ss_frame frame;
    void *bytes;
    union {
        struct swapclient_status status;
        struct swapclient_models models;
    };
    void *lists[2];
};

static void report_free(struct report *report)
{
    if (!report)
        return;
    ss_frame_close(&report->frame);
    ss_free(report->bytes);
    ss_free(report->lists[0]);
    ss_free(report->lists[1]);
    ss_free(report);
}

/* Asks OP and decodes the answer into *REPLY, which borrows from *OUT. */
static int fetch(struct swapclient *client, enum ss_op op, int timeout_ms, struct report **out,
                 struct ss_reply *reply)
{
    struct ss_request frame = {.op = op};
    struct swapclient_request *request;
    struct ss_wire_error wire_error;
    struct report *report;
    int error = ask(client, &frame, timeout_ms, &request);
    if (error)
        return error;
    if (ss_alloc(&report, 1, sizeof *report, "report")) {
        swapclient_request_free(request);
        client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
        return SWAPCLIENT_E_NO_MEMORY;
    }
    report->bytes = request->reply;
    request->reply = 0;
    /* It was decoded once, by the I/O thread: only memory can fail. */
    if (ss_reply_decode(&report->frame, report->bytes, request->reply_bytes,
                        client->reply_bytes_max, reply, &wire_error)) {
        report_free(report);
        client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", wire_error.message);
        error = SWAPCLIENT_E_NO_MEMORY;
    }
    swapclient_request_free(request);
    if (!error)
        *out = report;
    return error;
}

const char *swapclient_model_state_name(enum swapclient_model_state state)
{
    return (unsigned)state < SS_MODEL_STATES ? ss_model_state_name((enum ss_model_state)state)
                                             : "unknown";
}

_Static_assert((int)SWAPCLIENT_MODEL_RESIDENT == (int)SS_MODEL_RESIDENT, "the states are the same");

static void copy_models(struct swapclient_model_status *to, const struct ss_server_status *status)
{
    for (size_t i = 0; i < status->model_count; i++) {
        const struct ss_model_report *from = &status->models[i];
        to[i] = (struct swapclient_model_status){
            .name = from->name,
            .family = from->family,
            .state = (enum swapclient_model_state)from->state,
            .total_bytes = from->total_bytes,
            .resident_bytes = from->resident_bytes,
            .chunks = from->chunks,
            .resident_chunks = from->resident_chunks,
            .queued = from->queued,
            .running = from->running,
            .answered = from->answered,
            .loads = from->loads,
            .tokens = from->tokens,
        };
    }
}

static void copy_ranks(struct swapclient_rank_status *to, const struct ss_server_status *status)
{
    for (size_t i = 0; i < status->rank_count; i++) {
        const struct ss_rank_report *from = &status->ranks[i];
        to[i] = (struct swapclient_rank_status){
            .rank = from->rank,
            .stage = from->stage,
            .tp = from->tp,
            .device = from->device,
            .host = from->host,
            .pool_bytes = from->pool_bytes,
            .pool_used_bytes = from->pool_used_bytes,
            .bytes_loaded = from->bytes_loaded,
            .busy = from->busy,
        };
    }
}

static void copy_status(struct swapclient_status *to, const struct ss_server_status *from)
{
    *to = (struct swapclient_status){
        .version = from->version,
        .uptime_ns = from->uptime_ns,
        .accepted = from->accepted,
        .answered = from->answered,
        .refused = from->refused,
        .queued = from->queued,
        .running = from->running,
        .loads = from->loads,
        .guesses = from->guesses,
        .drops = from->drops,
        .bytes_loaded = from->bytes_loaded,
        .bytes_copied_back = from->bytes_copied_back,
        .load_ns = from->load_ns,
        .hidden_ns = from->hidden_ns,
        .draining = from->draining,
        .model_count = from->model_count,
        .rank_count = from->rank_count,
    };
}

int swapclient_status(struct swapclient *client, int timeout_ms, struct swapclient_status **out)
{
    struct report *report;
    struct ss_reply reply;
    struct swapclient_model_status *models;
    struct swapclient_rank_status *ranks;
    int error = fetch(client, SS_OP_STATUS, timeout_ms, &report, &reply);
    if (error)
        return error;
    if (ss_alloc(&report->lists[0], reply.status.model_count, sizeof *models, "models") ||
        ss_alloc(&report->lists[1], reply.status.rank_count, sizeof *ranks, "ranks")) {
        report_free(report);
        return client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    }
    models = report->lists[0];
    ranks = report->lists[1];
    copy_status(&report->status, &reply.status);
    copy_models(models, &reply.status);
    copy_ranks(ranks, &reply.status);
    report->status.models = models;
    report->status.ranks = ranks;
    *out = &report->status;
    return SWAPCLIENT_OK;
}

void swapclient_status_free(struct swapclient_status *status)
{
    if (status)
        report_free((struct report *)(void *)((char *)status - offsetof(struct report, status)));
}

int swapclient_models(struct swapclient *client, int timeout_ms, struct swapclient_models **out)
{
    struct report *report;
    struct ss_reply reply;
    struct swapclient_model *list;
    int error = fetch(client, SS_OP_MODELS, timeout_ms, &report, &reply);
    if (error)
        return error;
    if (ss_alloc(&report->lists[0], reply.models.count, sizeof *list, "models")) {
        report_free(report);
        return client_fail(SWAPCLIENT_E_NO_MEMORY, "%s", ss_status_message());
    }
    list = report->lists[0];
    for (size_t i = 0; i < reply.models.count; i++) {
        const struct ss_model_info *from = &reply.models.list[i];
        list[i] = (struct swapclient_model){
            .name = from->name,
            .family = from->family,
            .state = (enum swapclient_model_state)from->state,
            .total_bytes = from->total_bytes,
            .context_tokens = from->context_tokens,
            .vocab_tokens = from->vocab_tokens,
            .text = from->text,
        };
    }
    report->models = (struct swapclient_models){list, reply.models.count};
    *out = &report->models;
    return SWAPCLIENT_OK;
}

void swapclient_models_free(struct swapclient_models *models)
{
    if (models)
        report_free((struct report *)(void *)((char *)models - offsetof(struct report, models)));
}
