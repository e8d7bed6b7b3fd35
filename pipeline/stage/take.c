#include <inttypes.h>

#include "pipeline/stage/internal.h"

#include "engine/base/clock.h"

static enum ss_status take_kind(struct ss_stage *stage, const struct ss_entry *entry,
                                const struct ss_opening *openings, uint32_t opening_count)
{
    switch (entry->kind) {
    case SS_ENTRY_LOAD:
        return ss_stage_load(stage, entry);
    case SS_ENTRY_DROP:
        return ss_stage_drop(stage, entry);
    case SS_ENTRY_MOVE:
        return ss_stage_move(stage, entry);
    case SS_ENTRY_BATCH:
        return ss_stage_batch(stage, entry, openings, opening_count);
    case SS_ENTRY_PROMOTE:
        ss_transfer_promote(stage->transfer, entry->target);
        return SS_OK;
    case SS_ENTRY_CANCEL:
        ss_transfer_cancel(stage->transfer, entry->target);
        return SS_OK;
    case SS_ENTRY_SPILL:
        return ss_stage_spill(stage, entry);
    case SS_ENTRY_RESTORE:
        return ss_stage_restore(stage, entry);
    case SS_ENTRY_CLOSE:
        return ss_stage_close(stage, entry);
    case SS_ENTRY_STOP:
        return ss_stage_report_when_done(stage, stage->compute, entry->number);
    case SS_ENTRY_KINDS:
        break;
    }
    return ss_fail(SS_INVALID, "unknown kind %d", (int)entry->kind);
}

/* A move or a close may be of several models. */
static int model_of(const struct ss_entry *entry)
{
    bool one = entry->kind == SS_ENTRY_LOAD || entry->kind == SS_ENTRY_DROP ||
               entry->kind == SS_ENTRY_BATCH;
    return one ? entry->model : -1;
}

enum ss_status ss_stage_take(struct ss_stage *stage, const struct ss_entry *entry,
                             const struct ss_opening *openings, uint32_t opening_count)
{
    uint64_t begin = ss_now_ns();
    struct place *place = &stage->place;
    int model = -1; /* a device that has failed did so in earlier work */
    enum ss_status status = SS_OK;
    if (entry->number != stage->next_number)
        status = ss_fail(SS_INVALID, "entry %" PRIu64 " came where %" PRIu64 " was due",
                         entry->number, stage->next_number);
    if (!status)
        status = stage->device->health(stage->options.device);
    if (!status) {
        model = model_of(entry);
        atomic_store(&place->kind, (int)entry->kind);
        atomic_store(&place->model, model);
        atomic_store(&place->chunk, -1);
        atomic_store(&place->since_ns, begin);
        atomic_store(&place->entry, entry->number);
        status = take_kind(stage, entry, openings, opening_count);
    }
    atomic_store(&place->entry, 0);
    if (status) {
        ss_stage_report_failure(stage, entry->number, model);
        return status;
    }
    atomic_store(&place->taken, entry->number);
    stage->next_number++;
    ss_trace_span(stage->options.trace, SS_TRACE_ENTRIES, ss_entry_kind_name(entry->kind), model,
                  entry->number, begin, ss_now_ns());
    return SS_OK;
}
