#include <inttypes.h>
#include <string.h>

#include "engine/base/clock.h"
#include "pipeline/stage/internal.h"

void ss_stage_report_full(struct ss_stage *stage, struct ss_report *report)
{
    report->rank = (uint16_t)stage->options.rank;
    report->bytes_to_device = atomic_load(&stage->loaded_bytes);
    report->bytes_to_host = atomic_load(&stage->copied_back_bytes);
    stage->options.report(stage->options.user, report);
}

void ss_stage_report(struct ss_stage *stage, enum ss_report_kind kind, uint64_t number,
                     uint32_t count)
{
    struct ss_report report = {
        .kind = kind, .number = number, .count = count, .at_ns = ss_now_ns()};
    ss_stage_report_full(stage, &report);
}

/* What calls of devices and libraries say names neither. */
static void name_entry(const struct ss_stage *stage, uint64_t number, int model)
{
    const bool one = model >= 0 && (uint32_t)model < stage->options.model_count;
    const char *name = one ? stage->options.models[model].name : 0;
    enum ss_status status =
        ss_status_context(SS_IO, "rank %d: entry %" PRIu64 "%s%s", stage->options.rank, number,
                          name ? " of model " : "", name ? name : "");
    (void)status;
}

void ss_stage_report_failure(struct ss_stage *stage, uint64_t number, int model)
{
    name_entry(stage, number, model);
    const char *message = ss_status_message();
    struct ss_report report = {.kind = SS_REPORT_FAILED,
                               .number = number,
                               .at_ns = ss_now_ns(),
                               .message_bytes = (uint32_t)strlen(message),
                               .message = message};
    ss_stage_report_full(stage, &report);
}

bool ss_stage_is_well(struct ss_stage *stage, uint64_t number, int model)
{
    if (!stage->device->health(stage->options.device))
        return true;
    if (!atomic_exchange(&stage->failure_reported, true))
        ss_stage_report_failure(stage, number, model);
    return false;
}

static void completed(void *argument)
{
    struct completion *completion = argument;
    if (ss_stage_is_well(completion->stage, completion->number, -1))
        ss_stage_report(completion->stage, SS_REPORT_DONE, completion->number, 0);
    atomic_store(&completion->used, false);
}

enum ss_status ss_stage_report_when_done(struct ss_stage *stage, struct ss_stream *stream,
                                         uint64_t number)
{
    struct completion *completion = &stage->completions[stage->next_completion++ % COMPLETIONS_MAX];
    if (atomic_exchange(&completion->used, true))
        return ss_fail(SS_FULL, "entry %llu: more than %d moves, spills and copying drops at once",
                       (unsigned long long)number, COMPLETIONS_MAX);
    completion->stage = stage;
    completion->number = number;
    return stage->device->host_call(stream, completed, completion);
}
