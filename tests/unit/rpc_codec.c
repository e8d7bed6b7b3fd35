/* The codec: what goes in comes out, and nothing malformed gets past it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/wire/reply_codec.h"
#include "rpc/wire/request_codec.h"
#include "rpc/wire/utf8.h"

#define BYTES_MAX (1 << 20)

/* A request as a test builds it, key by key. */
struct draft {
    struct ss_writer writer;
    struct ss_map_mark map;
};

static void begin(struct draft *made)
{
    ss_writer_open(&made->writer);
    made->map = ss_write_map_begin(&made->writer);
    ss_write_key(&made->writer, "v");
    ss_write_u64(&made->writer, 1);
    ss_write_key(&made->writer, "id");
    ss_write_u64(&made->writer, 77);
    ss_write_key(&made->writer, "op");
    ss_write_string(&made->writer, "submit");
}

static void begin_submit(struct draft *made)
{
    begin(made);
    ss_write_key(&made->writer, "model");
    ss_write_string(&made->writer, "m");
    ss_write_key(&made->writer, "prompt");
    ss_write_string(&made->writer, "hello");
}

static void expect_error(struct draft *made, enum ss_error_code code, const char *field)
{
    struct ss_frame frame = {0};
    struct ss_request request;
    struct ss_wire_error error;
    ss_write_map_end(&made->writer, made->map);
    cr_assert_eq(ss_writer_check(&made->writer), SS_OK);
    enum ss_status status = ss_request_decode(
        &frame, made->writer.buffer.data, made->writer.buffer.size, BYTES_MAX, &request, &error);
    cr_assert_eq(status, SS_INVALID, "%s was accepted", field);
    cr_expect_eq(error.code, code, "%s: code %s", field, ss_error_code_name(error.code));
    cr_expect_str_eq(error.field, field);
    cr_expect_gt(strlen(error.message), 0);
    cr_expect(error.has_id && error.id == 77);
    ss_frame_close(&frame);
    ss_writer_close(&made->writer);
}

#define EXPECT_FIELD(code, field, ...)     \
    do {                                   \
        struct draft made;                 \
        begin_submit(&made);               \
        ss_write_key(&made.writer, field); \
        __VA_ARGS__;                       \
        expect_error(&made, code, field);  \
    } while (0)

static void fill_submit(struct ss_request *request, const uint32_t *tokens)
{
    *request = (struct ss_request){.op = SS_OP_SUBMIT, .id = UINT64_MAX, .model = "opt-13b"};
    ss_submit_default(&request->submit);
    request->submit.has_tokens = tokens != 0;
    request->submit.tokens = tokens;
    request->submit.token_count = tokens ? 3 : 0;
    request->submit.prompt = (struct ss_text){"a\0\xc3\xa9", 4};
    request->submit.max_tokens = 7;
    request->submit.temperature = 0.25;
    request->submit.top_k = 5;
    request->submit.top_p = 0.5;
    request->submit.has_seed = true;
    request->submit.seed = UINT64_MAX;
    request->submit.stop[0] = (struct ss_text){"\n\n", 2};
    request->submit.stop[1] = (struct ss_text){"END", 3};
    request->submit.stop_count = 2;
    request->submit.stop_token_ids[0] = SS_TOKEN_ID_MAX;
    request->submit.stop_token_count = 1;
    request->submit.ignore_eos = true;
    request->submit.stream = true;
    request->submit.class = SS_CLASS_BATCH;
    request->submit.deadline_ms = 1500;
}

static void encode(const struct ss_request *request, struct ss_writer *writer)
{
    ss_writer_open(writer);
    ss_request_encode(writer, request);
    cr_assert_eq(ss_writer_check(writer), SS_OK);
}

static void expect_same_submit(const struct ss_submit *a, const struct ss_submit *b)
{
    cr_expect_eq(a->has_tokens, b->has_tokens);
    if (a->has_tokens) {
        cr_assert_eq(a->token_count, b->token_count);
        cr_expect_arr_eq(a->tokens, b->tokens, a->token_count * sizeof(uint32_t));
    } else {
        cr_assert_eq(a->prompt.bytes, b->prompt.bytes);
        cr_expect_arr_eq(a->prompt.data, b->prompt.data, a->prompt.bytes);
    }
    cr_expect_eq(a->max_tokens, b->max_tokens);
    cr_expect_eq(a->temperature, b->temperature);
    cr_expect_eq(a->top_k, b->top_k);
    cr_expect_eq(a->top_p, b->top_p);
    cr_expect_eq(a->has_seed, b->has_seed);
    cr_expect_eq(a->seed, b->seed);
    cr_assert_eq(a->stop_count, b->stop_count);
    for (size_t i = 0; i < a->stop_count; i++) {
        cr_assert_eq(a->stop[i].bytes, b->stop[i].bytes);
        cr_expect_arr_eq(a->stop[i].data, b->stop[i].data, a->stop[i].bytes);
    }
    cr_assert_eq(a->stop_token_count, b->stop_token_count);
    cr_expect_arr_eq(a->stop_token_ids, b->stop_token_ids, a->stop_token_count * sizeof(uint32_t));
    cr_expect_eq(a->ignore_eos, b->ignore_eos);
    cr_expect_eq(a->stream, b->stream);
    cr_expect_eq(a->class, b->class);
    cr_expect_eq(a->deadline_ms, b->deadline_ms);
}

Test(rpc_codec, submit_round_trip)
{
    const uint32_t tokens[3] = {0, 1, SS_TOKEN_ID_MAX};
    for (int kind = 0; kind < 2; kind++) {
        struct ss_request in, out;
        struct ss_writer writer;
        struct ss_frame frame = {0};
        struct ss_wire_error error;
        fill_submit(&in, kind ? tokens : 0);
        encode(&in, &writer);
        cr_assert_eq(ss_request_decode(&frame, writer.buffer.data, writer.buffer.size, BYTES_MAX,
                                       &out, &error),
                     SS_OK, "%s: %s", error.field, error.message);
        cr_expect_eq(out.op, SS_OP_SUBMIT);
        cr_expect_eq(out.id, UINT64_MAX);
        cr_expect_str_eq(out.model, "opt-13b");
        expect_same_submit(&out.submit, &in.submit);
        ss_frame_close(&frame);
        ss_writer_close(&writer);
    }
}

Test(rpc_codec, every_op_round_trips)
{
    for (int op = 0; op < SS_OPS; op++) {
        struct ss_request in = {.op = (enum ss_op)op, .id = 5, .model = "m", .target = 9};
        struct ss_request out;
        struct ss_writer writer;
        struct ss_frame frame = {0};
        struct ss_wire_error error;
        ss_submit_default(&in.submit);
        encode(&in, &writer);
        cr_assert_eq(ss_request_decode(&frame, writer.buffer.data, writer.buffer.size, BYTES_MAX,
                                       &out, &error),
                     SS_OK, "%s: %s: %s", ss_op_name(in.op), error.field, error.message);
        cr_expect_eq(out.op, in.op);
        cr_expect_eq(out.id, 5);
        if (op == SS_OP_CANCEL)
            cr_expect_eq(out.target, 9);
        if (op == SS_OP_LOAD || op == SS_OP_DROP)
            cr_expect_str_eq(out.model, "m");
        ss_frame_close(&frame);
        ss_writer_close(&writer);
    }
}

Test(rpc_codec, defaults_stand_where_fields_are_absent_or_nil)
{
    struct draft made;
    begin_submit(&made);
    struct ss_request out;
    struct ss_submit want;
    struct ss_frame frame = {0};
    struct ss_wire_error error;
    ss_write_key(&made.writer, "seed");
    ss_write_nil(&made.writer);
    ss_write_key(&made.writer, "temperature");
    ss_write_nil(&made.writer);
    ss_write_key(&made.writer, "a key of a later version");
    ss_write_array(&made.writer, 1);
    ss_write_bool(&made.writer, true);
    ss_write_map_end(&made.writer, made.map);
    cr_assert_eq(ss_request_decode(&frame, made.writer.buffer.data, made.writer.buffer.size,
                                   BYTES_MAX, &out, &error),
                 SS_OK, "%s: %s", error.field, error.message);
    ss_submit_default(&want);
    want.prompt = (struct ss_text){"hello", 5};
    expect_same_submit(&out.submit, &want);
    cr_expect_eq(out.submit.max_tokens, SS_MAX_TOKENS_DEFAULT);
    cr_expect_eq(out.submit.top_p, 1);
    ss_frame_close(&frame);
    ss_writer_close(&made.writer);
}

Test(rpc_codec, every_field_has_its_type_and_range)
{
    const uint32_t big = SS_TOKEN_ID_MAX;
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "max_tokens", ss_write_u64(&made.writer, 0));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "max_tokens",
                 ss_write_u64(&made.writer, SS_MAX_TOKENS_MAX + 1));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "max_tokens", ss_write_double(&made.writer, 3));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "max_tokens", ss_write_string(&made.writer, "3"));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "temperature", ss_write_double(&made.writer, NAN));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "temperature", ss_write_double(&made.writer, INFINITY));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "temperature", ss_write_double(&made.writer, -0.5));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "temperature", ss_write_u64(&made.writer, 101));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "temperature", ss_write_bool(&made.writer, true));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "top_k", ss_write_u64(&made.writer, SS_TOP_K_MAX + 1));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "top_p", ss_write_double(&made.writer, 0));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "top_p", ss_write_double(&made.writer, 1.5));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "seed", ss_write_string(&made.writer, "x"));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "stop", ss_write_string(&made.writer, "x"));
    EXPECT_FIELD(SS_ERROR_TOO_LONG, "stop", {
        ss_write_array(&made.writer, SS_STOP_STRINGS_MAX + 1);
        for (int i = 0; i <= SS_STOP_STRINGS_MAX; i++)
            ss_write_string(&made.writer, "s");
    });
    EXPECT_FIELD(SS_ERROR_TOO_LONG, "stop_token_ids", {
        ss_write_array(&made.writer, SS_STOP_TOKENS_MAX + 1);
        for (int i = 0; i <= SS_STOP_TOKENS_MAX; i++)
            ss_write_u64(&made.writer, 1);
    });
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "stop_token_ids", {
        ss_write_array(&made.writer, 1);
        ss_write_u64(&made.writer, (uint64_t)big + 1);
    });
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "ignore_eos", ss_write_u64(&made.writer, 1));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "stream", ss_write_string(&made.writer, "yes"));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "class", ss_write_string(&made.writer, "urgent"));
    EXPECT_FIELD(SS_ERROR_BAD_REQUEST, "deadline_ms",
                 ss_write_u64(&made.writer, SS_DEADLINE_MS_MAX + 1));
}

Test(rpc_codec, stop_strings_are_named_one_by_one)
{
    char text[SS_STOP_BYTES_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    const char *const wrong[] = {"", text, "\xff"};
    for (size_t i = 0; i < 3; i++) {
        struct draft made;
        begin_submit(&made);
        ss_write_key(&made.writer, "stop");
        ss_write_array(&made.writer, 2);
        ss_write_string(&made.writer, "fine");
        ss_write_string(&made.writer, wrong[i]);
        expect_error(&made, i == 1 ? SS_ERROR_TOO_LONG : SS_ERROR_BAD_REQUEST, "stop[1]");
    }
}

static void expect_prompt_error(enum ss_error_code code, const char *field, const char *model,
                                struct ss_text prompt, size_t tokens)
{
    struct draft made;
    begin(&made);
    if (model) {
        ss_write_key(&made.writer, "model");
        ss_write_string(&made.writer, model);
    }
    if (prompt.data) {
        ss_write_key(&made.writer, "prompt");
        ss_write_text(&made.writer, prompt);
    }
    if (tokens != SIZE_MAX) {
        ss_write_key(&made.writer, "tokens");
        ss_write_array(&made.writer, tokens);
        for (size_t i = 0; i < tokens; i++)
            ss_write_u64(&made.writer, 1);
    }
    expect_error(&made, code, field);
}

Test(rpc_codec, model_and_prompt)
{
    const struct ss_text none = {0, 0}, fine = {"x", 1}, latin = {"caf\xe9", 4};
    char model[SS_MODEL_NAME_BYTES_MAX + 2];
    memset(model, 'm', sizeof model - 1);
    model[sizeof model - 1] = 0;
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "model", 0, fine, SIZE_MAX);
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "model", "", fine, SIZE_MAX);
    expect_prompt_error(SS_ERROR_TOO_LONG, "model", model, fine, SIZE_MAX);
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "prompt", "m", none, SIZE_MAX);
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "prompt", "m", fine, 1);
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "prompt", "m", latin, SIZE_MAX);
    expect_prompt_error(SS_ERROR_BAD_REQUEST, "tokens", "m", none, 0);
    expect_prompt_error(SS_ERROR_TOO_LONG, "tokens", "m", none, SS_PROMPT_TOKENS_MAX + 1);
}

static enum ss_status decode(const void *bytes, size_t size, struct ss_wire_error *error)
{
    struct ss_frame frame = {0};
    struct ss_request request;
    enum ss_status status = ss_request_decode(&frame, bytes, size, BYTES_MAX, &request, error);
    ss_frame_close(&frame);
    return status;
}

#define EXPECT_BYTES(code_wanted, ...)                                 \
    do {                                                               \
        static const uint8_t bytes[] = {__VA_ARGS__};                  \
        struct ss_wire_error error;                                    \
        cr_expect_eq(decode(bytes, sizeof bytes, &error), SS_INVALID); \
        cr_expect_eq(error.code, code_wanted, "%s", error.message);    \
        cr_expect_gt(strlen(error.message), 0);                        \
    } while (0)

Test(rpc_codec, bombs_and_garbage)
{
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xdd, 0x0f, 0xff, 0xff, 0xff);       /* array, 2^28 - 1 */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xdf, 0xff, 0xff, 0xff, 0xff);       /* map, 2^32 - 1 */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xdb, 0xff, 0xff, 0xff, 0xff);       /* str */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xc6, 0xff, 0xff, 0xff, 0xff);       /* bin */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01); /* ext */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x81, 0xa1, 'v', 0xdd, 0x0f, 0xff, 0xff, 0xff);
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0xc1);
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x80, 0x00);       /* something follows */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x80);             /* an empty map */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x90);             /* no map */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x07);             /* no map */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x81, 0x01, 0x01); /* a key that is no string */
    EXPECT_BYTES(SS_ERROR_BAD_REQUEST, 0x82, 0xa1, 'v', 0x01, 0xa1, 'v', 0x01); /* twice */
    struct ss_wire_error error;
    cr_expect_eq(decode("", 0, &error), SS_INVALID);
}

Test(rpc_codec, deep_nesting)
{
    static uint8_t bytes[100000];
    struct ss_wire_error error;
    memset(bytes, 0x91, sizeof bytes);
    cr_expect_eq(decode(bytes, sizeof bytes, &error), SS_INVALID);
    cr_expect_eq(error.code, SS_ERROR_BAD_REQUEST);
    memset(bytes, 0x81, sizeof bytes);
    cr_expect_eq(decode(bytes, sizeof bytes, &error), SS_INVALID);
}

Test(rpc_codec, many_keys)
{
    struct draft made;
    begin_submit(&made);
    for (int i = 0; i < SS_MAP_KEYS_MAX; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        ss_write_key(&made.writer, key);
        ss_write_nil(&made.writer);
    }
    expect_error(&made, SS_ERROR_BAD_REQUEST, "");
}

Test(rpc_codec, frames_over_the_limit_still_name_their_request)
{
    char *text = malloc(BYTES_MAX);
    memset(text, 'x', BYTES_MAX);
    expect_prompt_error(SS_ERROR_TOO_LONG, "", "m", (struct ss_text){text, BYTES_MAX}, SIZE_MAX);
    free(text);
}

Test(rpc_codec, versions)
{
    static const uint8_t two[] = {0x82, 0xa1, 'v', 0x02, 0xa2, 'i', 'd', 0x09};
    static const uint8_t text[] = {0x82, 0xa1, 'v', 0xa1, '1', 0xa2, 'i', 'd', 0x09};
    static const uint8_t none[] = {0x81, 0xa2, 'i', 'd', 0x09};
    struct ss_wire_error error;
    cr_expect_eq(decode(two, sizeof two, &error), SS_INVALID);
    cr_expect_eq(error.code, SS_ERROR_UNSUPPORTED_VERSION);
    cr_expect(error.has_id && error.id == 9);
    cr_expect_eq(decode(text, sizeof text, &error), SS_INVALID);
    cr_expect_eq(error.code, SS_ERROR_BAD_REQUEST);
    cr_expect_eq(decode(none, sizeof none, &error), SS_INVALID);
    cr_expect_eq(error.code, SS_ERROR_BAD_REQUEST);
    cr_expect_str_eq(error.field, "v");
}

Test(rpc_codec, truncated_at_every_byte)
{
    const uint32_t tokens[3] = {1, 2, 3};
    for (int kind = 0; kind < 2; kind++) {
        struct ss_request request;
        struct ss_writer writer;
        struct ss_wire_error error;
        fill_submit(&request, kind ? tokens : 0);
        encode(&request, &writer);
        for (size_t size = 0; size < writer.buffer.size; size++) {
            /* In a block of its own, so that a sanitizer sees a read past the end. */
            char *copy = malloc(size ? size : 1);
            memcpy(copy, writer.buffer.data, size);
            cr_assert_eq(decode(copy, size, &error), SS_INVALID, "%zu bytes were accepted", size);
            free(copy);
        }
        ss_writer_close(&writer);
    }
}

Test(rpc_codec, every_byte_changed)
{
    struct ss_request request;
    struct ss_writer writer;
    struct ss_wire_error error;
    fill_submit(&request, 0);
    encode(&request, &writer);
    size_t refused = 0;
    for (size_t at = 0; at < writer.buffer.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            writer.buffer.data[at] ^= (char)(1 << bit);
            refused += decode(writer.buffer.data, writer.buffer.size, &error) != SS_OK;
            writer.buffer.data[at] ^= (char)(1 << bit);
        }
    cr_expect_gt(refused, writer.buffer.size);
    cr_expect_eq(decode(writer.buffer.data, writer.buffer.size, &error), SS_OK);
    ss_writer_close(&writer);
}

Test(rpc_codec, utf8)
{
    static const struct {
        const char *bytes;
        size_t size, valid;
    } cases[] = {
        {"", 0, 0},
        {"a\0b", 3, 3},
        {"\xc3\xa9", 2, 2},
        {"\xe2\x82\xac", 3, 3},
        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xf4\x90\x80\x80", 4, 0}, /* over U+10FFFF */
        {"\xed\xa0\x80", 3, 0},     /* a surrogate */
        {"\xc0\xaf", 2, 0},         /* overlong */
        {"\xe0\x9f\xbf", 3, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"x\xe2\x82", 3, 1}, /* cut */
        {"x\x80", 2, 1},
        {"\xff", 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(ss_utf8_valid_bytes(cases[i].bytes, cases[i].size), cases[i].valid, "case %zu",
                     i);
}
