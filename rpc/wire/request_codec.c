#include "rpc/wire/request_codec.h"

static const char *op_name(int op)
{
    return ss_op_name((enum ss_op)op);
}

static const char *class_name(int class)
{
    return ss_class_name((enum ss_class) class);
}

void ss_submit_default(struct ss_submit *submit)
{
    *submit = (struct ss_submit){
        .max_tokens = SS_MAX_TOKENS_DEFAULT, .top_p = 1, .class = SS_CLASS_NORMAL};
}

static void decode_prompt(struct ss_reader *reader, size_t bytes_max, struct ss_submit *submit)
{
    bool has_prompt = ss_read_find(reader, "prompt");
    submit->has_tokens = ss_read_find(reader, "tokens");
    if (has_prompt && submit->has_tokens)
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, "prompt",
                       "found both prompt and tokens, want one of them");
    if (!has_prompt && !submit->has_tokens)
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, "prompt",
                       "is missing: want prompt (text) or tokens (ids)");
    ss_read_text(reader, "prompt", 0, bytes_max, &submit->prompt);
    ss_read_tokens(reader, "tokens", SS_PROMPT_TOKENS_MAX, &submit->tokens, &submit->token_count);
    if (submit->has_tokens && submit->token_count == 0)
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, "tokens", "is empty, want at least one id");
}

static void decode_submit(struct ss_reader *reader, size_t bytes_max, struct ss_submit *submit)
{
    int class = SS_CLASS_NORMAL;
    const uint32_t *stop_ids = 0;
    ss_submit_default(submit);
    decode_prompt(reader, bytes_max, submit);
    ss_read_u32(reader, "max_tokens", 1, SS_MAX_TOKENS_MAX, &submit->max_tokens);
    ss_read_double(reader, "temperature", 0, SS_TEMPERATURE_MAX, &submit->temperature);
    ss_read_u32(reader, "top_k", 0, SS_TOP_K_MAX, &submit->top_k);
    ss_read_double(reader, "top_p", 0, 1, &submit->top_p);
    if (!reader->failed && submit->top_p <= 0)
        ss_reader_fail(reader, SS_ERROR_BAD_REQUEST, "top_p",
                       "found 0, want a number above 0 and up to 1");
    submit->has_seed = ss_read_find(reader, "seed");
    ss_read_u64(reader, "seed", 0, UINT64_MAX, &submit->seed);
    ss_read_texts(reader, "stop", SS_STOP_STRINGS_MAX, SS_STOP_BYTES_MAX, submit->stop,
                  &submit->stop_count);
    ss_read_tokens(reader, "stop_token_ids", SS_STOP_TOKENS_MAX, &stop_ids,
                   &submit->stop_token_count);
    for (size_t i = 0; !reader->failed && i < submit->stop_token_count; i++)
        submit->stop_token_ids[i] = stop_ids[i];
    ss_read_bool(reader, "ignore_eos", &submit->ignore_eos);
    ss_read_bool(reader, "stream", &submit->stream);
    ss_read_name(reader, "class", class_name, SS_CLASSES, &class);
    submit->class = (enum ss_class) class;
    ss_read_u32(reader, "deadline_ms", 0, SS_DEADLINE_MS_MAX, &submit->deadline_ms);
}

static void decode_envelope(struct ss_reader *reader, struct ss_request *request)
{
    int op = 0;
    ss_read_envelope(reader, "server", &request->id);
    ss_read_require(reader, "id");
    ss_read_require(reader, "op");
    ss_read_name(reader, "op", op_name, SS_OPS, &op);
    request->op = (enum ss_op)op;
}

enum ss_status ss_request_decode(struct ss_frame *frame, const void *bytes, size_t size,
                                 size_t bytes_max, struct ss_request *out,
                                 struct ss_wire_error *error)
{
    struct ss_reader reader;
    struct ss_request request = {0};
    *error = (struct ss_wire_error){0};
    /* A container costs a header byte and its items, so a frame cannot need more items than its
     * longest lists and some keys. */
    struct ss_scan_limits limits = {.bytes_max = bytes_max,
                                    .depth_max = SS_REQUEST_DEPTH_MAX,
                                    .items_max = SS_PROMPT_TOKENS_MAX + 1024};
    enum ss_status status = ss_frame_open(frame, bytes, size, &limits, &reader, error);
    if (status) {
        error->has_id = ss_wire_scan_id(bytes, size, &error->id);
        return status;
    }
    decode_envelope(&reader, &request);
    if (!reader.failed)
        switch (request.op) {
        case SS_OP_SUBMIT:
            decode_submit(&reader, bytes_max, &request.submit);
            /* fall through */
        case SS_OP_LOAD:
        case SS_OP_DROP:
            ss_read_require(&reader, "model");
            ss_read_string(&reader, "model", 1, SS_MODEL_NAME_BYTES_MAX, &request.model);
            break;
        case SS_OP_CANCEL:
            ss_read_require(&reader, "target");
            ss_read_u64(&reader, "target", 0, UINT64_MAX, &request.target);
            break;
        default:
            break;
        }
    if (reader.failed)
        return SS_INVALID;
    *out = request;
    return SS_OK;
}

static void encode_submit(struct ss_writer *writer, const struct ss_submit *submit)
{
    if (submit->has_tokens) {
        ss_write_key(writer, "tokens");
        ss_write_tokens(writer, submit->tokens, submit->token_count);
    } else {
        ss_write_key(writer, "prompt");
        ss_write_text(writer, submit->prompt);
    }
    ss_write_key(writer, "max_tokens");
    ss_write_u64(writer, submit->max_tokens);
    ss_write_key(writer, "temperature");
    ss_write_double(writer, submit->temperature);
    ss_write_key(writer, "top_k");
    ss_write_u64(writer, submit->top_k);
    ss_write_key(writer, "top_p");
    ss_write_double(writer, submit->top_p);
    if (submit->has_seed) {
        ss_write_key(writer, "seed");
        ss_write_u64(writer, submit->seed);
    }
    ss_write_key(writer, "stop");
    ss_write_array(writer, submit->stop_count);
    for (size_t i = 0; i < submit->stop_count; i++)
        ss_write_text(writer, submit->stop[i]);
    ss_write_key(writer, "stop_token_ids");
    ss_write_tokens(writer, submit->stop_token_ids, submit->stop_token_count);
    ss_write_key(writer, "ignore_eos");
    ss_write_bool(writer, submit->ignore_eos);
    ss_write_key(writer, "stream");
    ss_write_bool(writer, submit->stream);
    ss_write_key(writer, "class");
    ss_write_string(writer, ss_class_name(submit->class));
    ss_write_key(writer, "deadline_ms");
    ss_write_u64(writer, submit->deadline_ms);
}

void ss_request_encode(struct ss_writer *writer, const struct ss_request *request)
{
    struct ss_map_mark map = ss_write_map_begin(writer);
    ss_write_key(writer, "v");
    ss_write_u64(writer, SS_PROTOCOL_VERSION);
    ss_write_key(writer, "op");
    ss_write_string(writer, ss_op_name(request->op));
    ss_write_key(writer, "id");
    ss_write_u64(writer, request->id);
    if (request->model) {
        ss_write_key(writer, "model");
        ss_write_string(writer, request->model);
    }
    if (request->op == SS_OP_CANCEL) {
        ss_write_key(writer, "target");
        ss_write_u64(writer, request->target);
    }
    if (request->op == SS_OP_SUBMIT)
        encode_submit(writer, &request->submit);
    ss_write_map_end(writer, map);
}
