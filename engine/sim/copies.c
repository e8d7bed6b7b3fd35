/* A rank's links and copy streams: loads in pieces; KV that leaves and comes back; copying drops.
 */
#include "engine/sim/internal.h"

void ss_sim_link_load(struct ss_sim_group *group, struct ss_sim_rank *rank,
                      struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    struct ss_sim_stage *stage = &group->stages[rank->stage];
    struct ss_sim_load *load = ss_sim_take(group, 1, sizeof *load);
    load->entry = taken;
    load->chunks = ss_sim_take(group, entry->placement_count, sizeof *load->chunks);
    load->pages = ss_sim_take(group, entry->placement_count, sizeof *load->pages);
    load->free_values = ss_sim_take(group, entry->placement_count, sizeof *load->free_values);
    for (uint32_t i = 0; i < entry->placement_count; i++) {
        const struct ss_placement *placement = &entry->placements[i];
        if (placement->stage != rank->stage)
            continue;
        uint32_t pages = stage->chunks[entry->model][placement->chunk].pages;
        load->chunks[load->count] = placement->chunk;
        load->pages[load->count] = placement->page;
        for (uint32_t page = placement->page; page < placement->page + pages; page++) {
            rank->pages[page].busy++;
            if (rank->pages[page].last_use > load->free_values[load->count])
                load->free_values[load->count] = rank->pages[page].last_use;
        }
        load->count++;
    }
    struct ss_sim_load **end = &rank->loads;
    while (*end)
        end = &(*end)->next;
    *end = load;
    ss_sim_link_advance(group, rank);
}

static const struct ss_sim_chunk *chunk_of(const struct ss_sim_group *group,
                                           const struct ss_sim_rank *rank,
                                           const struct ss_sim_load *load, uint32_t index)
{
    return &group->stages[rank->stage].chunks[load->entry->entry.model][load->chunks[index]];
}

static void end_load(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_load *load)
{
    for (uint32_t i = load->done; i < load->count; i++)
        for (uint32_t page = 0; page < chunk_of(group, rank, load, i)->pages; page++)
            rank->pages[load->pages[i] + page].busy--;
    struct ss_sim_load **at = &rank->loads;
    while (*at != load)
        at = &(*at)->next;
    *at = load->next;
    struct ss_report report = {
        .kind = SS_REPORT_LOAD_ENDED, .number = load->entry->entry.number, .count = load->done};
    ss_sim_report(group, rank, &report);
}

void ss_sim_link_cancel(struct ss_sim_group *group, struct ss_sim_rank *rank, uint64_t number)
{
    for (struct ss_sim_load *load = rank->loads, *next; load; load = next) {
        next = load->next;
        if (load->entry->entry.number != number)
            continue;
        load->cancelled = true;
        if (rank->moving != load)
            end_load(group, rank, load);
    }
    ss_sim_link_advance(group, rank);
}

void ss_sim_link_advance(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    while (!rank->moving && rank->loads) {
        struct ss_sim_load *load = rank->loads;
        while (load && load->done < load->count &&
               load->free_values[load->done] > group->stages[rank->stage].computed)
            load = load->next;
        if (!load)
            return;
        if (load->done == load->count) {
            end_load(group, rank, load);
            continue;
        }
        const struct ss_sim_chunk *chunk = chunk_of(group, rank, load, load->done);
        if (load->moved_bytes == 0)
            ss_sim_write(rank, load->pages[load->done], chunk->pages, SS_SIM_GARBAGE);
        uint64_t bytes = chunk->bytes - load->moved_bytes;
        if (bytes > costs->piece_bytes)
            bytes = costs->piece_bytes;
        double rate = costs->link_bytes_per_s * rank->tenths / 10;
        rank->moving = load;
        rank->piece_bytes = bytes;
        ss_sim_at(group, costs->piece_latency_ns + (uint64_t)((double)bytes * 1e9 / rate),
                  SS_SIM_PIECE_MOVED, rank->index, 0, 0);
    }
}

void ss_sim_link_piece_over(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    struct ss_sim_load *load = rank->moving;
    const struct ss_sim_chunk *chunk = chunk_of(group, rank, load, load->done);
    uint16_t model = load->entry->entry.model;
    rank->moving = 0;
    load->moved_bytes += rank->piece_bytes;
    group->loaded_bytes += rank->piece_bytes;
    if (load->moved_bytes == chunk->bytes) {
        uint32_t index = load->chunks[load->done];
        ss_sim_write(rank, load->pages[load->done], chunk->pages, ss_sim_chunk_tag(model, index));
        for (uint32_t page = 0; page < chunk->pages; page++)
            rank->pages[load->pages[load->done] + page].busy--;
        rank->ready[model][index] = load->entry->entry.number;
        load->done++;
        load->moved_bytes = 0;
        struct ss_report report = {
            .kind = SS_REPORT_CHUNKS, .number = load->entry->entry.number, .count = load->done};
        ss_sim_report(group, rank, &report);
    }
    if (load->cancelled || load->done == load->count)
        end_load(group, rank, load);
    ss_sim_link_advance(group, rank);
    ss_sim_compute_advance(group, &group->stages[rank->stage]);
}

static struct ss_sim_copy *make_copy(struct ss_sim_group *group, struct ss_sim_rank *rank,
                                     struct ss_sim_entry *entry, const uint32_t *pages,
                                     uint32_t count, uint64_t bytes, struct ss_sim_copy **list)
{
    struct ss_sim_copy *copy = ss_sim_take(group, 1, sizeof *copy);
    copy->entry = entry;
    copy->bytes = bytes;
    copy->count = count;
    copy->pages = ss_sim_take(group, count, sizeof *copy->pages);
    copy->after = group->stages[rank->stage].last_compute;
    for (uint32_t i = 0; i < count; i++)
        copy->pages[i] = pages[i];
    while (*list)
        list = &(*list)->next;
    *list = copy;
    return copy;
}

/* Pages of one element of a copy: a KV block, or a page of a dropped chunk. */
static uint32_t element_pages(const struct ss_sim_group *group, const struct ss_sim_rank *rank,
                              const struct ss_sim_copy *copy)
{
    const struct ss_entry *entry = &copy->entry->entry;
    if (entry->kind == SS_ENTRY_DROP)
        return 1;
    return ss_sim_block_pages(group, rank->stage,
                              group->stages[rank->stage].slots[entry->slot].model);
}

static void mark_busy(const struct ss_sim_group *group, struct ss_sim_rank *rank,
                      const struct ss_sim_copy *copy, uint32_t change)
{
    uint32_t pages = element_pages(group, rank, copy);
    for (uint32_t i = 0; i < copy->count; i++)
        for (uint32_t page = 0; page < pages; page++)
            rank->pages[copy->pages[i] + page].busy += change;
}

void ss_sim_unload(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_entry *entry,
                   const uint32_t *pages, uint32_t count, uint64_t bytes)
{
    mark_busy(group, rank, make_copy(group, rank, entry, pages, count, bytes, &rank->unloads), 1);
    ss_sim_copies_advance(group, rank);
}

void ss_sim_restore(struct ss_sim_group *group, struct ss_sim_rank *rank,
                    struct ss_sim_entry *entry, const uint32_t *pages, uint32_t count,
                    uint64_t bytes)
{
    mark_busy(group, rank, make_copy(group, rank, entry, pages, count, bytes, &rank->restores), 1);
    ss_sim_copies_advance(group, rank);
}

static void start(struct ss_sim_group *group, struct ss_sim_rank *rank, struct ss_sim_copy *copy,
                  enum ss_sim_kind kind)
{
    if (!copy || copy->running || group->stages[rank->stage].computed < copy->after)
        return;
    copy->running = true;
    double rate = group->options.costs.unload_bytes_per_s * rank->tenths / 10;
    ss_sim_at(group, (uint64_t)((double)copy->bytes * 1e9 / rate), kind, rank->index, 0, 0);
}

void ss_sim_copies_advance(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    start(group, rank, rank->unloads, SS_SIM_UNLOADED);
    start(group, rank, rank->restores, SS_SIM_RESTORED);
}

void ss_sim_unload_over(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    struct ss_sim_copy *copy = rank->unloads;
    const struct ss_entry *entry = &copy->entry->entry;
    rank->unloads = copy->next;
    for (uint32_t i = 0; entry->kind == SS_ENTRY_SPILL && i < copy->count; i++)
        rank->spill[entry->spill_block + i] = rank->pages[copy->pages[i]].tag;
    mark_busy(group, rank, copy, -1u);
    ss_sim_report_done(group, rank, entry->number);
    ss_sim_copies_advance(group, rank);
}

void ss_sim_restore_over(struct ss_sim_group *group, struct ss_sim_rank *rank)
{
    struct ss_sim_copy *copy = rank->restores;
    const struct ss_entry *entry = &copy->entry->entry;
    uint32_t pages = element_pages(group, rank, copy);
    rank->restores = copy->next;
    for (uint32_t i = 0; i < copy->count; i++)
        ss_sim_write(rank, copy->pages[i], pages, rank->spill[entry->spill_block + i]);
    mark_busy(group, rank, copy, -1u);
    rank->restored = entry->number;
    ss_sim_report_done(group, rank, entry->number);
    ss_sim_copies_advance(group, rank);
    ss_sim_compute_advance(group, &group->stages[rank->stage]);
}
