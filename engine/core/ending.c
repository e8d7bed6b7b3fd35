#include "engine/core/ending.h"

#include "engine/core/sequence.h"

#define SLOTS_PER_ENTRY 1024

void ss_ending_end(struct ss_controller *controller, uint32_t index, enum ss_end reason)
{
    struct ss_sequence *sequence = &controller->sequences[index];
    bool has_slot = sequence->state != SS_SEQUENCE_QUEUED;
    bool in_use =
        sequence->state == SS_SEQUENCE_SPILLING || sequence->state == SS_SEQUENCE_RESTORING;
    ss_outbox_outcome(&controller->outbox,
                      (struct ss_outcome){.kind = SS_ACTION_END,
                                          .request = sequence->handle,
                                          .reason = (uint8_t)reason,
                                          .count = sequence->reported,
                                          .cold = sequence->cold,
                                          .first_scheduled_ns = sequence->first_scheduled_ns});
    controller->answered++;
    controller->accepted_now--;
    controller->accepted_by_class[sequence->class]--;
    controller->models[sequence->model].answered++;
    ss_sequence_retire(controller, index);
    if (has_slot && !in_use)
        ss_sequence_close(controller, index);
}

bool ss_ending_close(struct ss_controller *controller)
{
    while (controller->closing_slot_count > 0) {
        uint32_t count = controller->closing_slot_count;
        if (count > SLOTS_PER_ENTRY)
            count = SLOTS_PER_ENTRY;
        if (!ss_outbox_fits(&controller->outbox, 1, ss_outbox_bytes(count, sizeof(uint16_t))))
            return false;
        uint16_t *slots = ss_outbox_array(&controller->outbox, count, sizeof *slots);
        for (uint32_t i = 0; i < count; i++) {
            slots[i] = controller->closing_slots[--controller->closing_slot_count];
            controller->free_slots[controller->free_slot_count++] = slots[i];
        }
        struct ss_entry *entry = ss_outbox_send(&controller->outbox, SS_ENTRY_CLOSE);
        entry->slots = slots;
        entry->slot_count = count;
    }
    return true;
}
