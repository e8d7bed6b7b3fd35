#include "pipeline/entry/entry.h"

#include "engine/base/memory.h"
#include "pipeline/entry/storage.h"

const char *ss_entry_kind_name(enum ss_entry_kind kind)
{
    static const char *const names[SS_ENTRY_KINDS] = {
        [SS_ENTRY_LOAD] = "load",   [SS_ENTRY_DROP] = "drop",       [SS_ENTRY_MOVE] = "move",
        [SS_ENTRY_BATCH] = "batch", [SS_ENTRY_PROMOTE] = "promote", [SS_ENTRY_CANCEL] = "cancel",
        [SS_ENTRY_SPILL] = "spill", [SS_ENTRY_RESTORE] = "restore", [SS_ENTRY_CLOSE] = "close",
        [SS_ENTRY_STOP] = "stop",
    };
    return (unsigned)kind < SS_ENTRY_KINDS ? names[kind] : "unknown";
}

/* An element is never more than this much larger in memory than on the wire: the opening, whose
 * stop ids have a fixed room, is the worst. */
#define GROWTH_MAX 5
/* Alignment of the arrays and the empty ones' share. */
#define SLACK_BYTES 256

enum ss_status ss_entry_storage_create(size_t message_bytes_max, struct ss_entry_storage **out)
{
    if (message_bytes_max > SIZE_MAX / (2 * GROWTH_MAX))
        return ss_fail(SS_INVALID, "entry storage: a message of %zu bytes is too large",
                       message_bytes_max);
    size_t bytes_max = GROWTH_MAX * message_bytes_max + SLACK_BYTES;
    struct ss_entry_storage *storage;
    enum ss_status status =
        ss_alloc(&storage, 1, sizeof *storage + bytes_max, "storage of decoded entries");
    if (status != SS_OK)
        return status;
    storage->message_bytes_max = message_bytes_max;
    storage->bytes_max = bytes_max;
    *out = storage;
    return SS_OK;
}

void ss_entry_storage_destroy(struct ss_entry_storage *storage)
{
    ss_free(storage);
}
