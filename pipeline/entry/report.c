#include "engine/base/assert.h"
#include "pipeline/entry/entry.h"
#include "pipeline/entry/little_endian.h"
#include "pipeline/entry/storage.h"
#include "pipeline/entry/wire_sizes.h"

enum ss_status ss_report_encode(const struct ss_report *report, void *buffer, size_t bytes_max,
                                size_t *bytes)
{
    SS_ASSERT((unsigned)report->kind < SS_REPORT_KINDS);
    struct ss_message_writer writer = {.bytes = buffer, .bytes_max = bytes_max};
    ss_put(&writer, SS_MESSAGE_REPORT, 1);
    ss_put(&writer, report->kind, 1);
    ss_put(&writer, report->rank, 2);
    ss_put(&writer, report->serial, 8);
    ss_put(&writer, report->number, 8);
    ss_put(&writer, report->count, 4);
    ss_put(&writer, report->at_ns, 8);
    ss_put(&writer, report->started_ns, 8);
    ss_put(&writer, report->waited_ns, 8);
    ss_put(&writer, report->bytes_to_device, 8);
    ss_put(&writer, report->bytes_to_host, 8);
    ss_put(&writer, report->token_count, 4);
    for (uint32_t i = 0; i < report->token_count; i++) {
        ss_put(&writer, report->tokens[i].slot, 2);
        ss_put(&writer, report->tokens[i].finish, 2);
        ss_put(&writer, (uint32_t)report->tokens[i].token, 4);
    }
    ss_put(&writer, report->message_bytes, 4);
    ss_put_bytes(&writer, report->message, report->message_bytes);
    if (writer.used > bytes_max)
        return ss_fail(SS_FULL, "a report on entry %llu takes %zu bytes, the buffer has %zu",
                       (unsigned long long)report->number, writer.used, bytes_max);
    *bytes = writer.used;
    return SS_OK;
}

static const char *get_tokens(struct ss_message_reader *reader, struct ss_entry_storage *storage,
                              struct ss_report *report)
{
    const char *wrong = 0;
    uint32_t count = ss_get_count(reader, SS_WIRE_REPORT_TOKEN);
    struct ss_report_token *tokens = ss_storage_take(storage, count, sizeof *tokens);
    for (uint32_t i = 0; i < count; i++) {
        tokens[i].slot = (uint16_t)ss_get(reader, 2);
        tokens[i].finish = (uint16_t)ss_get(reader, 2);
        tokens[i].token = (int32_t)ss_get(reader, 4);
        if (tokens[i].finish > SS_ENDING_STOP)
            wrong = "a token's finish is unknown";
    }
    report->token_count = count;
    report->tokens = tokens;
    return wrong;
}

static const char *get_report(struct ss_message_reader *reader, struct ss_entry_storage *storage,
                              struct ss_report *report)
{
    if (ss_get(reader, 1) != SS_MESSAGE_REPORT)
        return "it does not start as a report";
    report->kind = (enum ss_report_kind)ss_get(reader, 1);
    if ((unsigned)report->kind >= SS_REPORT_KINDS)
        return "its kind is unknown";
    report->rank = (uint16_t)ss_get(reader, 2);
    report->serial = ss_get(reader, 8);
    report->number = ss_get(reader, 8);
    report->count = (uint32_t)ss_get(reader, 4);
    report->at_ns = ss_get(reader, 8);
    report->started_ns = ss_get(reader, 8);
    report->waited_ns = ss_get(reader, 8);
    report->bytes_to_device = ss_get(reader, 8);
    report->bytes_to_host = ss_get(reader, 8);
    const char *wrong = get_tokens(reader, storage, report);
    report->message_bytes = ss_get_count(reader, 1);
    char *message = ss_storage_take(storage, report->message_bytes, 1);
    for (uint32_t i = 0; i < report->message_bytes; i++)
        message[i] = (char)ss_get(reader, 1);
    report->message = message;
    if (reader->failed)
        return "more is announced than there is";
    return wrong ? wrong : reader->left > 0 ? "bytes are left over" : 0;
}

enum ss_status ss_report_decode(const void *message, size_t bytes, struct ss_entry_storage *storage,
                                struct ss_report *report)
{
    if (bytes > storage->message_bytes_max)
        return ss_fail(SS_INVALID, "a report message of %zu bytes, expected at most %zu", bytes,
                       storage->message_bytes_max);
    storage->used = 0;
    struct ss_message_reader reader = {.bytes = message, .left = bytes};
    struct ss_report made = {0};
    const char *wrong = get_report(&reader, storage, &made);
    if (wrong)
        return ss_fail(SS_INVALID, "a report of %zu bytes from rank %u on entry %llu: %s", bytes,
                       made.rank, (unsigned long long)made.number, wrong);
    *report = made;
    return SS_OK;
}
