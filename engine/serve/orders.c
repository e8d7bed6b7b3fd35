/* What the controller orders, on its way to the ranks, up to the last entry. Link thread. */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/serve/live_internal.h"
#include "engine/serve/record.h"

static const struct ss_opening *find_opening(void *user, uint64_t request)
{
    struct ss_live *live = user;
    struct ss_ticket *ticket = ss_ticket_find(live->tickets, request);
    SS_ASSERT(ticket);
    return &ticket->opening;
}

void ss_live_fail(struct ss_live *live)
{
    live->failed = true;
    if (live->rank && !live->leaving)
        ss_rank_leave(live->rank);
    live->leaving = true;
}

void ss_live_send(struct ss_live *live, const struct ss_entry *entry)
{
    size_t bytes;
    if (live->leaving)
        return;
    enum ss_status status =
        ss_entry_encode(entry, find_opening, live, live->message, live->message_bytes_max, &bytes);
    if (!status)
        status =
            ss_rank_send_entry(live->options.link, live->options.catalog->tp, live->message, bytes);
    if (status) {
        SS_ERROR("entry %" PRIu64 " could not be sent: %s", entry->number, ss_status_message());
        ss_live_fail(live);
        return;
    }
    if (live->options.record)
        ss_record_entry(live->options.record, live->message, bytes);
    live->last_entry = entry->number;
    if (entry->kind == SS_ENTRY_LOAD)
        ss_hiding_load_sent(live->hiding, entry->number, ss_now_ns());
}

void ss_live_send_stop(struct ss_live *live)
{
    struct ss_entry stop = {.number = live->last_entry + 1, .kind = SS_ENTRY_STOP};
    ss_live_send(live, &stop);
    live->leaving = true;
}
