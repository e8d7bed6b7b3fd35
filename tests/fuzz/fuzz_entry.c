/* libFuzzer: any bytes as an entry or a report. What is accepted must write itself back. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "pipeline/entry/entry.h"

#define MESSAGE_BYTES_MAX 65536

static const struct ss_opening *openings;
static uint32_t next;

static const struct ss_opening *next_opening(void *user, uint64_t request)
{
    (void)user;
    (void)request;
    return &openings[next++];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct ss_entry_storage *storage;
    static uint8_t again[MESSAGE_BYTES_MAX];
    if (!storage && ss_entry_storage_create(MESSAGE_BYTES_MAX, &storage) != SS_OK)
        abort();
    struct ss_entry entry;
    struct ss_report report;
    uint32_t opening_count;
    size_t again_bytes = 0;
    enum ss_status status = SS_INVALID;
    if (ss_entry_decode(data, bytes, storage, &entry, &openings, &opening_count) == SS_OK) {
        next = 0;
        status = ss_entry_encode(&entry, next_opening, 0, again, sizeof again, &again_bytes);
    } else if (ss_report_decode(data, bytes, storage, &report) == SS_OK) {
        status = ss_report_encode(&report, again, sizeof again, &again_bytes);
    } else {
        return 0;
    }
    SS_ASSERT(status == SS_OK && again_bytes == bytes && memcmp(again, data, bytes) == 0);
    return 0;
}
