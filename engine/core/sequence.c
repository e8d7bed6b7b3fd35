#include "engine/core/sequence.h"

#include "engine/core/block.h"
#include "engine/core/model.h"
#include "engine/core/overdue.h"
#include "engine/core/precedence.h"

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

static void wait_for_slot(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequences = controller->sequences;
    uint8_t class = sequences[index].class;
    uint32_t before = controller->last_slotless[class];
    sequences[index].earlier = before;
    sequences[index].later = SS_NONE;
    *(before == SS_NONE ? &controller->first_slotless[class] : &sequences[before].later) = index;
    controller->last_slotless[class] = index;
    controller->slotless_count++;
}

static void stop_waiting_for_slot(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequences = controller->sequences;
    uint8_t class = sequences[index].class;
    uint32_t before = sequences[index].earlier, after = sequences[index].later;
    *(before == SS_NONE ? &controller->first_slotless[class] : &sequences[before].later) = after;
    *(after == SS_NONE ? &controller->last_slotless[class] : &sequences[after].earlier) = before;
    controller->slotless_count--;
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
    wait_for_slot(controller, index);
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
        stop_waiting_for_slot(controller, index);
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

bool ss_sequence_may_open(const struct ss_controller *controller, uint32_t index)
{
    if (controller->free_slot_count != 1)
        return controller->free_slot_count > 1;
    uint64_t own = ss_precedence_of(controller, index);
    for (int class = 0; class < SS_CLASSES; class ++) {
        uint32_t other = controller->first_slotless[class];
        if (other != SS_NONE && ss_precedence_of(controller, other) < own)
            return false;
    }
    return true;
}

void ss_sequence_open(struct ss_controller *controller, uint32_t index)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    struct ss_model *model = &controller->models[sequence->model];
    SS_ASSERT(model->queue[sequence->class].first == index);
    SS_ASSERT(sequence->slot == controller->free_slots[controller->free_slot_count - 1]);
    unlink_from(controller, &model->queue[sequence->class], index);
    stop_waiting_for_slot(controller, index);
    append(controller, &model->live[sequence->class], index);
    model->queued--;
    model->running++;
    ss_model_note_work(controller, sequence->model);
    controller->free_slot_count--;
    controller->slot_owner[sequence->slot] = index;
    ss_sequence_set(controller, index, SS_SEQUENCE_RUNNING);
}
