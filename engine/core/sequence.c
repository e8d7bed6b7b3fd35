#include "engine/core/sequence.h"

#include "engine/core/block.h"
#include "engine/core/head.h"
#include "engine/core/model.h"
#include "engine/core/overdue.h"

bool ss_sequence_may_become(enum ss_sequence_state from, enum ss_sequence_state to)
{
    static const bool legal[SS_SEQUENCE_STATES][SS_SEQUENCE_STATES] = {
        [SS_SEQUENCE_FREE] = {[SS_SEQUENCE_QUEUED] = true},
        [SS_SEQUENCE_QUEUED] = {[SS_SEQUENCE_RUNNING] = true, [SS_SEQUENCE_FREE] = true},
        [SS_SEQUENCE_RUNNING] = {[SS_SEQUENCE_ASIDE] = true,
                                 [SS_SEQUENCE_SPILLING] = true,
                                 [SS_SEQUENCE_CLOSING] = true},
        [SS_SEQUENCE_ASIDE] = {[SS_SEQUENCE_RUNNING] = true, [SS_SEQUENCE_CLOSING] = true},
        [SS_SEQUENCE_SPILLING] = {[SS_SEQUENCE_SPILLED] = true, [SS_SEQUENCE_CLOSING] = true},
        [SS_SEQUENCE_SPILLED] = {[SS_SEQUENCE_RESTORING] = true, [SS_SEQUENCE_CLOSING] = true},
        [SS_SEQUENCE_RESTORING] = {[SS_SEQUENCE_RUNNING] = true, [SS_SEQUENCE_CLOSING] = true},
        [SS_SEQUENCE_CLOSING] = {[SS_SEQUENCE_FREE] = true},
    };
    return legal[from][to];
}

void ss_sequence_set(struct ss_controller *controller, uint32_t index, enum ss_sequence_state state)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    SS_ASSERT(ss_sequence_may_become(sequence->state, state));
    controller->sequence_changes[sequence->state][state]++;
    sequence->state = (uint8_t)state;
}

static void append(struct ss_controller *controller, struct ss_list *list, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    sequence->next = SS_NONE;
    sequence->previous = list->last;
    if (list->last != SS_NONE)
        controller->sequences[list->last].next = index;
    else
        list->first = index;
    list->last = index;
    list->count++;
}

static void unlink_from(struct ss_controller *controller, struct ss_list *list, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    if (sequence->previous != SS_NONE)
        controller->sequences[sequence->previous].next = sequence->next;
    else
        list->first = sequence->next;
    if (sequence->next != SS_NONE)
        controller->sequences[sequence->next].previous = sequence->previous;
    else
        list->last = sequence->previous;
    list->count--;
}

uint32_t ss_sequence_add(struct ss_controller *controller, uint64_t handle, uint16_t model,
                         enum ss_class class)
{
    uint32_t index = controller->free_sequence;
    SS_ASSERT(index != SS_NONE);
    struct ss_sequence *sequence = &controller->sequences[index];
    controller->free_sequence = sequence->next;
    *sequence = (struct ss_sequence){
        .handle = handle,
        .order = controller->next_order++,
        .arrived_ns = controller->now_ns,
        .generation = sequence->generation + 1,
        .state = sequence->state,
        .class = (uint8_t) class,
        .model = model,
        .slot = SS_NO_SLOT,
        .spill_block = SS_NONE,
    };
    ss_sequence_set(controller, index, SS_SEQUENCE_QUEUED);
    append(controller, &controller->models[model].queue[class], index);
    controller->models[model].queued++;
    controller->slotless_count++;
    ss_handle_map_add(&controller->handles, handle, index);
    ss_model_note_work(controller, model);
    ss_overdue_note(controller, model);
    return index;
}

static void free_place(struct ss_controller *controller, uint32_t index)
{
    ss_sequence_set(controller, index, SS_SEQUENCE_FREE);
    controller->sequences[index].next = controller->free_sequence;
    controller->free_sequence = index;
}

void ss_sequence_retire(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    struct ss_model *model = &controller->models[sequence->model];
    ss_handle_map_remove(&controller->handles, sequence->handle);
    ss_deadlines_remove(&controller->deadlines, index);
    if (sequence->state == SS_SEQUENCE_QUEUED) {
        unlink_from(controller, &model->queue[sequence->class], index);
        model->queued--;
        controller->slotless_count--;
        free_place(controller, index);
    } else {
        unlink_from(controller, &model->live[sequence->class], index);
        model->running--;
        ss_sequence_set(controller, index, SS_SEQUENCE_CLOSING);
    }
    ss_model_note_work(controller, sequence->model);
    ss_overdue_note(controller, sequence->model);
}

void ss_sequence_close(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    SS_ASSERT(sequence->state == SS_SEQUENCE_CLOSING);
    ss_blocks_release_all(controller, index);
    controller->slot_owner[sequence->slot] = SS_NONE;
    controller->closing_slots[controller->closing_slot_count++] = sequence->slot;
    free_place(controller, index);
}

void ss_sequence_open(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    struct ss_model *model = &controller->models[sequence->model];
    SS_ASSERT(model->queue[sequence->class].first == index);
    SS_ASSERT(sequence->slot == controller->free_slots[controller->free_slot_count - 1]);
    unlink_from(controller, &model->queue[sequence->class], index);
    controller->slotless_count--;
    append(controller, &model->live[sequence->class], index);
    model->queued--;
    model->running++;
    ss_model_note_work(controller, sequence->model);
    controller->free_slot_count--;
    controller->slot_owner[sequence->slot] = index;
    ss_sequence_set(controller, index, SS_SEQUENCE_RUNNING);
    ss_head_keep_slot(controller);
}
