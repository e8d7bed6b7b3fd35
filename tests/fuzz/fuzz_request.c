/* libFuzzer: any bytes as a request, and as an answer. What is refused says why; what is accepted
 * is within the limits and writes itself back to something that reads the same. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "rpc/wire/reply_codec.h"
#include "rpc/wire/request_codec.h"
#include "rpc/wire/utf8.h"

#define BYTES_MAX 65536

static void check_text(struct ss_text text)
{
    SS_ASSERT(ss_utf8_valid_bytes(text.data, text.bytes) == text.bytes);
}

static void check_submit(const struct ss_submit *submit)
{
    SS_ASSERT(submit->has_tokens ? submit->token_count >= 1 : submit->token_count == 0);
    SS_ASSERT(submit->max_tokens >= 1 && submit->max_tokens <= SS_MAX_TOKENS_MAX);
    SS_ASSERT(submit->temperature >= 0 && submit->temperature <= SS_TEMPERATURE_MAX);
    SS_ASSERT(submit->top_p > 0 && submit->top_p <= 1 && submit->top_k <= SS_TOP_K_MAX);
    SS_ASSERT(submit->stop_count <= SS_STOP_STRINGS_MAX);
    SS_ASSERT(submit->stop_token_count <= SS_STOP_TOKENS_MAX);
    SS_ASSERT(submit->deadline_ms <= SS_DEADLINE_MS_MAX && submit->class < SS_CLASSES);
    check_text(submit->prompt);
    for (size_t i = 0; i < submit->stop_count; i++) {
        SS_ASSERT(submit->stop[i].bytes >= 1 && submit->stop[i].bytes <= SS_STOP_BYTES_MAX);
        check_text(submit->stop[i]);
    }
    for (size_t i = 0; i < submit->token_count; i++)
        SS_ASSERT(submit->tokens[i] <= SS_TOKEN_ID_MAX);
}

static void check_request(const struct ss_request *request)
{
    struct ss_frame frame = {0};
    struct ss_wire_error error;
    struct ss_request again;
    struct ss_writer first, second;
    bool has_model =
        request->op == SS_OP_SUBMIT || request->op == SS_OP_LOAD || request->op == SS_OP_DROP;
    SS_ASSERT(!has_model == !request->model);
    if (has_model)
        SS_ASSERT(strlen(request->model) >= 1 && strlen(request->model) <= SS_MODEL_NAME_BYTES_MAX);
    if (request->op == SS_OP_SUBMIT)
        check_submit(&request->submit);
    ss_writer_open(&first);
    ss_writer_open(&second);
    ss_request_encode(&first, request);
    enum ss_status status =
        ss_request_decode(&frame, first.buffer.data, first.buffer.size, SIZE_MAX, &again, &error);
    SS_ASSERT(status == SS_OK);
    ss_request_encode(&second, &again);
    SS_ASSERT(first.buffer.size == second.buffer.size &&
              memcmp(first.buffer.data, second.buffer.data, first.buffer.size) == 0);
    ss_frame_close(&frame);
    ss_writer_close(&first);
    ss_writer_close(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ss_frame frame = {0};
    struct ss_wire_error error;
    struct ss_request request;
    struct ss_reply reply;
    uint64_t id;
    enum ss_status status = ss_request_decode(&frame, data, bytes, BYTES_MAX, &request, &error);
    if (status == SS_OK) {
        check_request(&request);
        SS_ASSERT(error.has_id && error.id == request.id);
        SS_ASSERT(ss_wire_scan_id(data, bytes, &id) && id == request.id);
    } else {
        SS_ASSERT(error.message[0]);
    }
    status = ss_reply_decode(&frame, data, bytes, BYTES_MAX, &reply, &error);
    SS_ASSERT(status == SS_OK || status == SS_UNSUPPORTED || error.message[0]);
    ss_frame_close(&frame);
    return 0;
}
