#include "engine/core/placing.h"

#include "engine/core/block.h"
#include "engine/core/model.h"
#include "engine/core/operation.h"

/* A move entry stays a small message. */
#define MOVES_PER_ENTRY 256

static void name_move(const struct ss_controller *controller, uint16_t stage,
                      const struct ss_page_range *range, uint32_t from, uint32_t to,
                      struct ss_page_move *move)
{
    *move = (struct ss_page_move){.stage = stage,
                                  .slot = SS_NO_SLOT,
                                  .index = (uint16_t)range->index,
                                  .from = from,
                                  .to = to,
                                  .pages = range->pages};
    if (range->use == SS_PAGE_CHUNK) {
        move->model = range->holder;
        controller->models[range->holder].chunks[stage][range->index].page = to;
        return;
    }
    move->slot = range->holder;
    move->model = controller->sequences[controller->slot_owner[range->holder]].model;
    *ss_block_page(controller, range->holder, stage, range->index) = to;
}

/* Moves ranges of a stage's pool so that NEED free pages are contiguous, with move entries. False
 * where that cannot be now. */
static bool compact(struct ss_controller *controller, uint16_t stage, uint32_t need)
{
    struct ss_pool *pool = &controller->pools[stage];
    struct ss_pool_slide slide;
    if (!ss_pool_plan_slide(pool, need, &slide))
        return false;
    uint32_t entries = (slide.moves + MOVES_PER_ENTRY - 1) / MOVES_PER_ENTRY;
    size_t bytes = ss_outbox_bytes(slide.moves, sizeof(struct ss_page_move)) + 8 * (size_t)entries;
    if (!ss_operation_fits(controller, entries) ||
        !ss_outbox_fits(&controller->outbox, entries, bytes))
        return false;
    uint32_t at = slide.from, to = slide.from;
    while (entries-- > 0) {
        struct ss_page_move *moves = ss_outbox_array(
            &controller->outbox, MOVES_PER_ENTRY < slide.moves ? MOVES_PER_ENTRY : slide.moves,
            sizeof *moves);
        struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_MOVE);
        entry->moves = moves;
        while (entry->move_count < MOVES_PER_ENTRY && ss_pool_slide_next(pool, &at, slide.to, to)) {
            const struct ss_page_range *range = &pool->ranges[to];
            name_move(controller, stage, range, at, to, &moves[entry->move_count++]);
            to += range->pages;
            at++;
        }
        slide.moves -= entry->move_count;
        ss_operation_start(controller, entry->number, SS_OPERATION_MOVE, 0);
    }
    return true;
}

/* Gives back the places of the absent chunks of one stage before END. */
static void release_chunks(struct ss_controller *controller, uint16_t index, uint16_t stage,
                           uint32_t end)
{
    const struct ss_model *model = &controller->models[index];
    for (uint32_t i = 0; i < end; i++)
        if (model->chunks[stage][i].state == SS_CHUNK_ABSENT)
            ss_pool_release(&controller->pools[stage], model->chunks[stage][i].page);
}

/* Places for the absent chunks of one stage before END, fixed, or none. */
static bool take_chunks(struct ss_controller *controller, uint16_t index, uint16_t stage,
                        uint32_t end, bool as_before)
{
    struct ss_model *model = &controller->models[index];
    struct ss_pool *pool = &controller->pools[stage];
    for (uint32_t i = 0; i < end; i++) {
        struct ss_chunk *chunk = &model->chunks[stage][i];
        if (chunk->state != SS_CHUNK_ABSENT)
            continue;
        struct ss_page_range range = {.use = SS_PAGE_CHUNK,
                                      .fixed = true,
                                      .holder = index,
                                      .index = i,
                                      .pages = chunk->pages};
        uint32_t page =
            ss_pool_take(pool, range, as_before ? chunk->page : SS_NO_PAGE, SS_PAGES_LOW);
        if (page == SS_NO_PAGE) {
            release_chunks(controller, index, stage, i);
            return false;
        }
        chunk->page = page;
    }
    return true;
}

/* Returning chunks like to go where they were: that place is often the one that is free. Where they
 * do not all fit so, they are packed; where free pages are scattered, ranges are moved first. */
bool ss_placing_take_chunks(struct ss_controller *controller, uint16_t index, const uint32_t *end)
{
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        uint32_t need = ss_model_absent_pages(&controller->models[index], stage, end[stage]);
        if (need == 0 || take_chunks(controller, index, stage, end[stage], true) ||
            take_chunks(controller, index, stage, end[stage], false) ||
            (compact(controller, stage, need) &&
             take_chunks(controller, index, stage, end[stage], false)))
            continue;
        while (stage-- > 0)
            release_chunks(controller, index, stage, end[stage]);
        return false;
    }
    return true;
}

void ss_placing_release_chunks(struct ss_controller *controller, uint16_t index,
                               const uint32_t *end)
{
    for (uint16_t stage = 0; stage < controller->pp; stage++)
        release_chunks(controller, index, stage, end[stage]);
}

/* Gives back COUNT blocks of one stage behind those that the sequence has. */
static void release_new_blocks(struct ss_controller *controller, const struct ss_sequence *sequence,
                               uint16_t stage, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ss_pool_release(&controller->pools[stage],
                        *ss_block_page(controller, sequence->slot, stage, sequence->blocks + i));
}

static bool take_blocks(struct ss_controller *controller, uint32_t index, uint16_t stage,
                        uint32_t count)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    struct ss_pool *pool = &controller->pools[stage];
    uint32_t pages = controller->models[sequence->model].block_pages[stage];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = sequence->blocks + i;
        struct ss_page_range range = {.use = SS_PAGE_BLOCK,
                                      .fixed = true,
                                      .holder = sequence->slot,
                                      .index = block,
                                      .pages = pages};
        uint32_t page = ss_pool_take(pool, range, SS_NO_PAGE, SS_PAGES_HIGH);
        if (page == SS_NO_PAGE) {
            release_new_blocks(controller, sequence, stage, i);
            return false;
        }
        *ss_block_page(controller, sequence->slot, stage, block) = page;
    }
    return true;
}

bool ss_placing_take_blocks(struct ss_controller *controller, uint32_t index, uint32_t count)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    const struct ss_model *model = &controller->models[sequence->model];
    for (uint16_t stage = 0; stage < controller->pp; stage++) {
        uint32_t need = count * model->block_pages[stage];
        if (take_blocks(controller, index, stage, count) ||
            (compact(controller, stage, need) && take_blocks(controller, index, stage, count)))
            continue;
        while (stage-- > 0)
            release_new_blocks(controller, sequence, stage, count);
        return false;
    }
    sequence->blocks += count;
    return true;
}
