#include "engine/core/operation.h"

#include "engine/core/block.h"
#include "engine/core/model.h"
#include "engine/core/sequence.h"

bool ss_operation_fits(const struct ss_controller *controller, uint32_t count)
{
    return controller->operations_now + count <= SS_OPERATIONS_MAX;
}

void ss_operation_start(struct ss_controller *controller, uint64_t number,
                        enum ss_operation_kind kind, uint32_t subject)
{
    struct ss_operation *operation = controller->operations;
    while (operation->number != 0)
        operation++;
    SS_ASSERT(operation < controller->operations + SS_OPERATIONS_MAX);
    controller->operations_now++;
    operation->number = number;
    operation->kind = kind;
    operation->subject = subject;
    operation->waits = false;
    operation->ranks_left = (uint32_t)controller->ranks;
    for (int rank = 0; rank < controller->ranks; rank++)
        operation->done[rank] = false;
    for (int stage = 0; stage < controller->pp; stage++)
        operation->stage_left[stage] = (uint32_t)controller->tp;
}

/* All ranks of the stage are done: its pages are free. */
static void finish_stage(struct ss_controller *controller, const struct ss_operation *operation,
                         uint16_t stage)
{
    if (operation->kind == SS_OPERATION_SPILL)
        ss_blocks_release_stage(controller, operation->subject, stage);
    if (operation->kind != SS_OPERATION_DROP)
        return;
    uint16_t index = (uint16_t)operation->subject;
    const struct ss_model *model = &controller->models[index];
    for (uint32_t chunk = 0; chunk < model->chunk_count[stage]; chunk++)
        if (model->chunks[stage][chunk].state == SS_CHUNK_DROPPING)
            ss_chunk_set(controller, index, stage, chunk, SS_CHUNK_ABSENT);
}

static void finish(struct ss_controller *controller, struct ss_operation *operation)
{
    operation->number = 0;
    controller->operations_now--;
    if (operation->kind != SS_OPERATION_SPILL && operation->kind != SS_OPERATION_RESTORE)
        return;
    uint32_t index = operation->subject;
    struct ss_sequence *sequence = &controller->sequences[index];
    bool closing = sequence->state == SS_SEQUENCE_CLOSING;
    if (operation->kind == SS_OPERATION_SPILL) {
        sequence->blocks = 0;
        if (!closing)
            ss_sequence_set(controller, index, SS_SEQUENCE_SPILLED);
    } else {
        ss_page_map_release(controller->spill, sequence->spill_block, sequence->spill_count);
        sequence->spill_block = SS_NONE;
        ss_blocks_set_fixed(controller, index, 0, sequence->spill_count, false);
        if (!closing)
            ss_sequence_set(controller, index, SS_SEQUENCE_RUNNING);
    }
    if (closing)
        ss_sequence_close(controller, index);
}

bool ss_operation_done(struct ss_controller *controller, uint64_t number, uint32_t rank)
{
    struct ss_operation *operation = 0;
    for (int i = 0; i < SS_OPERATIONS_MAX && !operation; i++)
        if (controller->operations[i].number == number)
            operation = &controller->operations[i];
    if (!operation)
        return false;
    if (operation->done[rank])
        return true;
    operation->done[rank] = true;
    operation->ranks_left--;
    uint16_t stage = (uint16_t)(rank / (uint32_t)controller->tp);
    operation->stage_left[stage]--;
    if (controller->emulate.poll && operation->kind == SS_OPERATION_DROP) {
        operation->waits = operation->ranks_left == 0;
        return true;
    }
    if (operation->stage_left[stage] == 0)
        finish_stage(controller, operation, stage);
    if (operation->ranks_left == 0)
        finish(controller, operation);
    return true;
}

void ss_operations_acknowledge(struct ss_controller *controller)
{
    for (int i = 0; i < SS_OPERATIONS_MAX; i++) {
        struct ss_operation *operation = &controller->operations[i];
        if (operation->number == 0 || !operation->waits)
            continue;
        for (uint16_t stage = 0; stage < controller->pp; stage++)
            finish_stage(controller, operation, stage);
        finish(controller, operation);
    }
}
