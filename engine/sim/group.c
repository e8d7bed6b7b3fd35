#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/random.h"
#include "engine/sim/internal.h"

void *ss_sim_take(struct ss_sim_group *group, size_t count, size_t size)
{
    if (group->memory_count == group->memory_max) {
        group->memory_max = group->memory_max ? 2 * group->memory_max : 1024;
        enum ss_status grown =
            ss_realloc(&group->memory, group->memory_max, sizeof *group->memory, "simulation");
        SS_ASSERT(grown == SS_OK);
    }
    void *made;
    enum ss_status status = ss_alloc(&made, count, size, "simulation");
    SS_ASSERT(status == SS_OK);
    group->memory[group->memory_count++] = made;
    return made;
}

void ss_sim_fail(struct ss_sim_group *group, const char *format, ...)
{
    if (group->failure[0])
        return;
    int used = snprintf(group->failure, sizeof group->failure,
                        "at %llu ns: ", (unsigned long long)group->now_ns);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(group->failure + used, sizeof group->failure - (size_t)used, format, arguments);
    va_end(arguments);
}

uint64_t ss_sim_random(struct ss_sim_group *group)
{
    return ss_random_u64(group->options.seed, group->random_index++);
}

void ss_sim_at(struct ss_sim_group *group, uint64_t delay_ns, enum ss_sim_kind kind, uint32_t a,
               uint32_t b, void *subject)
{
    ss_sim_queue_add(
        group->queue,
        (struct ss_sim_event){
            .at_ns = group->now_ns + delay_ns, .kind = kind, .a = a, .b = b, .subject = subject});
}

void ss_sim_write(struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag)
{
    for (uint32_t i = 0; i < pages; i++)
        rank->pages[page + i].tag = tag;
}

bool ss_sim_holds(const struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag)
{
    for (uint32_t i = 0; i < pages; i++)
        if (rank->pages[page + i].tag != tag)
            return false;
    return true;
}

void ss_sim_report(struct ss_sim_group *group, struct ss_sim_rank *rank,
                   const struct ss_report *report)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    struct ss_report *copy = ss_sim_take(group, 1, sizeof *copy);
    *copy = *report;
    copy->rank = (uint16_t)rank->index;
    copy->serial = ++rank->serial;
    copy->at_ns = group->now_ns;
    if (report->token_count > 0) {
        struct ss_report_token *tokens = ss_sim_take(group, report->token_count, sizeof *tokens);
        memcpy(tokens, report->tokens, report->token_count * sizeof *tokens);
        copy->tokens = tokens;
    }
    uint64_t jitter = costs->report_jitter_ns ? ss_sim_random(group) % costs->report_jitter_ns : 0;
    uint64_t at_ns = group->now_ns + costs->report_ns + jitter;
    if (costs->late_in && ss_sim_random(group) % costs->late_in == 0)
        at_ns += costs->late_ns;
    if (at_ns < rank->reported_ns)
        at_ns = rank->reported_ns;
    rank->reported_ns = at_ns;
    ss_sim_at(group, at_ns - group->now_ns, SS_SIM_REPORT, 0, 0, copy);
    if (costs->duplicate_in && ss_sim_random(group) % costs->duplicate_in == 0)
        ss_sim_at(group, at_ns - group->now_ns + ss_sim_random(group) % (10 * costs->report_ns + 1),
                  SS_SIM_REPORT, 0, 0, copy);
}

void ss_sim_report_done(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number)
{
    struct ss_report report = {.kind = SS_REPORT_DONE, .number = number};
    ss_sim_report(group, rank, &report);
}

static const void *copy_array(struct ss_sim_group *group, const void *from, size_t count,
                              size_t size)
{
    void *made = ss_sim_take(group, count, size);
    if (count > 0)
        memcpy(made, from, count * size);
    return made;
}

static void send(struct ss_sim_group *group, const struct ss_entry *entry)
{
    if (entry->number != group->last_number + 1) {
        ss_sim_fail(group, "entry %llu follows %llu", (unsigned long long)entry->number,
                    (unsigned long long)group->last_number);
        return;
    }
    group->last_number = entry->number;
    group->entry_counts[entry->kind]++;
    struct ss_sim_entry *copy = ss_sim_take(group, 1, sizeof *copy);
    struct ss_entry *to = &copy->entry;
    *to = *entry;
    to->placements =
        copy_array(group, entry->placements, entry->placement_count, sizeof *entry->placements);
    to->moves = copy_array(group, entry->moves, entry->move_count, sizeof *entry->moves);
    to->sequences =
        copy_array(group, entry->sequences, entry->sequence_count, sizeof *entry->sequences);
    to->pages = copy_array(group, entry->pages, entry->page_count, sizeof *entry->pages);
    to->slots = copy_array(group, entry->slots, entry->slot_count, sizeof *entry->slots);
    SS_ASSERT(entry->sequence_count <= 64);
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        copy->opened[i] = group->options.request(group->options.user, to->sequences[i].request);
    ss_sim_at(group, group->options.costs.hop_ns, SS_SIM_ENTRY_AT_STAGE, 0, 0, copy);
}

static void carry_out(struct ss_sim_group *group, const struct ss_action *action)
{
    if (group->options.see)
        group->options.see(group->options.user, action);
    if (action->kind == SS_ACTION_SEND) {
        send(group, &action->entry);
    } else if (action->kind == SS_ACTION_TIMER) {
        group->timer_ns = action->at_ns > group->now_ns ? action->at_ns : group->now_ns;
        ss_sim_at(group, group->timer_ns - group->now_ns, SS_SIM_TIMER, 0, 0, 0);
    } else {
        group->options.act(group->options.user, action);
    }
}

void ss_sim_group_feed(struct ss_sim_group *group, uint64_t now_ns, const struct ss_event *events,
                       uint32_t count)
{
    struct ss_action actions[64];
    uint32_t actions_max = group->options.actions_max, made;
    SS_ASSERT(actions_max <= 64);
    group->now_ns = now_ns;
    do {
        made = ss_controller_step(group->controller, now_ns, events, count, actions, actions_max);
        if (group->options.check)
            ss_controller_check(group->controller);
        for (uint32_t i = 0; i < made; i++)
            carry_out(group, &actions[i]);
        count = 0;
    } while (made == actions_max);
}

static void take_entry(struct ss_sim_group *group, uint32_t stage, struct ss_sim_entry *entry)
{
    ss_sim_intake(group, &group->stages[stage], entry);
    if ((int)stage + 1 < group->pp)
        ss_sim_at(group, group->options.costs.hop_ns, SS_SIM_ENTRY_AT_STAGE, stage + 1, 0, entry);
}

void ss_sim_group_happen(struct ss_sim_group *group, const struct ss_sim_event *event)
{
    struct ss_event given = {.kind = SS_EVENT_TIMER};
    group->now_ns = event->at_ns;
    switch ((enum ss_sim_kind)event->kind) {
    case SS_SIM_ENTRY_AT_STAGE:
        take_entry(group, event->a, event->subject);
        return;
    case SS_SIM_PIECE_MOVED:
        ss_sim_link_piece_over(group, &group->ranks[event->a]);
        return;
    case SS_SIM_CHUNK_COMPUTED:
        ss_sim_compute_chunk_over(group, &group->stages[event->a]);
        return;
    case SS_SIM_MOVED:
        ss_sim_compute_move_over(group, &group->stages[event->a]);
        return;
    case SS_SIM_INPUT_AT_STAGE:
        group->stages[event->a].input = ((struct ss_sim_entry *)event->subject)->entry.number;
        ss_sim_compute_advance(group, &group->stages[event->a]);
        return;
    case SS_SIM_TOKENS_AT_FIRST:
        group->stages[0].tokens = ((struct ss_sim_entry *)event->subject)->entry.number;
        ss_sim_compute_advance(group, &group->stages[0]);
        return;
    case SS_SIM_UNLOADED:
        ss_sim_unload_over(group, &group->ranks[event->a]);
        return;
    case SS_SIM_RESTORED:
        ss_sim_restore_over(group, &group->ranks[event->a]);
        return;
    case SS_SIM_REPORT:
        given = (struct ss_event){.kind = SS_EVENT_REPORT, .report = event->subject};
        ss_sim_group_feed(group, event->at_ns, &given, 1);
        return;
    case SS_SIM_TIMER:
        if (group->timer_ns == event->at_ns)
            ss_sim_group_feed(group, event->at_ns, &given, 1);
        return;
    case SS_SIM_KINDS:
        break;
    }
    SS_ASSERT(false);
}

static void make_stage(struct ss_sim_group *group, uint32_t index)
{
    const struct ss_controller_options *options = &group->options.controller;
    struct ss_sim_stage *stage = &group->stages[index];
    stage->index = index;
    stage->next_number = 1;
    stage->chunks = ss_sim_take(group, options->model_count, sizeof *stage->chunks);
    for (uint32_t i = 0; i < options->model_count; i++) {
        const struct ss_controller_model *model = &options->models[i];
        uint32_t count = model->chunk_count[index];
        stage->chunks[i] = ss_sim_take(group, count, sizeof *stage->chunks[i]);
        for (uint32_t chunk = 0; chunk < count; chunk++) {
            stage->chunks[i][chunk].pages = model->chunk_pages[index][chunk];
            stage->chunks[i][chunk].bytes = model->chunk_bytes[index][chunk];
        }
    }
    stage->slots = ss_sim_take(group, options->limits.slots_max, sizeof *stage->slots);
    for (uint32_t i = 0; i < options->limits.slots_max; i++)
        stage->slots[i].blocks = ss_sim_take(group, group->blocks_max, sizeof(uint32_t));
    for (int tp = 0; tp < group->tp; tp++) {
        struct ss_sim_rank *rank = ss_sim_rank_of(group, index, tp);
        rank->index = index * (uint32_t)group->tp + (uint32_t)tp;
        rank->stage = index;
        rank->tenths = 10;
        rank->pages = ss_sim_take(group, options->pool_pages[index], sizeof *rank->pages);
        rank->spill = ss_sim_take(group, options->spill_blocks, sizeof *rank->spill);
        rank->ready = ss_sim_take(group, options->model_count, sizeof *rank->ready);
        for (uint32_t i = 0; i < options->model_count; i++)
            rank->ready[i] =
                ss_sim_take(group, options->models[i].chunk_count[index], sizeof *rank->ready[i]);
    }
}

enum ss_status ss_sim_group_create(const struct ss_sim_options *options, struct ss_sim_queue *queue,
                                   struct ss_sim_group **out)
{
    struct ss_sim_group *group;
    enum ss_status status = ss_alloc(&group, 1, sizeof *group, "simulated group");
    if (status != SS_OK)
        return status;
    group->options = *options;
    group->queue = queue;
    group->tp = options->controller.tp;
    group->pp = options->controller.pp;
    group->rank_count = (uint32_t)(group->tp * group->pp);
    status = ss_controller_create(&options->controller, &group->controller);
    if (status != SS_OK) {
        ss_free(group);
        return status;
    }
    for (uint32_t i = 0; i < options->controller.model_count; i++) {
        uint32_t blocks =
            options->controller.models[i].context_max / options->controller.block_tokens + 1;
        group->blocks_max = blocks > group->blocks_max ? blocks : group->blocks_max;
    }
    group->ranks = ss_sim_take(group, group->rank_count, sizeof *group->ranks);
    group->stages = ss_sim_take(group, (size_t)group->pp, sizeof *group->stages);
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
    for (size_t i = 0; i < group->memory_count; i++)
        ss_free(group->memory[i]);
    ss_free(group->memory);
    ss_free(group);
}

void ss_sim_group_set_rate(struct ss_sim_group *group, uint32_t rank, uint32_t tenths)
{
    SS_ASSERT(rank < group->rank_count && tenths > 0);
    group->ranks[rank].tenths = tenths;
}

const char *ss_sim_group_failure(const struct ss_sim_group *group)
{
    return group->failure[0] ? group->failure : 0;
}

const struct ss_controller *ss_sim_group_controller(const struct ss_sim_group *group)
{
    return group->controller;
}

uint64_t ss_sim_group_loaded_bytes(const struct ss_sim_group *group)
{
    return group->loaded_bytes;
}

uint64_t ss_sim_group_copied_back_bytes(const struct ss_sim_group *group)
{
    return group->copied_back_bytes;
}

uint64_t ss_sim_group_entries(const struct ss_sim_group *group, enum ss_entry_kind kind)
{
    return group->entry_counts[kind];
}

int32_t ss_sim_token(uint64_t handle, uint32_t index)
{
    return (int32_t)(ss_random_u64(handle, index) & 0x7fffffff);
}
