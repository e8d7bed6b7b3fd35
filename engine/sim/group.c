/* The controller's driver: events in, actions out, its timer; and what becomes of each event. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "engine/sim/internal.h"

#define ACTIONS_MAX  64
#define TOGETHER_MAX 16 /* SS_ACTIONS_MIN: as many as every step takes */

/* A timer far ahead is looked at again so soon: most are replaced before they are due, and their
 * events would fill the queue. */
#define TIMER_LOOK_NS (100 * SS_NS_PER_MS)

static void look_at_timer(struct ss_sim_group *group)
{
    uint64_t at_ns = group->timer_ns, soon_ns = group->now_ns + TIMER_LOOK_NS;
    if (at_ns == UINT64_MAX)
        return;
    at_ns = at_ns < soon_ns ? at_ns : soon_ns;
    if (group->timer_event_ns <= at_ns)
        return;
    group->timer_event_ns = at_ns;
    ss_sim_at(group, at_ns, (struct ss_sim_event){.kind = SS_SIM_TIMER});
}

static void carry_out(struct ss_sim_group *group, const struct ss_action *action)
{
    if (group->options.see)
        group->options.see(group->options.user, action);
    if (action->kind == SS_ACTION_SEND) {
        ss_sim_entry_send(group, &action->entry);
    } else if (action->kind == SS_ACTION_TIMER) {
        group->timer_ns = action->at_ns > group->now_ns ? action->at_ns : group->now_ns;
        look_at_timer(group);
    } else {
        group->options.act(group->options.user, action);
    }
}

void ss_sim_group_feed(struct ss_sim_group *group, uint64_t now_ns, const struct ss_event *events,
                       uint32_t count)
{
    struct ss_action actions[ACTIONS_MAX];
    uint32_t actions_max = group->options.actions_max, made;
    group->now_ns = now_ns;
    do {
        uint64_t begun_ns = group->options.timed ? group->options.clock() : 0;
        made = ss_controller_step(group->controller, now_ns, events, count, actions, actions_max);
        if (group->options.timed)
            group->options.timed(group->options.user, group->options.clock() - begun_ns);
        group->decisions++;
        if (group->options.check)
            ss_controller_check(group->controller);
        for (uint32_t i = 0; i < made; i++)
            carry_out(group, &actions[i]);
        count = 0;
    } while (made == actions_max);
}

static void take_timer(struct ss_sim_group *group)
{
    static const struct ss_event timer = {.kind = SS_EVENT_TIMER};
    if (group->now_ns != group->timer_event_ns)
        return; /* replaced by an earlier one */
    group->timer_event_ns = UINT64_MAX;
    if (group->now_ns == group->timer_ns) {
        group->timer_ns = UINT64_MAX;
        ss_sim_group_feed(group, group->now_ns, &timer, 1);
    }
    look_at_timer(group);
}

static bool goes_with(const struct ss_sim_event *next, const struct ss_sim_event *event)
{
    return next && next->at_ns == event->at_ns && next->kind == SS_SIM_REPORT &&
           next->group == event->group;
}

/* Hands the event's report to the controller, and with it those that come at the same time. */
static void take_reports(struct ss_sim_group *group, const struct ss_sim_event *event)
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
            ss_sim_report_free(group, next.subject);
    }
    for (uint32_t i = 0; i < count; i++)
        given[i] = (struct ss_event){.kind = SS_EVENT_REPORT, .report = reports[i]};
    ss_sim_group_feed(group, event->at_ns, given, count);
    for (uint32_t i = 0; i < count; i++)
        ss_sim_report_free(group, reports[i]);
}

void ss_sim_group_happen(struct ss_sim_group *group, const struct ss_sim_event *event)
{
    struct ss_sim_stage *stage = &group->stages[0];
    group->now_ns = event->at_ns;
    group->events++;
    switch ((enum ss_sim_kind)event->kind) {
    case SS_SIM_ENTRY_AT_STAGE:
        ss_sim_intake(group, &group->stages[event->a], event->subject);
        break;
    case SS_SIM_FLOW_OVER:
        ss_sim_stage_moved(group, &group->ranks[ss_sim_flow_rank(event)], ss_sim_flow_kind(event),
                           event->number);
        break;
    case SS_SIM_COMPUTED:
        ss_sim_stage_computed(group, &group->stages[event->a]);
        break;
    case SS_SIM_INPUT_AT_STAGE:
        stage = &group->stages[event->a];
        stage->input = event->number;
        ss_sim_stage_advance(group, stage);
        break;
    case SS_SIM_TOKENS_AT_FIRST:
        stage->tokens = event->number;
        ss_sim_stage_advance(group, stage);
        break;
    case SS_SIM_REPORT:
        take_reports(group, event);
        break;
    case SS_SIM_TIMER:
        take_timer(group);
        break;
    case SS_SIM_KINDS:
        SS_ASSERT(false);
    }
    if (group->flows_changed > 0)
        ss_sim_flow_share(group);
}

static void make_rank(struct ss_sim_group *group, struct ss_sim_stage *stage, uint32_t tp)
{
    const struct ss_controller_options *options = &group->options.controller;
    struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, (int)tp);
    rank->index = stage->index * (uint32_t)group->tp + tp;
    rank->stage = stage->index;
    rank->tp = tp;
    rank->tenths = 10;
    if (!group->options.check)
        return;
    rank->pages =
        ss_sim_store_keep(&group->store, options->pool_pages[stage->index], sizeof *rank->pages);
    rank->spill = ss_sim_store_keep(&group->store, options->spill_blocks, sizeof *rank->spill);
}

static void make_stage(struct ss_sim_group *group, uint32_t index)
{
    const struct ss_controller_options *options = &group->options.controller;
    struct ss_sim_store *store = &group->store;
    struct ss_sim_stage *stage = &group->stages[index];
    uint32_t slots = options->limits.slots_max;
    stage->index = index;
    stage->next_number = 1;
    stage->models = ss_sim_store_keep(store, options->model_count, sizeof *stage->models);
    stage->slots = ss_sim_store_keep(store, slots, sizeof *stage->slots);
    uint32_t *blocks = ss_sim_store_keep(store, (size_t)slots * group->blocks_max, sizeof *blocks);
    for (uint32_t i = 0; i < slots; i++)
        stage->slots[i].blocks = blocks + (size_t)i * group->blocks_max;
    for (int tp = 0; tp < group->tp; tp++)
        make_rank(group, stage, (uint32_t)tp);
}

enum ss_status ss_sim_group_create(const struct ss_sim_options *options, struct ss_sim_queue *queue,
                                   struct ss_sim_group **out)
{
    struct ss_sim_group *group;
    SS_ASSERT(options->actions_max >= SS_ACTIONS_MIN && options->actions_max <= ACTIONS_MAX);
    enum ss_status status = ss_alloc(&group, 1, sizeof *group, "simulated group");
    if (status != SS_OK)
        return status;
    group->options = *options;
    group->queue = queue;
    group->tp = options->controller.tp;
    group->pp = options->controller.pp;
    group->rank_count = (uint32_t)(group->tp * group->pp);
    group->timer_ns = group->timer_event_ns = UINT64_MAX;
    group->store.spoil = options->check;
    status = ss_controller_create(&options->controller, &group->controller);
    if (status != SS_OK) {
        ss_free(group);
        return status;
    }
    for (uint32_t i = 0; i < options->controller.model_count; i++) {
        uint32_t blocks = ss_sim_model(group, i)->context_max / options->controller.block_tokens;
        group->blocks_max = blocks + 1 > group->blocks_max ? blocks + 1 : group->blocks_max;
        uint32_t batch = options->controller.models[i].batch_max;
        group->sequences_max = batch > group->sequences_max ? batch : group->sequences_max;
    }
    struct ss_sim_store *store = &group->store;
    group->tokens = ss_sim_store_keep(store, group->sequences_max, sizeof *group->tokens);
    uint32_t flows = SS_SIM_FLOWS * group->rank_count;
    group->ranks = ss_sim_store_keep(store, group->rank_count, sizeof *group->ranks);
    group->stages = ss_sim_store_keep(store, (size_t)group->pp, sizeof *group->stages);
    group->flow_limits = ss_sim_store_keep(store, flows, sizeof *group->flow_limits);
    group->flow_weights = ss_sim_store_keep(store, flows, sizeof *group->flow_weights);
    for (int i = 0; i < group->pp; i++)
        make_stage(group, (uint32_t)i);
    *out = group;
    return SS_OK;
}

void ss_sim_group_destroy(struct ss_sim_group *group)
{
    if (!group)
        return;
    ss_controller_destroy(group->controller);
    for (int i = 0; i < group->pp; i++)
        ss_free(group->stages[i].given_up);
    ss_sim_store_close(&group->store);
    ss_free(group);
}

void ss_sim_group_set_rate(struct ss_sim_group *group, uint32_t rank, uint32_t tenths)
{
    SS_ASSERT(rank < group->rank_count && tenths > 0);
    group->ranks[rank].tenths = tenths;
    if (group->queue->now_ns > group->now_ns)
        group->now_ns = group->queue->now_ns;
    ss_sim_flow_share(group);
}
