/* A stage's compute stream: batches and moves, in order, in lockstep on its tensor-parallel ranks.
 * Chunks whose weights are there are computed one after the other without anything between them, so
 * they are one event. */
#include "engine/sim/internal.h"

static void enqueue(struct ss_sim_stage *stage, struct ss_sim_compute *work)
{
    if (stage->last)
        stage->last->next = work;
    else
        stage->first = work;
    stage->last = work;
    stage->last_compute = work->entry->entry.number;
}

/* Room for what the batch must know of now, as later entries may change it. */
static struct ss_sim_compute *make(struct ss_sim_group *group, struct ss_sim_entry *entry,
                                   uint32_t loads, uint32_t plans)
{
    size_t bytes = sizeof(struct ss_sim_compute) + loads * sizeof(uint64_t) +
                   plans * sizeof(struct ss_sim_request);
    struct ss_sim_compute *work = ss_sim_store_take(&group->store, bytes);
    *work = (struct ss_sim_compute){.entry = ss_sim_entry_use(entry), .bytes = bytes};
    work->loads = loads > 0 ? (uint64_t *)(work + 1) : 0;
    work->plans = (struct ss_sim_request *)((uint64_t *)(work + 1) + loads);
    return work;
}

void ss_sim_compute_batch(struct ss_sim_group *group, struct ss_sim_stage *stage,
                          struct ss_sim_entry *taken)
{
    const struct ss_entry *entry = &taken->entry;
    const struct ss_sim_residency *model = &stage->models[entry->model];
    uint32_t chunks = ss_sim_model(group, entry->model)->chunk_count[stage->index];
    bool last = (int)stage->index + 1 == group->pp;
    struct ss_sim_compute *work =
        make(group, taken, model->moving > 0 ? chunks : 0, last ? entry->sequence_count : 0);
    for (uint32_t i = 0; work->loads && i < chunks; i++)
        work->loads[i] = model->chunks[i].load;
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        struct ss_sim_slot *slot = &stage->slots[entry->sequences[i].slot];
        if (slot->last_sample > work->tokens_needed)
            work->tokens_needed = slot->last_sample;
        if (slot->restored > work->restore_needed)
            work->restore_needed = slot->restored;
        if (last)
            work->plans[i] = slot->plan;
        if (entry->sequences[i].flags & SS_SEQUENCE_SAMPLE) {
            slot->last_sample = entry->number;
            slot->known++;
        }
    }
    ss_sim_audit_batch_take(group, stage, work);
    enqueue(stage, work);
}

void ss_sim_compute_move(struct ss_sim_group *group, struct ss_sim_stage *stage,
                         struct ss_sim_entry *entry)
{
    enqueue(stage, make(group, entry, 0, 0));
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

/* Chunks [from, end) are there on all ranks. */
static uint32_t ready_end(const struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          const struct ss_sim_compute *work)
{
    uint16_t index = work->entry->entry.model;
    const struct ss_sim_residency *model = &stage->models[index];
    uint32_t chunks = ss_sim_model(group, index)->chunk_count[stage->index];
    if (!work->loads)
        return chunks;
    for (uint32_t chunk = work->from; chunk < chunks; chunk++)
        for (int tp = 0; tp < group->tp; tp++)
            if (model->ready[(uint32_t)tp * chunks + chunk] < work->loads[chunk])
                return chunk;
    return chunks;
}

static uint64_t chunks_ns(const struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          const struct ss_sim_compute *work)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    const struct ss_sim_entry *taken = work->entry;
    if (!costs->models)
        return (work->end - work->from) * (costs->chunk_ns + taken->rows * costs->row_ns);
    const struct ss_step_cost *chunks = costs->models[taken->entry.model].chunks[stage->index];
    uint64_t sum_ns = 0;
    for (uint32_t i = work->from; i < work->end; i++)
        sum_ns += ss_step_cost_ns(&chunks[i], taken->rows, taken->context);
    return sum_ns;
}

static void count_time(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    for (int tp = 0; tp < group->tp; tp++)
        ss_sim_count_time(group, ss_sim_rank_of(group, stage->index, tp));
}

static void run(struct ss_sim_group *group, struct ss_sim_stage *stage, uint64_t takes_ns)
{
    count_time(group, stage);
    stage->first->running = true;
    ss_sim_at(group, group->now_ns + takes_ns,
              (struct ss_sim_event){.kind = SS_SIM_COMPUTED, .a = stage->index});
}

static void pop(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    stage->computed = work->entry->entry.number;
    ss_sim_give_up_computed(stage);
    stage->first = work->next;
    if (!stage->first)
        stage->last = 0;
    ss_sim_audit_batch_free(group, work);
    ss_sim_entry_leave(group, work->entry);
    ss_sim_store_give(&group->store, work, work->bytes);
}

static uint16_t finish_of(const struct ss_sim_request *plan, uint32_t index)
{
    if (plan->eos_after && index + 1 == plan->eos_after)
        return plan->stops ? SS_ENDING_STOP : SS_ENDING_EOS;
    return index + 1 == plan->tokens_max ? SS_ENDING_LENGTH : SS_ENDING_NONE;
}

static void report_tokens(struct ss_sim_group *group, const struct ss_sim_stage *stage,
                          const struct ss_sim_compute *work)
{
    const struct ss_entry *entry = &work->entry->entry;
    struct ss_report_token *tokens = group->tokens;
    struct ss_report report = {.kind = SS_REPORT_TOKENS, .number = entry->number, .tokens = tokens};
    for (uint32_t i = 0; i < entry->sequence_count; i++) {
        const struct ss_batch_sequence *part = &entry->sequences[i];
        uint32_t index = part->position + part->count - work->plans[i].prompt;
        if (part->flags & SS_SEQUENCE_SAMPLE)
            tokens[report.token_count++] =
                (struct ss_report_token){.slot = part->slot,
                                         .finish = finish_of(&work->plans[i], index),
                                         .token = ss_sim_token(part->request, index)};
    }
    if (report.token_count > 0)
        ss_sim_report(group, ss_sim_rank_of(group, stage->index, 0), &report);
}

/* Activations go to the next stage, or tokens to the first, unless that is the last. An edge
 * carries them in order. */
static void hand_on(struct ss_sim_group *group, struct ss_sim_stage *stage,
                    const struct ss_sim_entry *taken)
{
    const struct ss_sim_costs *costs = &group->options.costs;
    bool last = (int)stage->index + 1 == group->pp;
    uint64_t from_ns = group->now_ns > stage->edge_free_ns ? group->now_ns : stage->edge_free_ns;
    if (!last && costs->models)
        from_ns += (uint64_t)(taken->rows * costs->models[taken->entry.model].edge_row_ns);
    stage->edge_free_ns = from_ns;
    ss_sim_at(group, from_ns + (group->pp > 1 ? costs->edge_ns : 0),
              (struct ss_sim_event){.kind = last ? SS_SIM_TOKENS_AT_FIRST : SS_SIM_INPUT_AT_STAGE,
                                    .a = stage->index + 1,
                                    .number = taken->entry.number});
}

static void end_batch(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    ss_sim_audit_batch_blocks(group, stage, work, true);
    stage->batches--;
    if ((int)stage->index + 1 == group->pp)
        report_tokens(group, stage, work);
    hand_on(group, stage, work->entry);
}

static bool is_move(const struct ss_sim_compute *work)
{
    return work->entry->entry.kind == SS_ENTRY_MOVE;
}

static void start_move(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    const struct ss_entry *entry = &stage->first->entry->entry;
    uint64_t pages = 0;
    for (uint32_t i = 0; i < entry->move_count; i++)
        pages += entry->moves[i].stage == stage->index ? entry->moves[i].pages : 0;
    stage->first->started = true;
    run(group, stage, pages * group->options.costs.move_page_ns);
}

/* Computes what is there of the batch; true: it is over. */
static bool advance_batch(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    if (!work->started && !may_start(group, stage, work))
        return false;
    if (!work->started)
        ss_sim_audit_batch_blocks(group, stage, work, false);
    work->started = true;
    work->end = ready_end(group, stage, work);
    if (work->end > work->from) {
        for (uint32_t chunk = work->from; chunk < work->end; chunk++)
            ss_sim_audit_batch_chunk(group, stage, work, chunk);
        run(group, stage, chunks_ns(group, stage, work));
    }
    uint16_t model = work->entry->entry.model;
    return work->from == ss_sim_model(group, model)->chunk_count[stage->index];
}

bool ss_sim_compute_advance(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    if (!work || work->running || group->failure[0])
        return false;
    if (!is_move(work)) {
        if (!advance_batch(group, stage))
            return false;
        end_batch(group, stage);
    } else if (!work->started) {
        start_move(group, stage);
        return false;
    }
    pop(group, stage);
    return true;
}

void ss_sim_compute_over(struct ss_sim_group *group, struct ss_sim_stage *stage)
{
    struct ss_sim_compute *work = stage->first;
    count_time(group, stage);
    work->running = false;
    if (is_move(work))
        ss_sim_audit_moved(group, stage, &work->entry->entry);
    for (; work->from < work->end; work->from++)
        ss_sim_audit_batch_chunk(group, stage, work, work->from);
}
