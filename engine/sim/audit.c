#include "engine/sim/internal.h"

typedef unsigned long long number;

#define GARBAGE 1

/* Where a batch's chunks and KV blocks are. */
struct ss_sim_audit_compute {
    size_t bytes; /* of the block */
    uint32_t *chunk_pages;
    uint32_t *block_begin; /* by sequence, and the end; in block_pages */
    uint32_t *block_pages;
};

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t z = a * 0x9e3779b97f4a7c15ull + b * 0xc2b2ae3d27d4eb4full + c + 12345;
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ull;
    return (z ^ (z >> 32)) | 2;
}

static uint64_t chunk_tag(uint32_t model, uint32_t chunk)
{
    return mix(model, chunk, 7);
}

/* A KV block of a request with FILLED of its tokens. */
static uint64_t block_tag(uint64_t request, uint32_t block, uint32_t filled)
{
    return mix(request, block, 1000 + filled);
}

static void write_tag(struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag)
{
    for (uint32_t i = page; i < page + pages; i++)
        rank->pages[i].tag = tag;
}

static bool holds_tag(const struct ss_sim_rank *rank, uint32_t page, uint32_t pages, uint64_t tag)
{
    for (uint32_t i = page; i < page + pages; i++)
        if (rank->pages[i].tag != tag)
            return false;
    return true;
}

bool ss_sim_audit_claim(struct ss_sim_group *group, const struct ss_sim_stage *stage, uint32_t page,
                        uint32_t pages, uint32_t owner, const struct ss_entry *entry)
{
    if (!group->options.check)
        return true;
    if (page + pages > group->options.controller.pool_pages[stage->index]) {
        ss_sim_fail(group, "entry %llu names page %u + %u, past the pool's end",
                    (number)entry->number, page, pages);
        return false;
    }
    for (int tp = 0; tp < group->tp; tp++) {
        struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
        for (uint32_t i = page; i < page + pages; i++) {
            if (rank->pages[i].owner != 0 || rank->pages[i].busy > 0) {
                ss_sim_fail(group, "%s entry %llu gives page %u of stage %u to %x; it is %x's, %s",
                            ss_entry_kind_name(entry->kind), (number)entry->number, i, stage->index,
                            owner, rank->pages[i].owner, rank->pages[i].busy ? "busy" : "not busy");
                return false;
            }
            rank->pages[i].owner = owner;
        }
    }
    return true;
}

void ss_sim_audit_release(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          uint32_t page, uint32_t pages)
{
    for (int tp = 0; tp < group->tp && group->options.check; tp++)
        for (uint32_t i = page; i < page + pages; i++)
            ss_sim_rank_of(group, stage->index, tp)->pages[i].owner = 0;
}

void ss_sim_audit_move(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                       const struct ss_page_move *move, const struct ss_entry *entry)
{
    if (!group->options.check)
        return;
    uint32_t owner = ss_sim_rank_of(group, stage->index, 0)->pages[move->from].owner;
    for (int tp = 0; tp < group->tp; tp++)
        for (uint32_t page = 0; page < move->pages; page++)
            if (ss_sim_rank_of(group, stage->index, tp)->pages[move->from + page].busy > 0)
                ss_sim_fail(group, "entry %llu moves page %u, which is being copied",
                            (number)entry->number, move->from + page);
    ss_sim_audit_release(group, stage, move->from, move->pages);
    ss_sim_audit_claim(group, stage, move->to, move->pages, owner, entry);
}

static uint32_t load_pages(const struct ss_sim_group *group, const struct ss_sim_rank *rank,
                           const struct ss_sim_load *load, uint32_t index)
{
    uint16_t model = load->entry->entry.model;
    return ss_sim_model(group, model)->chunk_pages[rank->stage][load->chunks[index]];
}

static void mark_load(struct ss_sim_group *group, struct ss_sim_rank *rank,
                      const struct ss_sim_load *load, uint32_t index, uint32_t change)
{
    uint32_t pages = load_pages(group, rank, load, index);
    for (uint32_t page = 0; page < pages; page++)
        rank->pages[load->pages[index] + page].busy += change;
}

void ss_sim_audit_load_take(struct ss_sim_group *group, struct ss_sim_rank *rank,
                            const struct ss_sim_load *load, uint32_t index)
{
    if (group->options.check)
        mark_load(group, rank, load, index, 1);
}

void ss_sim_audit_load_begin(struct ss_sim_group *group, struct ss_sim_rank *rank,
                             const struct ss_sim_load *load, uint32_t index)
{
    if (group->options.check)
        write_tag(rank, load->pages[index], load_pages(group, rank, load, index), GARBAGE);
}

void ss_sim_audit_load_end(struct ss_sim_group *group, struct ss_sim_rank *rank,
                           const struct ss_sim_load *load, uint32_t index, bool written)
{
    if (!group->options.check)
        return;
    if (written)
        write_tag(rank, load->pages[index], load_pages(group, rank, load, index),
                  chunk_tag(load->entry->entry.model, load->chunks[index]));
    mark_load(group, rank, load, index, -1u);
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

static void mark_copy(const struct ss_sim_group *group, struct ss_sim_rank *rank,
                      const struct ss_sim_copy *copy, uint32_t change)
{
    uint32_t pages = element_pages(group, rank, copy);
    for (uint32_t i = 0; i < copy->count; i++)
        for (uint32_t page = 0; page < pages; page++)
            rank->pages[copy->pages[i] + page].busy += change;
}

void ss_sim_audit_copy_begin(struct ss_sim_group *group, struct ss_sim_rank *rank,
                             const struct ss_sim_copy *copy)
{
    if (group->options.check)
        mark_copy(group, rank, copy, 1);
}

void ss_sim_audit_copy_end(struct ss_sim_group *group, struct ss_sim_rank *rank,
                           const struct ss_sim_copy *copy)
{
    const struct ss_entry *entry = &copy->entry->entry;
    if (!group->options.check)
        return;
    for (uint32_t i = 0; i < copy->count; i++) {
        if (entry->kind == SS_ENTRY_SPILL)
            rank->spill[entry->spill_block + i] = rank->pages[copy->pages[i]].tag;
        else if (entry->kind == SS_ENTRY_RESTORE)
            write_tag(rank, copy->pages[i], element_pages(group, rank, copy),
                      rank->spill[entry->spill_block + i]);
    }
    mark_copy(group, rank, copy, -1u);
}

void ss_sim_audit_batch_take(struct ss_sim_group *group, struct ss_sim_stage *stage,
                             struct ss_sim_compute *work)
{
    const struct ss_entry *entry = &work->entry->entry;
    uint32_t chunks = ss_sim_model(group, entry->model)->chunk_count[stage->index], blocks = 0;
    if (!group->options.check)
        return;
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        blocks += stage->slots[entry->sequences[i].slot].block_count;
    size_t numbers = (size_t)chunks + entry->sequence_count + 1 + blocks;
    size_t bytes = sizeof(struct ss_sim_audit_compute) + numbers * sizeof(uint32_t);
    struct ss_sim_audit_compute *made = ss_sim_store_take(&group->store, bytes);
    made->bytes = bytes;
    made->chunk_pages = (uint32_t *)(made + 1);
    made->block_begin = made->chunk_pages + chunks;
    made->block_pages = made->block_begin + entry->sequence_count + 1;
    for (uint32_t i = 0; i < chunks; i++)
        made->chunk_pages[i] = stage->models[entry->model].chunks[i].page;
    made->block_begin[0] = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_sim_slot *slot = &stage->slots[entry->sequences[i].slot];
        for (uint32_t block = 0; block < slot->block_count; block++)
            made->block_pages[made->block_begin[i] + block] = slot->blocks[block];
        made->block_begin[i + 1] = made->block_begin[i] + slot->block_count;
    }
    work->audit = made;
}

void ss_sim_audit_batch_free(struct ss_sim_group *group, struct ss_sim_compute *work)
{
    if (work->audit)
        ss_sim_store_give(&group->store, work->audit, work->audit->bytes);
}

void ss_sim_audit_batch_chunk(struct ss_sim_group *group, struct ss_sim_stage *stage,
                              const struct ss_sim_compute *work, uint32_t chunk)
{
    const struct ss_entry *entry = &work->entry->entry;
    if (!work->audit)
        return;
    uint32_t page = work->audit->chunk_pages[chunk];
    uint32_t pages = ss_sim_model(group, entry->model)->chunk_pages[stage->index][chunk];
    for (int tp = 0; tp < group->tp; tp++)
        if (!holds_tag(ss_sim_rank_of(group, stage->index, tp), page, pages,
                       chunk_tag(entry->model, chunk)))
            ss_sim_fail(group,
                        "batch %llu reads chunk %u of model %u at page %u: something else is there",
                        (number)entry->number, chunk, entry->model, page);
}

static void look_at_block(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          const struct ss_sim_compute *work, uint32_t sequence, uint32_t block,
                          uint64_t tag, bool write)
{
    const struct ss_entry *entry = &work->entry->entry;
    uint32_t pages = ss_sim_block_pages(group, stage->index, entry->model);
    uint32_t page = work->audit->block_pages[work->audit->block_begin[sequence] + block];
    for (int tp = 0; tp < group->tp; tp++) {
        struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
        if (write)
            write_tag(rank, page, pages, tag);
        else if (!holds_tag(rank, page, pages, tag))
            ss_sim_fail(group,
                        "batch %llu reads block %u of request %llu from page %u of rank %u: "
                        "something else is there",
                        (number)entry->number, block, (number)entry->sequences[sequence].request,
                        page, rank->index);
    }
}

void ss_sim_audit_batch_blocks(struct ss_sim_group *group, struct ss_sim_stage *stage,
                               const struct ss_sim_compute *work, bool write)
{
    const struct ss_entry *entry = &work->entry->entry;
    uint32_t bt = group->options.controller.block_tokens;
    for (uint32_t i = 0; i < entry->sequence_count && work->audit; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        uint32_t end = part->position + (write ? part->count : 0);
        for (uint32_t block = 0; block * bt < end; block++) {
            uint32_t filled = end - block * bt < bt ? end - block * bt : bt;
            look_at_block(group, stage, work, i, block, block_tag(part->request, block, filled),
                          write);
        }
    }
}

void ss_sim_audit_moved(struct ss_sim_group *group, struct ss_sim_stage *stage,
                        const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->move_count && group->options.check; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        for (int tp = 0; tp < group->tp && move->stage == stage->index; tp++) {
            struct ss_sim_page *pages = ss_sim_rank_of(group, stage->index, tp)->pages;
            for (uint32_t page = 0; page < move->pages; page++)
                pages[move->to + page].tag = pages[move->from + page].tag;
        }
    }
}
