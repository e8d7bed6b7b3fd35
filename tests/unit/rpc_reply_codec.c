/* Answers: what the server encodes is what the client reads, and a client survives any bytes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/wire/reply_codec.h"

#define BYTES_MAX (1 << 20)

struct round {
    struct ss_writer writer;
    struct ss_frame frame;
    struct ss_reply out;
};

static void round_trip(struct round *round, const struct ss_reply *in)
{
    struct ss_wire_error error;
    memset(round, 0, sizeof *round);
    ss_writer_open(&round->writer);
    ss_reply_encode(&round->writer, in);
    cr_assert_eq(ss_writer_check(&round->writer), SS_OK);
    enum ss_status status =
        ss_reply_decode(&round->frame, round->writer.buffer.data, round->writer.buffer.size,
                        BYTES_MAX, &round->out, &error);
    cr_assert_eq(status, SS_OK, "%s: %s: %s", ss_reply_kind_name(in->kind), error.field,
                 error.message);
    cr_expect_eq(round->out.kind, in->kind);
    cr_expect_eq(round->out.has_id, in->has_id);
    cr_expect_eq(round->out.id, in->id);
    cr_expect_eq(round->out.seq, in->seq);
    cr_expect_eq(round->out.fin, in->kind != SS_REPLY_TOKENS && in->kind != SS_REPLY_PROBE);
}

static void end(struct round *round)
{
    ss_frame_close(&round->frame);
    ss_writer_close(&round->writer);
}

static const uint32_t tokens[3] = {5, 0, SS_TOKEN_ID_MAX};

static struct ss_reply done_reply(void)
{
    return (struct ss_reply){.kind = SS_REPLY_DONE,
                             .has_id = true,
                             .id = 123456789012345,
                             .seq = 7,
                             .finish = {.rest = {{"\xc3\xa9 end", 6}, tokens, 3},
                                        .reason = SS_FINISH_STOP,
                                        .usage = {11, 13},
                                        .timing = {1, 2, UINT64_MAX, true}}};
}

Test(rpc_reply_codec, tokens)
{
    struct round round;
    struct ss_reply in = {.kind = SS_REPLY_TOKENS,
                          .has_id = true,
                          .id = 1,
                          .seq = UINT32_MAX,
                          .piece = {{"a\0b", 3}, tokens, 3}};
    round_trip(&round, &in);
    cr_assert_eq(round.out.piece.text.bytes, 3);
    cr_expect_arr_eq(round.out.piece.text.data, "a\0b", 3);
    cr_assert_eq(round.out.piece.token_count, 3);
    cr_expect_arr_eq(round.out.piece.tokens, tokens, sizeof tokens);
    end(&round);
}

Test(rpc_reply_codec, done)
{
    struct round round;
    struct ss_reply in = done_reply();
    round_trip(&round, &in);
    const struct ss_finish *out = &round.out.finish;
    cr_assert_eq(out->rest.text.bytes, 6);
    cr_expect_arr_eq(out->rest.text.data, "\xc3\xa9 end", 6);
    cr_expect_eq(out->rest.token_count, 3);
    cr_expect_eq(out->reason, SS_FINISH_STOP);
    cr_expect_eq(out->usage.prompt_tokens, 11);
    cr_expect_eq(out->usage.completion_tokens, 13);
    cr_expect_eq(out->timing.queue_ns, 1);
    cr_expect_eq(out->timing.first_token_ns, 2);
    cr_expect_eq(out->timing.total_ns, UINT64_MAX);
    cr_expect(out->timing.cold);
    end(&round);
}

Test(rpc_reply_codec, errors)
{
    for (int code = 0; code < SS_ERROR_CODES; code++) {
        struct round round;
        struct ss_reply in = {.kind = SS_REPLY_ERROR,
                              .has_id = code > 0,
                              .id = (uint64_t)code,
                              .error = {.code = (enum ss_error_code)code,
                                        .field = code % 2 ? "prompt" : 0,
                                        .message = "found this, want that"}};
        round_trip(&round, &in);
        cr_expect_eq((int)round.out.error.code, code);
        cr_expect_str_eq(round.out.error.message, "found this, want that");
        if (code % 2)
            cr_expect_str_eq(round.out.error.field, "prompt");
        else
            cr_expect_null(round.out.error.field);
        end(&round);
    }
}

Test(rpc_reply_codec, a_message_cut_in_a_character_is_cut_before_it)
{
    struct round round;
    struct ss_reply in = {.kind = SS_REPLY_ERROR, .error = {.message = "caf\xc3"}};
    round_trip(&round, &in);
    cr_expect_str_eq(round.out.error.message, "caf");
    end(&round);
}

Test(rpc_reply_codec, ok_and_probe)
{
    struct round round;
    struct ss_reply plain = {.kind = SS_REPLY_OK, .has_id = true, .id = 3};
    struct ss_reply cancel = {.kind = SS_REPLY_OK, .has_id = true, .id = 3, .ok = {true, true}};
    struct ss_reply probe = {.kind = SS_REPLY_PROBE};
    round_trip(&round, &plain);
    cr_expect_not(round.out.ok.of_cancel);
    end(&round);
    round_trip(&round, &cancel);
    cr_expect(round.out.ok.of_cancel && round.out.ok.found);
    end(&round);
    round_trip(&round, &probe);
    end(&round);
}

Test(rpc_reply_codec, status)
{
    struct round round;
    char name[400];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const struct ss_model_report models[2] = {
        {"a", "opt", SS_MODEL_LOADING, 1, 2, 3, 4, 5, 6, 7, 8, 9},
        {name, 0, SS_MODEL_RESIDENT, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    };
    const struct ss_rank_report ranks[1] = {{1, 2, 3, "cuda", "host", 4, 5, 6, NAN}};
    struct ss_reply in = {
        .kind = SS_REPLY_STATUS,
        .has_id = true,
        .status = {"1.2", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, true, models, 2, ranks, 1}};
    round_trip(&round, &in);
    const struct ss_server_status *out = &round.out.status;
    cr_expect_str_eq(out->version, "1.2");
    const uint64_t totals[] = {
        out->uptime_ns,         out->accepted, out->answered, out->refused, out->queued,
        out->running,           out->loads,    out->guesses,  out->drops,   out->bytes_loaded,
        out->bytes_copied_back, out->load_ns,  out->hidden_ns};
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
        cr_expect_eq(totals[i], i + 1, "total %zu", i);
    cr_expect(out->draining);
    cr_assert_eq(out->model_count, 2);
    cr_assert_eq(out->rank_count, 1);
    const struct ss_model_report *model = &out->models[0];
    cr_expect_str_eq(model->name, "a");
    cr_expect_str_eq(model->family, "opt");
    cr_expect_eq(model->state, SS_MODEL_LOADING);
    const uint64_t counts[] = {model->total_bytes,     model->resident_bytes, model->chunks,
                               model->resident_chunks, model->queued,         model->running,
                               model->answered,        model->loads,          model->tokens};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        cr_expect_eq(counts[i], i + 1, "count %zu", i);
    cr_expect_eq(strlen(out->models[1].name), SS_REPORT_NAME_BYTES_MAX);
    cr_expect_str_eq(out->models[1].family, "");
    const struct ss_rank_report *rank = &out->ranks[0];
    cr_expect(rank->rank == 1 && rank->stage == 2 && rank->tp == 3);
    cr_expect_str_eq(rank->device, "cuda");
    cr_expect_str_eq(rank->host, "host");
    cr_expect(rank->pool_bytes == 4 && rank->pool_used_bytes == 5 && rank->bytes_loaded == 6);
    cr_expect_eq(rank->busy, 0);
    end(&round);
}

Test(rpc_reply_codec, models)
{
    struct round round;
    const struct ss_model_info models[1] = {{"m", "llama", SS_MODEL_PARTIAL, 1, 2, 3, true}};
    struct ss_reply in = {.kind = SS_REPLY_MODELS, .has_id = true, .models = {models, 1}};
    round_trip(&round, &in);
    cr_assert_eq(round.out.models.count, 1);
    const struct ss_model_info *out = &round.out.models.list[0];
    cr_expect_str_eq(out->name, "m");
    cr_expect_str_eq(out->family, "llama");
    cr_expect_eq(out->state, SS_MODEL_PARTIAL);
    cr_expect(out->total_bytes == 1 && out->context_tokens == 2 && out->vocab_tokens == 3);
    cr_expect(out->text);
    end(&round);
}

Test(rpc_reply_codec, seq_is_put_in_later)
{
    struct round round;
    struct ss_reply in = done_reply();
    struct ss_wire_error error;
    struct ss_reply out;
    round_trip(&round, &in);
    ss_reply_set_seq(round.writer.buffer.data, round.writer.buffer.size, 0x01020304);
    cr_assert_eq(ss_reply_decode(&round.frame, round.writer.buffer.data, round.writer.buffer.size,
                                 BYTES_MAX, &out, &error),
                 SS_OK);
    cr_expect_eq(out.seq, 0x01020304);
    cr_expect_eq(out.id, in.id);
    end(&round);
}

Test(rpc_reply_codec, truncated_and_changed)
{
    struct round round;
    struct ss_reply in = done_reply();
    struct ss_reply out;
    struct ss_frame frame = {0};
    struct ss_wire_error error;
    round_trip(&round, &in);
    for (size_t size = 0; size < round.writer.buffer.size; size++) {
        char *copy = malloc(size ? size : 1);
        memcpy(copy, round.writer.buffer.data, size);
        cr_assert_eq(ss_reply_decode(&frame, copy, size, BYTES_MAX, &out, &error), SS_INVALID,
                     "%zu bytes were accepted", size);
        free(copy);
    }
    size_t refused = 0;
    for (size_t at = 0; at < round.writer.buffer.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            round.writer.buffer.data[at] ^= (char)(1 << bit);
            refused += ss_reply_decode(&frame, round.writer.buffer.data, round.writer.buffer.size,
                                       BYTES_MAX, &out, &error) != SS_OK;
            round.writer.buffer.data[at] ^= (char)(1 << bit);
        }
    cr_expect_gt(refused, round.writer.buffer.size);
    ss_frame_close(&frame);
    end(&round);
}

Test(rpc_reply_codec, what_a_newer_server_might_say)
{
    struct ss_writer writer;
    struct ss_frame frame = {0};
    struct ss_wire_error error;
    struct ss_reply out;
    ss_writer_open(&writer);
    struct ss_map_mark map = ss_write_map_begin(&writer);
    ss_write_key(&writer, "v");
    ss_write_u64(&writer, 1);
    ss_write_key(&writer, "id");
    ss_write_u64(&writer, 4);
    ss_write_key(&writer, "op");
    ss_write_string(&writer, "confetti");
    ss_write_key(&writer, "fin");
    ss_write_bool(&writer, true);
    ss_write_map_end(&writer, map);
    cr_assert_eq(
        ss_reply_decode(&frame, writer.buffer.data, writer.buffer.size, BYTES_MAX, &out, &error),
        SS_UNSUPPORTED);
    cr_expect_eq(out.kind, SS_REPLY_KINDS);
    cr_expect(out.has_id && out.id == 4 && out.fin);
    ss_frame_close(&frame);
    ss_writer_close(&writer);
}
