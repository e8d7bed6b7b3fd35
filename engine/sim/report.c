/* Reports on their way to the controller. */
#include <string.h>

#include "engine/sim/internal.h"

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

void ss_sim_report_free(struct ss_sim_group *group, struct ss_report *report)
{
    ss_sim_store_give(&group->store, report, bytes_of(report));
}
