#include <string.h>

#include "rpc/wire/reply_codec.h"
#include "rpc/wire/reply_tables.h"

/* What a client will hold: far above what a server's configuration can make. */
#define LIST_COUNT_MAX    65536
#define MESSAGE_BYTES_MAX SS_MESSAGE_BYTES

static const char *reason_name(int reason)
{
    return ss_finish_reason_name((enum ss_finish_reason)reason);
}

static void decode_struct(struct ss_reader *reader, const char *field,
                          const struct ss_field_table *table, void *base)
{
    struct ss_reader inner;
    ss_read_map(reader, field, &inner);
    ss_fields_read(&inner, table, base);
    ss_reader_join(reader, &inner);
}

static const void *decode_list(struct ss_reader *reader, const char *field,
                               const struct ss_field_table *table, size_t size, size_t *count)
{
    size_t length = ss_read_array_size(reader, field, LIST_COUNT_MAX);
    char *list = ss_reader_alloc(reader, length, size);
    for (size_t i = 0; !reader->failed && i < length; i++) {
        struct ss_reader inner;
        ss_read_element(reader, field, i, &inner);
        /* Names that the sender left out must not be null pointers. */
        for (size_t k = 0; k < table->count; k++)
            if (table->fields[k].type == SS_FIELD_NAME)
                *(const char **)(void *)(list + i * size + table->fields[k].offset) = "";
        ss_fields_read(&inner, table, list + i * size);
        ss_reader_join(reader, &inner);
    }
    *count = reader->failed ? 0 : length;
    return list;
}

static void decode_piece(struct ss_reader *reader, struct ss_piece *piece)
{
    piece->text = (struct ss_text){"", 0};
    ss_read_text(reader, "text", 0, SIZE_MAX, &piece->text);
    ss_read_tokens(reader, "tokens", SS_REPLY_ITEMS_MAX, &piece->tokens, &piece->token_count);
}

static void decode_finish(struct ss_reader *reader, struct ss_finish *finish)
{
    int reason = 0;
    decode_piece(reader, &finish->rest);
    ss_read_require(reader, "finish_reason");
    ss_read_name(reader, "finish_reason", reason_name, SS_FINISH_REASONS, &reason);
    finish->reason = (enum ss_finish_reason)reason;
    decode_struct(reader, "usage", &ss_usage_table, &finish->usage);
    decode_struct(reader, "timing", &ss_timing_table, &finish->timing);
}

static void decode_error(struct ss_reader *reader, struct ss_reply_error *error)
{
    const char *code = "";
    *error = (struct ss_reply_error){.code = SS_ERROR_INTERNAL, .message = ""};
    ss_read_require(reader, "code");
    ss_read_string(reader, "code", 1, SS_REPORT_NAME_BYTES_MAX, &code);
    for (int i = 0; i < SS_ERROR_CODES; i++)
        if (strcmp(code, ss_error_code_name((enum ss_error_code)i)) == 0)
            error->code = (enum ss_error_code)i;
    ss_read_string(reader, "message", 0, MESSAGE_BYTES_MAX, &error->message);
    ss_read_string(reader, "field", 0, MESSAGE_BYTES_MAX, &error->field);
}

static void decode_status(struct ss_reader *reader, struct ss_server_status *status)
{
    status->version = "";
    ss_fields_read(reader, &ss_status_table, status);
    status->models = decode_list(reader, "models", &ss_model_report_table, sizeof status->models[0],
                                 &status->model_count);
    status->ranks = decode_list(reader, "ranks", &ss_rank_report_table, sizeof status->ranks[0],
                                &status->rank_count);
}

static void decode_body(struct ss_reader *reader, struct ss_reply *reply)
{
    switch (reply->kind) {
    case SS_REPLY_TOKENS:
        decode_piece(reader, &reply->piece);
        break;
    case SS_REPLY_DONE:
        decode_finish(reader, &reply->finish);
        break;
    case SS_REPLY_ERROR:
        decode_error(reader, &reply->error);
        break;
    case SS_REPLY_OK:
        reply->ok.of_cancel = ss_read_find(reader, "found");
        ss_read_bool(reader, "found", &reply->ok.found);
        break;
    case SS_REPLY_STATUS:
        decode_status(reader, &reply->status);
        break;
    case SS_REPLY_MODELS:
        reply->models.list = decode_list(reader, "models", &ss_model_info_table,
                                         sizeof reply->models.list[0], &reply->models.count);
        break;
    default:
        break;
    }
}

static void decode_envelope(struct ss_reader *reader, struct ss_reply *reply)
{
    const char *kind = "";
    reply->has_id = ss_read_envelope(reader, "client", &reply->id);
    ss_read_u32(reader, "seq", 0, UINT32_MAX, &reply->seq);
    ss_read_bool(reader, "fin", &reply->fin);
    ss_read_require(reader, "op");
    ss_read_string(reader, "op", 1, SS_REPORT_NAME_BYTES_MAX, &kind);
    reply->kind = SS_REPLY_KINDS;
    for (int i = 0; i < SS_REPLY_KINDS; i++)
        if (strcmp(kind, ss_reply_kind_name((enum ss_reply_kind)i)) == 0)
            reply->kind = (enum ss_reply_kind)i;
}

enum ss_status ss_reply_decode(struct ss_frame *frame, const void *bytes, size_t size,
                               size_t bytes_max, struct ss_reply *out, struct ss_wire_error *error)
{
    struct ss_reader reader;
    struct ss_reply reply = {0};
    struct ss_scan_limits limits = {
        .bytes_max = bytes_max, .depth_max = SS_REPLY_DEPTH_MAX, .items_max = SS_REPLY_ITEMS_MAX};
    *error = (struct ss_wire_error){0};
    enum ss_status status = ss_frame_open(frame, bytes, size, &limits, &reader, error);
    if (status)
        return status;
    decode_envelope(&reader, &reply);
    decode_body(&reader, &reply);
    if (reader.failed)
        return SS_INVALID;
    *out = reply;
    return reply.kind == SS_REPLY_KINDS
               ? ss_fail(SS_UNSUPPORTED, "an answer of a kind that this client does not know")
               : SS_OK;
}
