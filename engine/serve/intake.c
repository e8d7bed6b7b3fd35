/* Requests as they come, on the server's thread: judged by what the models can do, tokenized, and
 * put into the inbox. What is refused here never reaches the controller. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/serve/live_internal.h"

static void refuse(struct ss_live *live, struct ss_reply_to to, enum ss_error_code code,
                   const char *field)
{
    enum ss_status status =
        ss_server_reply_error(live->server, to, code, field, "%s", ss_status_message());
    atomic_fetch_add(&live->refused, 1);
    if (status)
        SS_WARNING("a refusal could not be sent: %s", ss_status_message());
}

/* The door opens before host memory is filled: who comes meanwhile is told so, and not kept. */
static void refuse_early(struct ss_live *live, struct ss_reply_to to)
{
    enum ss_status early =
        ss_fail(SS_FULL, "the server is starting: it reads its models; try again later");
    (void)early;
    refuse(live, to, SS_ERROR_OVERLOADED, 0);
}

static bool find_model(const struct ss_live *live, const char *name, uint16_t *out)
{
    const struct ss_catalog *catalog = live->options.catalog;
    for (int i = 0; i < catalog->model_count; i++) {
        if (strcmp(catalog->models[i].config->name, name) == 0) {
            *out = (uint16_t)i;
            return true;
        }
    }
    return false;
}

/* Puts ITEM into the inbox and wakes the link thread. */
static enum ss_status deliver(struct ss_live *live, const struct inbox_item *item)
{
    enum ss_status status = SS_OK;
    pthread_mutex_lock(&live->inbox_lock);
    if (live->inbox_closed)
        status =
            ss_fail(live->inbox_closed, "%s",
                    live->inbox_closed == SS_PEER_LOST ? SS_LIVE_LOST : "the server is draining");
    if (!status && live->inbox_count == live->inbox_room) {
        status = ss_realloc(&live->inbox, live->inbox_room * 2, sizeof *live->inbox, "inbox");
        if (!status)
            live->inbox_room *= 2;
    }
    if (!status) {
        live->inbox[live->inbox_count++] = *item;
        if (item->kind == INBOX_ARRIVED)
            item->ticket->accepted = true;
    }
    pthread_mutex_unlock(&live->inbox_lock);
    if (!status)
        live->options.link->table->wake(live->options.link);
    return status;
}

static enum ss_status encode_prompt(struct ss_live *live, struct ss_ticket *ticket,
                                    const struct ss_submit *submit)
{
    const struct ss_tokenizer *tokenizer = live->options.tokenizers[ticket->model];
    uint32_t room = live->options.catalog->models[ticket->model].context_max;
    size_t count;
    if (!tokenizer)
        return ss_fail(SS_UNSUPPORTED, "model %s has no tokenizer: send token ids",
                       live->config->models[ticket->model].name);
    enum ss_status status = ss_alloc(&ticket->prompt, room, sizeof *ticket->prompt, "prompt");
    if (status)
        return status;
    status = ss_tokenizer_encode(tokenizer, submit->prompt.data, submit->prompt.bytes, true,
                                 (uint32_t *)ticket->prompt, room, &count);
    if (!status && count == 0)
        return ss_fail(SS_INVALID, "the prompt is empty: at least one token is needed");
    ticket->opening.prompt_count = (uint32_t)count;
    return status;
}

static enum ss_status copy_prompt(struct ss_live *live, struct ss_ticket *ticket,
                                  const struct ss_submit *submit)
{
    const struct ss_catalog_model *model = &live->options.catalog->models[ticket->model];
    if (submit->token_count > model->context_max)
        return ss_fail(SS_FULL, "the prompt has %zu tokens, model %s takes %u with the answer",
                       submit->token_count, model->config->name, model->context_max);
    for (size_t i = 0; i < submit->token_count; i++)
        if (submit->tokens[i] >= model->shape.vocab)
            return ss_fail(SS_INVALID, "tokens[%zu] is %u; model %s has ids below %u", i,
                           submit->tokens[i], model->config->name, model->shape.vocab);
    enum ss_status status =
        ss_alloc(&ticket->prompt, submit->token_count, sizeof *ticket->prompt, "prompt");
    if (status)
        return status;
    memcpy(ticket->prompt, submit->tokens, submit->token_count * sizeof *ticket->prompt);
    ticket->opening.prompt_count = (uint32_t)submit->token_count;
    return SS_OK;
}

static enum ss_status check_length(struct ss_live *live, struct ss_ticket *ticket,
                                   const struct ss_submit *submit)
{
    const struct ss_catalog_model *model = &live->options.catalog->models[ticket->model];
    uint32_t prompt = ticket->opening.prompt_count;
    uint32_t prompt_max = live->config->limits.prompt_tokens_max;
    if (prompt_max && prompt > prompt_max)
        return ss_fail(SS_FULL, "the prompt has %u tokens, limits.prompt_tokens is %u", prompt,
                       prompt_max);
    if ((uint64_t)prompt + submit->max_tokens > model->context_max)
        return ss_fail(SS_FULL,
                       "prompt (%u tokens) + max_tokens (%u) is %llu, model %s takes %u together",
                       prompt, submit->max_tokens, (unsigned long long)prompt + submit->max_tokens,
                       model->config->name, model->context_max);
    return SS_OK;
}

static void set_opening(struct ss_live *live, struct ss_ticket *ticket,
                        const struct ss_submit *submit)
{
    const struct ss_shape *shape = &live->options.catalog->models[ticket->model].shape;
    struct ss_opening *opening = &ticket->opening;
    opening->temperature = (float)submit->temperature;
    opening->top_p = (float)submit->top_p;
    opening->top_k = (int32_t)submit->top_k;
    opening->seed = submit->has_seed
                        ? submit->seed
                        : ss_random_u64(live->started_ns, atomic_fetch_add(&live->seeds, 1));
    opening->length_max = opening->prompt_count + submit->max_tokens;
    opening->prompt = ticket->prompt;
    if (!submit->ignore_eos)
        for (int i = 0; i < shape->eos_count; i++)
            opening->stop_ids[opening->stop_id_count++] = shape->eos[i];
    opening->eos_id_count = opening->stop_id_count;
    for (size_t i = 0; i < submit->stop_token_count; i++)
        opening->stop_ids[opening->stop_id_count++] = (int32_t)submit->stop_token_ids[i];
}

static enum ss_status set_text(struct ss_live *live, struct ss_ticket *ticket,
                               const struct ss_submit *submit)
{
    const struct ss_tokenizer *tokenizer = live->options.tokenizers[ticket->model];
    const char *strings[SS_STOP_STRINGS_MAX];
    size_t lengths[SS_STOP_STRINGS_MAX];
    if (tokenizer)
        ss_detokenizer_start(&ticket->detokenizer, tokenizer, true);
    if (submit->stop_count == 0)
        return SS_OK;
    if (!tokenizer)
        return ss_fail(SS_UNSUPPORTED,
                       "model %s has no tokenizer: stop strings need one, stop_token_ids do not",
                       live->config->models[ticket->model].name);
    for (size_t i = 0; i < submit->stop_count; i++) {
        strings[i] = submit->stop[i].data;
        lengths[i] = submit->stop[i].bytes;
    }
    enum ss_status status =
        ss_stop_set_create(strings, lengths, submit->stop_count, &ticket->stops);
    if (!status)
        ss_stop_start(&ticket->stop_stream, ticket->stops);
    return status;
}

/* Fills TICKET; on failure *CODE and *FIELD say what to answer. */
static enum ss_status fill(struct ss_live *live, struct ss_ticket *ticket,
                           const struct ss_submit *submit, enum ss_error_code *code,
                           const char **field)
{
    *field = submit->has_tokens ? "tokens" : "prompt";
    enum ss_status status = submit->has_tokens ? copy_prompt(live, ticket, submit)
                                               : encode_prompt(live, ticket, submit);
    if (!status)
        status = check_length(live, ticket, submit);
    if (!status) {
        set_opening(live, ticket, submit);
        ticket->stream = submit->stream;
        ticket->class = (uint8_t)submit->class;
        if (submit->deadline_ms)
            ticket->deadline_ns = ticket->arrived_ns + submit->deadline_ms * SS_NS_PER_MS;
        *field = "stop";
        status = set_text(live, ticket, submit);
    }
    *code = status == SS_FULL          ? SS_ERROR_TOO_LONG
            : status == SS_UNSUPPORTED ? SS_ERROR_UNSUPPORTED
            : status == SS_NO_MEMORY   ? SS_ERROR_OVERLOADED
                                       : SS_ERROR_BAD_REQUEST;
    return status;
}

void ss_live_on_request(void *user, const struct ss_request *request, struct ss_reply_to to)
{
    struct ss_live *live = user;
    struct ss_ticket *ticket;
    enum ss_error_code code = SS_ERROR_OVERLOADED;
    const char *field = 0;
    uint16_t model = 0;
    if (!atomic_load(&live->started)) {
        refuse_early(live, to);
        return;
    }
    if (request->model && !find_model(live, request->model, &model)) {
        enum ss_status unknown =
            ss_fail(SS_NOT_FOUND, "no model is called %s; `models` lists them", request->model);
        (void)unknown;
        refuse(live, to, SS_ERROR_UNKNOWN_MODEL, "model");
        return;
    }
    enum ss_status status = ss_ticket_take(live->tickets, to, request->op, &ticket);
    if (status) {
        refuse(live, to, SS_ERROR_OVERLOADED, 0);
        return;
    }
    ticket->model = model;
    ticket->arrived_ns = ss_now_ns();
    if (request->op == SS_OP_SUBMIT)
        status = fill(live, ticket, &request->submit, &code, &field);
    if (!status) {
        field = 0;
        status = deliver(live, &(struct inbox_item){.kind = INBOX_ARRIVED, .ticket = ticket});
        code = status == SS_PEER_LOST   ? SS_ERROR_INTERNAL
               : status == SS_CANCELLED ? SS_ERROR_DRAINING
                                        : SS_ERROR_OVERLOADED;
    }
    if (!status)
        return;
    refuse(live, to, code, field);
    ss_ticket_release(live->tickets, ticket);
}

static void deliver_word(struct ss_live *live, enum inbox_kind kind, struct ss_reply_to to)
{
    enum ss_status status = deliver(live, &(struct inbox_item){.kind = kind, .to = to});
    if (status == SS_NO_MEMORY)
        SS_WARNING("a cancellation was lost: %s", ss_status_message());
}

void ss_live_on_cancel(void *user, struct ss_reply_to to)
{
    deliver_word(user, INBOX_CANCEL, to);
}

void ss_live_on_gone(void *user, struct ss_reply_to to)
{
    deliver_word(user, INBOX_GONE, to);
}
