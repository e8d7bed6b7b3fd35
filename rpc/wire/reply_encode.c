#include <string.h>

#include "engine/base/assert.h"
#include "rpc/wire/reply_codec.h"
#include "rpc/wire/reply_tables.h"
#include "rpc/wire/utf8.h"

/* A reply begins: map header (3 bytes), "v" (2), 1 (1), "seq" (4), 0xce (1), then the number. */
#define SEQ_OFFSET 11

const char *ss_reply_kind_name(enum ss_reply_kind kind)
{
    static const char *const names[SS_REPLY_KINDS] = {
        [SS_REPLY_TOKENS] = "tokens", [SS_REPLY_DONE] = "done",     [SS_REPLY_ERROR] = "error",
        [SS_REPLY_OK] = "ok",         [SS_REPLY_STATUS] = "status", [SS_REPLY_MODELS] = "models",
        [SS_REPLY_PROBE] = "probe",
    };
    SS_ASSERT((unsigned)kind < SS_REPLY_KINDS);
    return names[kind];
}

static void encode_struct(struct ss_writer *writer, const struct ss_field_table *table,
                          const void *base)
{
    struct ss_map_mark map = ss_write_map_begin(writer);
    ss_fields_write(writer, table, base);
    ss_write_map_end(writer, map);
}

static void encode_list(struct ss_writer *writer, const char *key,
                        const struct ss_field_table *table, const void *list, size_t count,
                        size_t size)
{
    ss_write_key(writer, key);
    ss_write_array(writer, count);
    for (size_t i = 0; i < count; i++)
        encode_struct(writer, table, (const char *)list + i * size);
}

static void encode_piece(struct ss_writer *writer, const struct ss_piece *piece)
{
    ss_write_key(writer, "text");
    ss_write_text(writer, piece->text);
    ss_write_key(writer, "tokens");
    ss_write_tokens(writer, piece->tokens, piece->token_count);
}

static void encode_finish(struct ss_writer *writer, const struct ss_finish *finish)
{
    encode_piece(writer, &finish->rest);
    ss_write_key(writer, "finish_reason");
    ss_write_string(writer, ss_finish_reason_name(finish->reason));
    ss_write_key(writer, "usage");
    encode_struct(writer, &ss_usage_table, &finish->usage);
    ss_write_key(writer, "timing");
    encode_struct(writer, &ss_timing_table, &finish->timing);
}

/* Messages are cut at a length, maybe in the middle of a character. */
static void encode_message(struct ss_writer *writer, const char *text)
{
    ss_write_text(writer, (struct ss_text){text, ss_utf8_valid_bytes(text, strlen(text))});
}

static void encode_error(struct ss_writer *writer, const struct ss_reply_error *error)
{
    ss_write_key(writer, "code");
    ss_write_string(writer, ss_error_code_name(error->code));
    ss_write_key(writer, "message");
    encode_message(writer, error->message);
    if (error->field && error->field[0]) {
        ss_write_key(writer, "field");
        encode_message(writer, error->field);
    }
}

static void encode_status(struct ss_writer *writer, const struct ss_server_status *status)
{
    ss_fields_write(writer, &ss_status_table, status);
    encode_list(writer, "models", &ss_model_report_table, status->models, status->model_count,
                sizeof status->models[0]);
    encode_list(writer, "ranks", &ss_rank_report_table, status->ranks, status->rank_count,
                sizeof status->ranks[0]);
}

static void encode_body(struct ss_writer *writer, const struct ss_reply *reply)
{
    switch (reply->kind) {
    case SS_REPLY_TOKENS:
        encode_piece(writer, &reply->piece);
        break;
    case SS_REPLY_DONE:
        encode_finish(writer, &reply->finish);
        break;
    case SS_REPLY_ERROR:
        encode_error(writer, &reply->error);
        break;
    case SS_REPLY_OK:
        if (reply->ok.of_cancel) {
            ss_write_key(writer, "found");
            ss_write_bool(writer, reply->ok.found);
        }
        break;
    case SS_REPLY_STATUS:
        encode_status(writer, &reply->status);
        break;
    case SS_REPLY_MODELS:
        encode_list(writer, "models", &ss_model_info_table, reply->models.list, reply->models.count,
                    sizeof reply->models.list[0]);
        break;
    default:
        break;
    }
}

void ss_reply_encode(struct ss_writer *writer, const struct ss_reply *reply)
{
    struct ss_map_mark map = ss_write_map_begin(writer);
    ss_write_key(writer, "v");
    ss_write_u64(writer, SS_PROTOCOL_VERSION);
    ss_write_key(writer, "seq");
    SS_ASSERT(writer->failed || writer->buffer.size == SEQ_OFFSET - 1);
    ss_write_fixed_u32(writer, reply->seq);
    ss_write_key(writer, "id");
    if (reply->has_id)
        ss_write_u64(writer, reply->id);
    else
        ss_write_nil(writer);
    ss_write_key(writer, "op");
    ss_write_string(writer, ss_reply_kind_name(reply->kind));
    ss_write_key(writer, "fin");
    ss_write_bool(writer, reply->kind != SS_REPLY_TOKENS && reply->kind != SS_REPLY_PROBE);
    encode_body(writer, reply);
    ss_write_map_end(writer, map);
}

void ss_reply_set_seq(void *bytes, size_t size, uint32_t seq)
{
    uint8_t *at = bytes;
    SS_ASSERT(size >= SEQ_OFFSET + 4 && at[SEQ_OFFSET - 1] == 0xce);
    for (int i = 0; i < 4; i++)
        at[SEQ_OFFSET + i] = (uint8_t)(seq >> (24 - 8 * i));
}
