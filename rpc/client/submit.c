#include <string.h>

#include "engine/base/clock.h"
#include "rpc/client/client.h"

void swapclient_submit_init(struct swapclient_submit *submit)
{
    *submit = (struct swapclient_submit){.prompt_bytes = SIZE_MAX,
                                         .max_tokens = SS_MAX_TOKENS_DEFAULT,
                                         .top_p = 1,
                                         .class_name = "normal"};
}

static int set_class(struct ss_submit *frame, const char *name)
{
    for (int class = 0; name && class < SS_CLASSES; class ++) {
        frame->class = (enum ss_class) class;
        if (strcmp(name, ss_class_name(frame->class)) == 0)
            return SWAPCLIENT_OK;
    }
    return client_fail(SWAPCLIENT_E_INVALID,
                       "class_name: found \"%s\", want realtime, normal or batch",
                       name ? name : "(null)");
}

static int set_stops(struct ss_submit *frame, const struct swapclient_submit *submit)
{
    if (submit->stop_count > SS_STOP_STRINGS_MAX)
        return client_fail(SWAPCLIENT_E_INVALID, "stop: found %zu strings, want at most %d",
                           submit->stop_count, SS_STOP_STRINGS_MAX);
    if (submit->stop_token_count > SS_STOP_TOKENS_MAX)
        return client_fail(SWAPCLIENT_E_INVALID, "stop_token_ids: found %zu, want at most %d",
                           submit->stop_token_count, SS_STOP_TOKENS_MAX);
    for (size_t i = 0; i < submit->stop_count; i++)
        frame->stop[i] = (struct ss_text){submit->stop[i], strlen(submit->stop[i])};
    frame->stop_count = submit->stop_count;
    for (size_t i = 0; i < submit->stop_token_count; i++)
        frame->stop_token_ids[i] = submit->stop_token_ids[i];
    frame->stop_token_count = submit->stop_token_count;
    return SWAPCLIENT_OK;
}

/* What can only be a programming error is found here; the rest is for the server to judge. */
static int fill(struct ss_submit *frame, const struct swapclient_submit *submit)
{
    if (!submit->model || !submit->model[0])
        return client_fail(SWAPCLIENT_E_INVALID, "model: is missing");
    if (!submit->prompt == !submit->tokens)
        return client_fail(SWAPCLIENT_E_INVALID, "want prompt (text) or tokens (ids), found %s",
                           submit->prompt ? "both" : "neither");
    ss_submit_default(frame);
    frame->has_tokens = submit->tokens != 0;
    frame->tokens = submit->tokens;
    frame->token_count = submit->token_count;
    if (submit->prompt)
        frame->prompt = (struct ss_text){submit->prompt, submit->prompt_bytes == SIZE_MAX
                                                             ? strlen(submit->prompt)
                                                             : submit->prompt_bytes};
    frame->max_tokens = submit->max_tokens;
    frame->temperature = submit->temperature;
    frame->top_k = submit->top_k;
    frame->top_p = submit->top_p;
    frame->has_seed = submit->has_seed;
    frame->seed = submit->seed;
    frame->ignore_eos = submit->ignore_eos;
    frame->stream = submit->stream;
    frame->deadline_ms = submit->deadline_ms;
    int error = set_class(frame, submit->class_name);
    return error ? error : set_stops(frame, submit);
}

int swapclient_submit(struct swapclient *client, const struct swapclient_submit *submit,
                      struct swapclient_request **out)
{
    struct ss_request frame = {.op = SS_OP_SUBMIT, .model = submit->model};
    struct swapclient_request *request;
    int error = fill(&frame.submit, submit);
    if (error)
        return error;
    error = request_create(client, &frame, &request);
    if (error)
        return error;
    request->on_piece = submit->on_piece;
    request->on_done = submit->on_done;
    request->user = submit->user;
    if (submit->timeout_ms)
        request->answer_by_ns = request->submitted_ns + submit->timeout_ms * SS_NS_PER_MS;
    /* Before the request is on its way: a callback may come, and free it, at once. */
    *out = request;
    error = request_post(request);
    if (error) {
        *out = 0;
        request_destroy(request);
    }
    return error;
}

int swapclient_cancel(struct swapclient_request *request)
{
    struct swapclient *client = request->client;
    pthread_mutex_lock(&client->mutex);
    bool sent = request->state == REQUEST_SENT;
    if (request->state == REQUEST_WAITING)
        request_end(request, SWAPCLIENT_E_CANCELLED, 0, "cancelled before it was sent");
    pthread_mutex_unlock(&client->mutex);
    return sent ? request_post_cancel(client, request->id) : SWAPCLIENT_OK;
}

int swapclient_generate(struct swapclient *client, const struct swapclient_submit *submit,
                        struct swapclient_request **out, const struct swapclient_result **result)
{
    struct swapclient_submit blocking = *submit;
    *out = 0;
    *result = 0;
    blocking.on_piece = 0;
    blocking.on_done = 0;
    int error = swapclient_submit(client, &blocking, out);
    return error ? error : swapclient_wait(*out, SWAPCLIENT_FOREVER, result);
}
