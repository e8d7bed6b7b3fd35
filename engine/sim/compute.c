/* A stage's compute stream: batches and moves, in order, in lockstep on its tensor-parallel ranks.
 */
#include "engine/sim/internal.h"

typedef unsigned long long number;

static struct ss_sim_compute *enqueue(struct ss_sim_group *group, struct ss_sim_stage *stage,
                                      struct ss_sim_entry *entry)
{
    struct ss_sim_compute *work = ss_sim_take(group, 1, sizeof *work);
    work->entry = entry;
    if (stage->last)
        stage->last->next = work;
    else
        stage->first = work;
    stage->last = work;
    stage->last_compute = entry->entry.number;
    return work;
}

void ss_sim_compute_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    uint32_t chunks = group->options.controller.models[entry->model].chunk_count[stage->index];
    uint32_t blocks = 0;
    struct ss_sim_compute *work = enqueue(group, stage, taken);
    work->chunk_pages = ss_sim_take(group, chunks, sizeof *work->chunk_pages);
    work->chunk_loads = ss_sim_take(group, chunks, sizeof *work->chunk_loads);
    for (uint32_t i = 0; i < chunks; i++) {
        work->chunk_pages[i] = stage->chunks[entry->model][i].page;
        work->chunk_loads[i] = stage->chunks[entry->model][i].load;
    }
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        blocks += stage->slots[entry->sequences[i].slot].block_count;
    work->block_pages = ss_sim_take(group, blocks, sizeof *work->block_pages);
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        struct ss_sim_slot *slot = &stage->slots[entry->sequences[i].slot];
        if (slot->last_sample > work->tokens_needed)
            work->tokens_needed = slot->last_sample;
        if (slot->restored > work->restore_needed)
            work->restore_needed = slot->restored;
        for (uint32_t block = 0; block < slot->block_count; block++)
            work->block_pages[work->block_begin[i] + block] = slot->blocks[block];
        work->block_begin[i + 1] = work->block_begin[i] + slot->block_count;
        if (entry->sequences[i].flags & SS_SEQUENCE_SAMPLE) {
            slot->last_sample = entry->number;
            slot->known++;
        }
    }
    ss_sim_compute_advance(group, stage);
}

void ss_sim_compute_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                         struct ss_sim_entry *entry)
{
    enqueue(group, stage, entry);
    ss_sim_compute_advance(group, stage);
}

/* Checks (or writes) the KV blocks of all sequences, as they are after END tokens of each. */
static void for_blocks(struct ss_sim_group *group, struct ss_sim_stage *stage,
                       const struct ss_sim_compute *work, bool write)
{
    const struct ss_entry *entry = &work->entry->entry;
    uint32_t bt = group->options.controller.block_tokens;
    uint32_t pages = ss_sim_block_pages(group, stage->index, entry->model);
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        uint32_t end = part->position + (write ? part->count : 0);
        for (uint32_t block = 0; block * bt < end; block++) {
            uint32_t filled = end - block * bt < bt ? end - block * bt : bt;
            uint32_t page = work->block_pages[work->block_begin[i] + block];
            uint64_t tag = ss_sim_block_tag(part->request, block, filled);
            for (int tp = 0; tp < group->tp; tp++) {
                struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
                if (write)
                    ss_sim_write(rank, page, pages, tag);
                else if (!ss_sim_holds(rank, page, pages, tag))
                    ss_sim_fail(
                        group,
                        "batch %llu reads block %u of request %llu from page %u of rank %u: "
                        "something else is there",
                        (number)entry->number, block, (number)part->request, page, rank->index);
            }
        }
    }
}

static void check_chunk(struct ss_sim_group *group, struct ss_sim_stage *stage,
                        const struct ss_sim_compute *work)
{
    const struct ss_entry *entry = &work->entry->entry;
    const struct ss_sim_chunk *chunk = &stage->chunks[entry->model][work->chunk];
    for (int tp = 0; tp < group->tp; tp++)
        if (!ss_sim_holds(ss_sim_rank_of(group, stage->index, tp), work->chunk_pages[work->chunk],
                          chunk->pages, ss_sim_chunk_tag(entry->model, work->chunk)))
            ss_sim_fail(group,
                        "batch %llu reads chunk %u of model %u at page %u: something else is "
                        "there",
                        (number)entry->number, work->chunk, entry->model,
                        work->chunk_pages[work->chunk]);
}

static bool may_start(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                      const struct ss_sim_compute *work)
{
    if (stage->index > 0 && stage->input < work->entry->entry.number)
        return false;
    if (stage->index == 0 && stage->tokens < work->tokens_needed)
        return false;
    for (int tp = 0; tp < group->tp; tp++)
        if (ss_sim_rank_of(group, stage->index, tp)->restored < work->restore_needed)
            return false;
    return true;
}

static bool chunk_is_ready(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                           const struct ss_sim_compute *work)
{
    uint16_t model = work->entry->entry.model;
    for (int tp = 0; tp < group->tp; tp++)
        if (ss_sim_rank_of(group, stage->index, tp)->ready[model][work->chunk] <
            work->chunk_loads[work->chunk])
            return false;
    return true;
}

static void pop(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    stage->computed = work->entry->entry.number;
    stage->first = work->next;
    if (!stage->first)
        stage->last = 0;
    for (int tp = 0; tp < group->tp; tp++) {
        struct ss_sim_rank *rank = ss_sim_rank_of(group, stage->index, tp);
        ss_sim_report_done(group, rank, stage->computed);
        ss_sim_link_advance(group, rank);
        ss_sim_copies_advance(group, rank);
    }
}

static void report_tokens(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          const struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    struct ss_report_token tokens[64];
    struct ss_report report = {.kind = SS_REPORT_TOKENS, .number = entry->number, .tokens = tokens};
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        const struct ss_sim_request *request = taken->opened[i];
        if (!(part->flags & SS_SEQUENCE_SAMPLE))
            continue;
        uint32_t index = part->position + part->count - request->prompt;
        uint16_t finish = SS_ENDING_NONE;
        if (request->eos_after && index + 1 == request->eos_after)
            finish = request->stops ? SS_ENDING_STOP : SS_ENDING_EOS;
        else if (index + 1 == request->tokens_max)
            finish = SS_ENDING_LENGTH;
        tokens[report.token_count++] = (struct ss_report_token){
            .slot = part->slot, .finish = finish, .token = ss_sim_token(part->request, index)};
    }
    if (report.token_count > 0)
        ss_sim_report(group, ss_sim_rank_of(group, stage->index, 0), &report);
}

static void batch_over(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    bool last = (int)stage->index + 1 == group->pp;
    for_blocks(group, stage, work, true);
    stage->batches--;
    if (last)
        report_tokens(group, stage, work->entry);
    ss_sim_at(group, group->options.costs.hop_ns,
              last ? SS_SIM_TOKENS_AT_FIRST : SS_SIM_INPUT_AT_STAGE, stage->index + 1, 0,
              work->entry);
    pop(group, stage);
}

void ss_sim_compute_advance(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    struct ss_sim_compute *work = stage->first;
    if (!work || work->running || group->failure[0])
        return;
    const struct ss_entry *entry = &work->entry->entry;
    if (entry->kind == SS_ENTRY_MOVE) {
        uint64_t pages = 0;
        for (uint32_t i = 0; i < entry->move_count; i++)
            pages += entry->moves[i].stage == stage->index ? entry->moves[i].pages : 0;
        work->running = true;
        ss_sim_at(group, pages * costs->move_page_ns, SS_SIM_MOVED, stage->index, 0, 0);
        return;
    }
    if (!work->started && !may_start(group, stage, work))
        return;
    if (!work->started)
        for_blocks(group, stage, work, false);
    work->started = true;
    uint32_t rows = 0;
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        rows += entry->sequences[i].count;
    if (work->chunk == group->options.controller.models[entry->model].chunk_count[stage->index]) {
        batch_over(group, stage);
        ss_sim_compute_advance(group, stage);
        return;
    }
    if (!chunk_is_ready(group, stage, work))
        return;
    check_chunk(group, stage, work);
    work->running = true;
    ss_sim_at(group, costs->chunk_ns + rows * costs->row_ns, SS_SIM_CHUNK_COMPUTED, stage->index, 0,
              0);
}

void ss_sim_compute_chunk_over(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    check_chunk(group, stage, stage->first);
    stage->first->running = false;
    stage->first->chunk++;
    ss_sim_compute_advance(group, stage);
}

void ss_sim_compute_move_over(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    const struct ss_entry *entry = &stage->first->entry->entry;
    for (uint32_t i = 0; i < entry->move_count; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        for (int tp = 0; tp < group->tp && move->stage == stage->index; tp++) {
            struct ss_sim_page *pages = ss_sim_rank_of(group, stage->index, tp)->pages;
            for (uint32_t page = 0; page < move->pages; page++)
                pages[move->to + page].tag = pages[move->from + page].tag;
        }
    }
    pop(group, stage);
    ss_sim_compute_advance(group, stage);
}
