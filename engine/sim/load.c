/* A rank's link: loads move chunk by chunk, in pieces; demand before prefetch, and in a lane in
 * order; a load whose next chunk has no free destination yet lets others go ahead. */
#include "engine/sim/internal.h"

static uint64_t chunk_bytes(const struct ss_sim_group *group, const struct ss_sim_rank *rank,
                            const struct ss_sim_load *load)
{
    uint16_t model = load->entry->entry.model;
    return ss_sim_model(group, model)->chunk_bytes[rank->stage][load->chunks[load->done]];
}

static struct ss_sim_load *make(struct ss_sim_group *group, const struct ss_sim_rank *rank,
                                struct ss_sim_entry *entry)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < entry->entry.placement_count; i++)
        count += entry->entry.placements[i].stage == rank->stage;
    size_t each = sizeof(uint64_t) + 2 * sizeof(uint32_t);
    size_t bytes = sizeof(struct ss_sim_load) + count * each;
    struct ss_sim_load *load = ss_sim_store_take(&group->store, bytes);
    *load = (struct ss_sim_load){.entry = ss_sim_entry_use(entry), .bytes = bytes};
    load->free_values = (uint64_t *)(load + 1);
    load->chunks = (uint32_t *)(load->free_values + count);
    load->pages = load->chunks + count;
    return load;
}

static void append(struct ss_sim_rank *rank, struct ss_sim_load *load, int lane)
{
    struct ss_sim_load **end = &rank->lanes[lane];
    while (*end)
        end = &(*end)->next;
    *end = load;
    load->next = 0;
}

static bool take_from(struct ss_sim_load **list, const struct ss_sim_load *load)
{
    while (*list && *list != load)
        list = &(*list)->next;
    if (!*list)
        return false;
    *list = load->next;
    return true;
}

static void end_load(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_load *load)
{
    for (uint32_t i = load->done; i < load->count; i++)
        ss_sim_audit_load_end(group, rank, load, i, false);
    if (!take_from(&rank->lanes[0], load))
        take_from(&rank->lanes[1], load);
    struct ss_report report = {
        .kind = SS_REPORT_LOAD_ENDED, .number = load->entry->entry.number, .count = load->done};
    ss_sim_report(group, rank, &report);
    group->stages[rank->stage].models[load->entry->entry.model].moving--;
    ss_sim_entry_leave(group, load->entry);
    ss_sim_store_give(&group->store, load, load->bytes);
}

void ss_sim_load_add(struct ss_sim_group *group, struct ss_sim_rank *rank,
                     struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_sim_stage *stage = &group->stages[rank->stage];
    const struct ss_controller_model *model = ss_sim_model(group, entry->model);
    struct ss_sim_load *load = make(group, rank, taken);
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != rank->stage)
            continue;
        uint32_t end = placement->page + model->chunk_pages[rank->stage][placement->chunk];
        load->chunks[load->count] = placement->chunk;
        load->pages[load->count] = placement->page;
        load->free_values[load->count++] = ss_sim_free_value(stage, placement->page, end);
        ss_sim_audit_load_take(group, rank, load, load->count - 1);
    }
    append(rank, load, entry->lane == SS_ENTRY_LANE_PREFETCH);
    if (load->count == 0)
        end_load(group, rank, load);
    else
        ss_sim_load_advance(group, rank);
}

static struct ss_sim_load *find(struct ss_sim_load *list, uint64_t number)
{
    while (list && list->entry->entry.number != number)
        list = list->next;
    return list;
}

void ss_sim_load_promote(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number)
{
    struct ss_sim_load *load = find(rank->lanes[SS_ENTRY_LANE_PREFETCH], number);
    if (!load)
        return;
    take_from(&rank->lanes[SS_ENTRY_LANE_PREFETCH], load);
    append(rank, load, SS_ENTRY_LANE_DEMAND);
    if (rank->moving == load)
        rank->moving_lane = SS_ENTRY_LANE_DEMAND;
    ss_sim_load_advance(group, rank);
}

void ss_sim_load_cancel(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number)
{
    struct ss_sim_load *load = find(rank->lanes[0], number);
    if (!load)
        load = find(rank->lanes[1], number);
    if (!load)
        return;
    load->cancelled = true;
    if (rank->moving == load)
        ss_sim_flow_cut(group, rank, SS_SIM_FLOW_LOAD, group->options.costs.piece_bytes);
    else
        end_load(group, rank, load);
    ss_sim_load_advance(group, rank);
}

/* The first load of the lane whose next piece has a free destination. */
static struct ss_sim_load *first_of(const struct ss_sim_group *group,
                                    const struct ss_sim_rank *rank, int lane)
{
    uint64_t computed = group->stages[rank->stage].computed;
    struct ss_sim_load *load = rank->lanes[lane];
    while (load && load->moved_bytes == 0 && load->free_values[load->done] > computed)
        load = load->next;
    return load;
}

static void begin(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_load *load,
                  int lane)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    uint64_t bytes = chunk_bytes(group, rank, load) - load->moved_bytes;
    uint64_t pieces = (bytes + costs->piece_bytes - 1) / costs->piece_bytes;
    if (load->moved_bytes == 0)
        ss_sim_audit_load_begin(group, rank, load, load->done);
    rank->moving = load;
    rank->moving_lane = lane;
    ss_sim_count_time(group, rank);
    ss_sim_flow_start(group, rank, SS_SIM_FLOW_LOAD, bytes, pieces * costs->piece_latency_ns);
}

void ss_sim_load_advance(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    if (rank->moving) {
        /* A demand waits for one piece of a prefetch at most. */
        if (rank->moving_lane == SS_ENTRY_LANE_PREFETCH &&
            first_of(group, rank, SS_ENTRY_LANE_DEMAND))
            ss_sim_flow_cut(group, rank, SS_SIM_FLOW_LOAD, group->options.costs.piece_bytes);
        return;
    }
    int lane = SS_ENTRY_LANE_DEMAND;
    struct ss_sim_load *load = first_of(group, rank, lane);
    if (!load)
        load = first_of(group, rank, lane = SS_ENTRY_LANE_PREFETCH);
    if (load)
        begin(group, rank, load, lane);
}

static void end_chunk(struct ss_sim_group *group, struct ss_sim_rank *rank,
                      struct ss_sim_load *load)
{
    const struct ss_entry *entry = &load->entry->entry;
    struct ss_sim_residency *model = &group->stages[rank->stage].models[entry->model];
    uint32_t chunks = ss_sim_model(group, entry->model)->chunk_count[rank->stage];
    ss_sim_audit_load_end(group, rank, load, load->done, true);
    model->ready[rank->tp * chunks + load->chunks[load->done]] = entry->number;
    load->done++;
    load->moved_bytes = 0;
    struct ss_report report = {
        .kind = SS_REPORT_CHUNKS, .number = entry->number, .count = load->done};
    ss_sim_report(group, rank, &report);
}

void ss_sim_load_moved(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t bytes)
{
    struct ss_sim_load *load = rank->moving;
    uint64_t left = chunk_bytes(group, rank, load) - load->moved_bytes;
    bytes = bytes < left ? bytes : left; /* a chunk without bytes moves as if it had one */
    rank->moving = 0;
    load->moved_bytes += bytes;
    group->loaded_bytes += bytes;
    if (bytes == left)
        end_chunk(group, rank, load);
    if (load->cancelled || load->done == load->count)
        end_load(group, rank, load);
    ss_sim_load_advance(group, rank);
}
