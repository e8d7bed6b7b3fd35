#include "engine/core/watch.h"

#include "engine/core/control.h"
#include "engine/core/ending.h"
#include "engine/core/operation.h"

void ss_watch_give_up(struct ss_controller *controller)
{
    if (controller->lost)
        return;
    controller->lost = true;
    for (uint32_t i = 0; i < controller->sequence_count; i++) {
        uint8_t state = controller->sequences[i].state;
        if (state != SS_SEQUENCE_FREE && state != SS_SEQUENCE_CLOSING)
            ss_ending_end(controller, i, SS_END_RANK_LOST);
    }
    ss_control_refuse_all(controller);
}

void ss_watch_lose(struct ss_controller *controller, enum ss_loss loss, uint32_t rank,
                   uint64_t number)
{
    if (controller->lost)
        return;
    ss_watch_give_up(controller);
    ss_outbox_outcome(&controller->outbox, (struct ss_outcome){.kind = SS_ACTION_LOST,
                                                               .request = number,
                                                               .rank = (uint16_t)rank,
                                                               .loss = (uint8_t)loss});
}

bool ss_watch_take(struct ss_controller *controller, const struct ss_report *report)
{
    uint64_t *last = &controller->last_reports[report->rank];
    controller->heard_ns = controller->now_ns;
    if (report->serial == 0)
        return true;
    if (report->serial <= *last)
        return false;
    if (report->serial > *last + 1) {
        ss_watch_lose(controller, SS_LOSS_GAP, report->rank, *last + 1);
        return false;
    }
    *last = report->serial;
    return true;
}

/* The oldest entry that some rank has not reported, and the last such rank of the first such stage:
 * later stages wait for that one, and rank 0, the controller's own, is alive. */
struct debt {
    uint64_t number;
    int rank;
};

static void owe(struct debt *debt, uint64_t number, const bool *done,
                const struct ss_controller *controller)
{
    if (number == 0 || (debt->number != 0 && debt->number < number))
        return;
    for (int rank = 0, first = -1; rank < controller->ranks; rank++) {
        if (done[rank] || (first >= 0 && rank / controller->tp > first / controller->tp))
            continue;
        first = first < 0 ? rank : first;
        *debt = (struct debt){.number = number, .rank = rank};
    }
}

bool ss_watch_look(struct ss_controller *controller)
{
    struct debt debt = {0};
    if (controller->silence_max_ns == 0 || !controller->owing || controller->stopped ||
        controller->now_ns - controller->heard_ns < controller->silence_max_ns)
        return false;
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        owe(&debt, controller->flights[i].number, controller->flights[i].done, controller);
    for (uint32_t i = 0; i < controller->limits.loads_in_flight; i++)
        owe(&debt, controller->loads[i].number, controller->loads[i].ended, controller);
    for (int i = 0; i < SS_OPERATIONS_MAX; i++)
        owe(&debt, controller->operations[i].number, controller->operations[i].done, controller);
    ss_watch_lose(controller, SS_LOSS_SILENCE, (uint32_t)debt.rank, debt.number);
    return true;
}

uint64_t ss_watch_due_ns(struct ss_controller *controller)
{
    bool owes = controller->flights_now + controller->loads_now + controller->operations_now > 0;
    if (owes && !controller->owing)
        controller->heard_ns = controller->now_ns;
    controller->owing = owes;
    if (!owes || controller->silence_max_ns == 0 || controller->lost || controller->stopped)
        return UINT64_MAX;
    return controller->heard_ns + controller->silence_max_ns;
}

const char *ss_loss_text(enum ss_loss loss)
{
    static const char *const texts[SS_LOSS_KINDS] = {
        [SS_LOSS_GAP] = "one of its reports is missing",
        [SS_LOSS_SILENCE] = "no rank reports any more, and it, or its peer, owes the oldest entry",
        [SS_LOSS_LOAD] = "it ended a load that nobody cancelled with chunks missing",
        [SS_LOSS_TOKEN] = "it reported a batch without one of its tokens",
        [SS_LOSS_FAILED] = "it reported that it cannot go on",
    };
    return texts[loss];
}
