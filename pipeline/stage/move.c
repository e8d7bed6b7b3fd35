/* Moves: chunks and KV blocks that change their pages, on the compute stream. */
#include "pipeline/stage/internal.h"

/* A range that slides by less than its own length is moved in steps of that distance, so that no
 * single copy overlaps itself. */
static enum ss_status slide(struct ss_stage *stage, uint32_t from, uint32_t to, uint64_t bytes)
{
    uint64_t page = stage->options.limits.page_bytes;
    uint64_t distance = (uint64_t)(from > to ? from - to : to - from) * page;
    ss_device_address source = ss_stage_page_address(stage, from);
    ss_device_address target = ss_stage_page_address(stage, to);
    for (uint64_t done = 0; done < bytes && distance;) {
        uint64_t step = bytes - done < distance ? bytes - done : distance;
        uint64_t at = to < from ? done : bytes - done - step;
        enum ss_status status =
            stage->device->copy_on_device(stage->compute, target + at, source + at, step);
        if (status)
            return status;
        done += step;
    }
    return SS_OK;
}

enum ss_status ss_stage_move(struct ss_stage *stage, const struct ss_entry *entry)
{
    for (uint32_t i = 0; i < entry->move_count; i++) {
        const struct ss_page_move *move = &entry->moves[i];
        uint64_t bytes = 0;
        if (move->stage != stage->stage)
            continue;
        enum ss_status status = move->slot == SS_NO_SLOT
                                    ? ss_stage_move_chunk(stage, move, entry->number, &bytes)
                                    : ss_stage_move_block(stage, move, entry->number, &bytes);
        if (!status)
            status = ss_stage_check_pages(stage, move->to, bytes, "move");
        if (!status)
            status = slide(stage, move->from, move->to, bytes);
        if (status)
            return status;
        ss_stage_touch_pages(stage, move->from, bytes, entry->number);
        ss_stage_touch_pages(stage, move->to, bytes, entry->number);
    }
    enum ss_status status = stage->device->signal(stage->compute, stage->computed, entry->number);
    if (!status)
        atomic_store(&stage->place.queued, entry->number);
    return status ? status : ss_stage_report_when_done(stage, stage->compute, entry->number);
}
