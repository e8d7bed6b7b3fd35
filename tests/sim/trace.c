/* A run as text: two runs of one seed must write the same bytes. */
#include <inttypes.h>

#include "tests/sim/run_internal.h"

void trace_event(const struct ss_sim_event *event)
{
    fprintf(run.trace, "%" PRIu64 " event %d %" PRIu32, event->at_ns, event->kind, event->a);
    if (event->kind == SS_SIM_REPORT) {
        const struct ss_report *report = event->subject;
        fprintf(run.trace, ": rank %u, report %" PRIu64 ": %d of entry %" PRIu64 ", %" PRIu32,
                report->rank, report->serial, (int)report->kind, report->number, report->count);
        for (uint32_t i = 0; i < report->token_count; i++)
            fprintf(run.trace, " %u:%" PRId32, report->tokens[i].slot, report->tokens[i].token);
    }
    fputc('\n', run.trace);
}

static void trace_entry(const struct ss_entry *entry)
{
    FILE *out = run.trace;
    fprintf(out, "  entry %" PRIu64 " %s: model %u lane %u target %" PRIu64 " slot %u",
            entry->number, ss_entry_kind_name(entry->kind), entry->model, entry->lane,
            entry->target, entry->slot);
    for (uint32_t i = 0; i < entry->placement_count; i++)
        fprintf(out, " %u.%u@%" PRIu32, entry->placements[i].stage, entry->placements[i].chunk,
                entry->placements[i].page);
    for (uint32_t i = 0; i < entry->move_count; i++)
        fprintf(out, " %" PRIu32 ">%" PRIu32 "+%" PRIu32, entry->moves[i].from, entry->moves[i].to,
                entry->moves[i].pages);
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        fprintf(out, " %" PRIu64 "/%u:%" PRIu32 "+%" PRIu32, entry->sequences[i].request,
                entry->sequences[i].slot, entry->sequences[i].position, entry->sequences[i].count);
    for (uint32_t i = 0; i < entry->page_count; i++)
        fprintf(out, " p%" PRIu32, entry->pages[i]);
    for (uint32_t i = 0; i < entry->slot_count; i++)
        fprintf(out, " s%u", entry->slots[i]);
    fputc('\n', out);
}

void trace_action(const struct ss_action *action)
{
    if (action->kind == SS_ACTION_SEND) {
        trace_entry(&action->entry);
        return;
    }
    fprintf(run.trace,
            "  action %d: request %" PRIu64 " token %" PRId32 " count %" PRIu32
            " reason %d at %" PRIu64 "\n",
            (int)action->kind, action->request, action->token, action->count, (int)action->reason,
            action->at_ns);
}
