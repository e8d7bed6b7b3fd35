/* What moves between host and devices, and how fast.
 *
 * A fluid model: between changes of what moves, every copy has a constant rate, so a run of pieces
 * with nothing else to do for its link is one event. When a copy begins or ends where its rank's
 * link was idle before or is idle after, all rates are shared out anew. */
#include <math.h>

#include "engine/sim/internal.h"

static void count_left(const struct ss_sim_group *group, struct ss_sim_flow *flow)
{
    double passed_ns = (double)(group->now_ns - flow->since_ns);
    if (flow->ns_per_byte > 0)
        flow->bytes_left -= passed_ns / flow->ns_per_byte;
    if (flow->bytes_left < 0)
        flow->bytes_left = 0;
    flow->since_ns = group->now_ns;
}

static void schedule(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     enum ss_sim_flow_kind kind)
{
    struct ss_sim_flow *flow = &rank->flows[kind];
    flow->ns_per_byte = 1e9 / flow->rate + flow->latency_ns_per_byte;
    uint64_t left_ns = (uint64_t)(flow->bytes_left * flow->ns_per_byte + 0.5);
    ss_sim_at(group, group->now_ns + left_ns,
              (struct ss_sim_event){.kind = SS_SIM_FLOW_OVER,
                                    .a = rank->index | (uint32_t)kind << 16,
                                    .number = ++flow->serial});
}

void ss_sim_flow_start(struct ss_sim_group *group, struct ss_sim_rank *rank,
                       enum ss_sim_flow_kind kind, uint64_t bytes, uint64_t latency_ns)
{
    struct ss_sim_flow *flow = &rank->flows[kind];
    SS_ASSERT(!flow->active);
    flow->active = true;
    flow->bytes = bytes > 0 ? bytes : 1;
    flow->bytes_left = (double)flow->bytes;
    flow->latency_ns_per_byte = (double)latency_ns / (double)flow->bytes;
    flow->ns_per_byte = 0;
    flow->since_ns = group->now_ns;
    if (!flow->shares) {
        group->flows_changed++;
        return;
    }
    group->flows_changed--; /* one ended here in the same moment */
    schedule(group, rank, kind);
}

void ss_sim_flow_cut(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     enum ss_sim_flow_kind kind, uint64_t piece_bytes)
{
    struct ss_sim_flow *flow = &rank->flows[kind];
    SS_ASSERT(flow->active);
    count_left(group, flow);
    double moved = (double)flow->bytes - flow->bytes_left;
    uint64_t pieces = (uint64_t)(moved / (double)piece_bytes) + 1;
    if (flow->bytes / piece_bytes < pieces)
        return;
    flow->bytes = pieces * piece_bytes;
    flow->bytes_left = (double)flow->bytes - moved;
    if (flow->shares)
        schedule(group, rank, kind);
}

uint64_t ss_sim_flow_over(struct ss_sim_group *group, struct ss_sim_rank *rank,
                          enum ss_sim_flow_kind kind, uint64_t serial)
{
    struct ss_sim_flow *flow = &rank->flows[kind];
    if (!flow->active || serial != flow->serial)
        return 0;
    if (kind == SS_SIM_FLOW_LOAD)
        ss_sim_count_time(group, rank);
    flow->active = false;
    group->flows_changed++;
    return flow->bytes;
}

/* Of what is short, where a copy to the device has 1. */
static double share_of(const struct ss_sim_costs *costs, enum ss_sim_flow_kind kind)
{
    return kind == SS_SIM_FLOW_UNLOAD && costs->to_host_share > 0 ? costs->to_host_share : 1;
}

/* The rate that a rank's link leaves the flow, were the host's memory without limit. */
static double limit_of(const struct ss_sim_costs *costs, const struct ss_sim_rank *rank,
                       enum ss_sim_flow_kind kind)
{
    const struct ss_sim_flow *flows = rank->flows;
    bool load = flows[SS_SIM_FLOW_LOAD].active, restore = flows[SS_SIM_FLOW_RESTORE].active;
    bool out = kind == SS_SIM_FLOW_UNLOAD;
    double limit = out ? costs->to_host_bytes_per_s : costs->link_bytes_per_s;
    if (costs->both_bytes_per_s > 0 && flows[SS_SIM_FLOW_UNLOAD].active && (load || restore)) {
        double share = share_of(costs, SS_SIM_FLOW_UNLOAD);
        double to_host = costs->both_bytes_per_s * share / (1 + share);
        to_host = to_host < costs->to_host_bytes_per_s ? to_host : costs->to_host_bytes_per_s;
        double most = out ? to_host : costs->both_bytes_per_s - to_host;
        limit = limit < most ? limit : most;
    }
    return limit * rank->tenths / 10.0 / (!out && load && restore ? 2 : 1);
}

/* The part of the host's memory that a byte per second takes. */
static double weight_of(const struct ss_sim_costs *costs, enum ss_sim_flow_kind kind)
{
    double total = kind == SS_SIM_FLOW_UNLOAD ? costs->to_host_total_bytes_per_s
                                              : costs->link_total_bytes_per_s;
    return total > 0 ? 1 / total : 0;
}

/* The rate, of a share of 1, that is all that those who could use more get (progressive filling:
 * Bertsekas and Gallager, Data Networks, section 6.5.2). */
static double fair_rate(struct ss_sim_group *group, uint32_t count)
{
    double left = 1, level = INFINITY, *limits = group->flow_limits;
    const double *weights = group->flow_weights;
    for (bool any = true; any;) {
        double weight = 0;
        any = false;
        for (uint32_t i = 0; i < count; i++)
            weight += limits[i] > 0 ? weights[i] : 0;
        level = weight > 0 ? left / weight : INFINITY;
        for (uint32_t i = 0; i < count && weight > 0; i++) {
            if (limits[i] <= 0 || limits[i] > level)
                continue;
            left -= limits[i] * weights[i];
            limits[i] = 0; /* has all that it can use */
            any = true;
        }
    }
    return level;
}

void ss_sim_flow_share(struct ss_sim_group *group)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    uint32_t count = 0, places = group->rank_count * SS_SIM_FLOWS;
    group->flows_changed = 0;
    for (uint32_t i = 0; i < places; i++) {
        struct ss_sim_rank *rank = &group->ranks[i / SS_SIM_FLOWS];
        enum ss_sim_flow_kind kind = (enum ss_sim_flow_kind)(i % SS_SIM_FLOWS);
        struct ss_sim_flow *flow = &rank->flows[kind];
        flow->shares = flow->active;
        if (!flow->active)
            continue;
        double share = share_of(costs, kind);
        group->flow_limits[count] = limit_of(costs, rank, kind) / share;
        group->flow_weights[count++] = weight_of(costs, kind) * share;
    }
    double level = fair_rate(group, count);
    for (uint32_t i = 0; i < places; i++) {
        struct ss_sim_rank *rank = &group->ranks[i / SS_SIM_FLOWS];
        enum ss_sim_flow_kind kind = (enum ss_sim_flow_kind)(i % SS_SIM_FLOWS);
        struct ss_sim_flow *flow = &rank->flows[kind];
        if (!flow->active)
            continue;
        double limit = limit_of(costs, rank, kind), rate = level * share_of(costs, kind);
        rate = limit < rate ? limit : rate;
        if (rate == flow->rate && flow->ns_per_byte > 0)
            continue;
        count_left(group, flow);
        flow->rate = rate;
        schedule(group, rank, kind);
    }
}

void ss_sim_count_time(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    const struct ss_sim_stage *stage = &group->stages[rank->stage];
    uint64_t passed_ns = group->now_ns - rank->since_ns;
    bool loads = rank->flows[SS_SIM_FLOW_LOAD].active;
    bool computes = stage->first && stage->first->running;
    rank->since_ns = group->now_ns;
    rank->times.load_ns += loads ? passed_ns : 0;
    rank->times.compute_ns += computes ? passed_ns : 0;
    rank->times.hidden_ns += loads && computes ? passed_ns : 0;
}
