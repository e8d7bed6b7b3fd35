/* Answers, as the engine gives them: encoded on its threads, sent by the server's. */
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/memory.h"
#include "rpc/server/door.h"

enum ss_status ss_letter_create(struct ss_letter **out, struct ss_reply_to to,
                                const struct ss_reply *reply)
{
    struct ss_letter *letter;
    struct ss_writer writer;
    enum ss_status status = ss_alloc(&letter, 1, sizeof *letter, "answer");
    if (status)
        return status;
    ss_writer_open(&writer);
    ss_reply_encode(&writer, reply);
    status = ss_writer_check(&writer);
    if (status) {
        ss_writer_close(&writer);
        ss_free(letter);
        return status;
    }
    letter->to = to;
    letter->seq = reply->seq;
    letter->last = reply->kind != SS_REPLY_TOKENS;
    ss_writer_release(&writer, &letter->bytes, &letter->size);
    *out = letter;
    return SS_OK;
}

enum ss_status ss_letter_create_last(struct ss_letter **out, struct ss_reply_to to,
                                     const struct ss_reply *reply)
{
    const struct ss_reply word = {
        .kind = SS_REPLY_ERROR,
        .has_id = reply->has_id,
        .id = reply->id,
        .error = {.code = SS_ERROR_INTERNAL, .message = "the server has no memory for the answer"}};
    enum ss_status status = ss_letter_create(out, to, reply);
    return status ? ss_letter_create(out, to, &word) : SS_OK;
}

static enum ss_status post(struct ss_server *server, struct ss_reply_to to, struct ss_reply *reply)
{
    struct ss_letter *letter;
    reply->has_id = true;
    reply->id = to.id;
    enum ss_status status = reply->kind == SS_REPLY_TOKENS
                                ? ss_letter_create(&letter, to, reply)
                                : ss_letter_create_last(&letter, to, reply);
    return status ? status : ss_reply_queue_put(&server->outbox, letter);
}

enum ss_status ss_server_reply_tokens(struct ss_server *server, struct ss_reply_to to,
                                      const struct ss_piece *piece)
{
    struct ss_reply reply = {.kind = SS_REPLY_TOKENS, .piece = *piece};
    return post(server, to, &reply);
}

enum ss_status ss_server_reply_finish(struct ss_server *server, struct ss_reply_to to,
                                      const struct ss_finish *finish)
{
    struct ss_reply reply = {.kind = SS_REPLY_DONE, .finish = *finish};
    return post(server, to, &reply);
}

enum ss_status ss_server_reply_ok(struct ss_server *server, struct ss_reply_to to)
{
    struct ss_reply reply = {.kind = SS_REPLY_OK};
    return post(server, to, &reply);
}

enum ss_status ss_server_reply_status(struct ss_server *server, struct ss_reply_to to,
                                      const struct ss_server_status *status)
{
    struct ss_reply reply = {.kind = SS_REPLY_STATUS, .status = *status};
    return post(server, to, &reply);
}

enum ss_status ss_server_reply_models(struct ss_server *server, struct ss_reply_to to,
                                      const struct ss_model_info *models, size_t count)
{
    struct ss_reply reply = {.kind = SS_REPLY_MODELS, .models = {models, count}};
    return post(server, to, &reply);
}

enum ss_status ss_server_reply_error(struct ss_server *server, struct ss_reply_to to,
                                     enum ss_error_code code, const char *field, const char *format,
                                     ...)
{
    char message[SS_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct ss_reply reply = {.kind = SS_REPLY_ERROR,
                             .error = {.code = code, .field = field, .message = message}};
    return post(server, to, &reply);
}
