/* Reports on their way to the controller. */
#include <string.h>

#include "engine/sim/internal.h"

#define TOGETHER_MAX 16 /* SS_ACTIONS_MIN: as many as every step takes */

static size_t bytes_of(const struct ss_report *report)
{
    return sizeof *report + report->token_count * sizeof *report->tokens;
}

static void post(struct ss_sim_group *group, const struct ss_report *report, uint64_t at_ns)
{
    struct ss_report *copy = ss_sim_store_take(&group->store, bytes_of(report));
    struct ss_report_token *tokens = (struct ss_report_token *)(copy + 1);
    *copy = *report;
    if (report->token_count > 0)
        memcpy(tokens, report->tokens, report->token_count * sizeof *tokens);
    copy->tokens = tokens;
    ss_sim_at(group, at_ns, (struct ss_sim_event){.kind = SS_SIM_REPORT, .subject = copy});
}

void ss_sim_report(struct ss_sim_group *group, struct ss_sim_rank *rank,
                   const struct ss_report *given)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    struct ss_report report = *given;
    report.rank = (uint16_t)rank->index;
    report.serial = ++rank->serial;
    report.at_ns = group->now_ns;
    uint64_t jitter = costs->report_jitter_ns ? ss_sim_random(group) % costs->report_jitter_ns : 0;
    uint64_t at_ns = group->now_ns + costs->report_ns + jitter;
    if (costs->late_in && ss_sim_random(group) % costs->late_in == 0)
        at_ns += costs->late_ns;
    if (at_ns < rank->reported_ns)
        at_ns = rank->reported_ns;
    rank->reported_ns = at_ns;
    post(group, &report, at_ns);
    if (costs->duplicate_in && ss_sim_random(group) % costs->duplicate_in == 0)
        post(group, &report, at_ns + ss_sim_random(group) % (10 * costs->report_ns + 1));
}

void ss_sim_report_done(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number)
{
    struct ss_report report = {.kind = SS_REPORT_DONE, .number = number};
    ss_sim_report(group, rank, &report);
}

static bool goes_with(const struct ss_sim_event *next, const struct ss_sim_event *event)
{
    return next && next->at_ns == event->at_ns && next->kind == SS_SIM_REPORT &&
           next->group == event->group;
}

void ss_sim_report_deliver(struct ss_sim_group *group, const struct ss_sim_event *event)
{
    const struct ss_sim_options *options = &group->options;
    struct ss_report *reports[TOGETHER_MAX] = {event->subject};
    struct ss_event given[TOGETHER_MAX];
    struct ss_sim_event next;
    uint32_t count = 1;
    while (count < TOGETHER_MAX && goes_with(ss_sim_queue_first(group->queue), event) &&
           ss_sim_queue_take(group->queue, &next)) {
        group->events++;
        if (!options->lets || options->lets(options->user, &next))
            reports[count++] = next.subject;
        else
            ss_sim_store_give(&group->store, next.subject, bytes_of(next.subject));
    }
    for (uint32_t i = 0; i < count; i++)
        given[i] = (struct ss_event){.kind = SS_EVENT_REPORT, .report = reports[i]};
    ss_sim_group_feed(group, event->at_ns, given, count);
    for (uint32_t i = 0; i < count; i++)
        ss_sim_store_give(&group->store, reports[i], bytes_of(reports[i]));
}
