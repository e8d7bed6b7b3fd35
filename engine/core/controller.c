#include "engine/base/clock.h"
#include "engine/core/admission.h"
#include "engine/core/batching.h"
#include "engine/core/control.h"
#include "engine/core/ending.h"
#include "engine/core/flight.h"
#include "engine/core/guess.h"
#include "engine/core/head.h"
#include "engine/core/loading.h"
#include "engine/core/operation.h"
#include "engine/core/overdue.h"
#include "engine/core/settle.h"
#include "engine/core/watch.h"

/* Computron's sleeps (arXiv 2306.13835, its published code): the engine's loop and the wait for
 * acknowledgements of loads. */
#define POLL_NS        (10 * SS_NS_PER_MS)
#define ACKNOWLEDGE_NS (20 * SS_NS_PER_MS)

static void take_report(struct ss_controller *controller, const struct ss_report *report)
{
    uint32_t rank = report->rank;
    if (rank >= (uint32_t)controller->ranks || !ss_watch_take(controller, report))
        return;
    switch (report->kind) {
    case SS_REPORT_CHUNKS:
        ss_settle_report(controller, report->number, rank, report->count, false);
        return;
    case SS_REPORT_LOAD_ENDED:
        ss_settle_report(controller, report->number, rank, report->count, true);
        return;
    case SS_REPORT_TOKENS:
        if (rank == (uint32_t)((controller->pp - 1) * controller->tp))
            ss_flight_tokens(controller, report);
        return;
    case SS_REPORT_DONE:
        if (!ss_flight_done(controller, report))
            ss_operation_done(controller, report->number, rank);
        return;
    case SS_REPORT_FAILED:
        ss_watch_lose(controller, SS_LOSS_FAILED, rank, report->number);
        return;
    case SS_REPORT_KINDS:
        return;
    }
}

static void take_event(struct ss_controller *controller, const struct ss_event *event)
{
    switch (event->kind) {
    case SS_EVENT_ARRIVED:
        ss_admission_arrive(controller, event);
        return;
    case SS_EVENT_CANCELLED:
        ss_admission_cancel(controller, event->request, event->reason);
        return;
    case SS_EVENT_REPORT:
        if (!controller->lost)
            take_report(controller, event->report);
        return;
    case SS_EVENT_RANK_LOST:
        ss_watch_give_up(controller);
        return;
    case SS_EVENT_TIMER:
        return;
    case SS_EVENT_WANT_LOAD:
    case SS_EVENT_WANT_DROP:
        ss_control_take(controller, event);
        return;
    case SS_EVENT_DRAIN:
        controller->draining = true;
        return;
    }
}

/* Slots are closed before anything else is sent, as what follows may use their pages. */
static void decide(struct ss_controller *controller)
{
    controller->wake_ns = UINT64_MAX;
    if (!controller->lost && !controller->stopped && ss_ending_close(controller)) {
        if (!controller->emulate.poll)
            ss_settle_loads(controller);
        ss_control_advance(controller);
        do {
            if (controller->lost)
                break;
            ss_head_keep_slot(controller);
            ss_overdue_decide(controller);
            ss_loading_decide(controller);
        } while (ss_batching_decide(controller) && !controller->outbox.cut);
        uint64_t number = controller->outbox.number;
        ss_guess_decide(controller);
        /* What leaves for a guess may be more than it takes, and do for who found no room. */
        if (controller->outbox.number != number)
            ss_batching_decide(controller);
    }
    ss_control_finish_drain(controller);
}

static uint64_t next_tick(uint64_t now_ns, uint64_t period_ns)
{
    return (now_ns / period_ns + 1) * period_ns;
}

/* Emulated polling: events are looked at when the next tick is due, and not before. */
static void decide_by_tick(struct ss_controller *controller, bool news)
{
    uint64_t now_ns = controller->now_ns;
    if (news && controller->decide_at_ns == 0)
        controller->decide_at_ns = next_tick(now_ns, POLL_NS);
    if (news && controller->acknowledge_at_ns == 0)
        controller->acknowledge_at_ns = next_tick(now_ns, ACKNOWLEDGE_NS);
    if (controller->acknowledge_at_ns != 0 && now_ns >= controller->acknowledge_at_ns) {
        controller->acknowledge_at_ns = 0;
        controller->decide_at_ns = now_ns;
        if (!controller->lost && !controller->stopped && ss_ending_close(controller))
            ss_settle_loads(controller);
        ss_operations_acknowledge(controller);
        if (controller->outbox.cut)
            controller->acknowledge_at_ns = now_ns;
    }
    if (controller->decide_at_ns == 0 || now_ns < controller->decide_at_ns)
        return;
    decide(controller);
    controller->decide_at_ns = controller->outbox.cut ? now_ns : 0;
}

static void set_timer(struct ss_controller *controller)
{
    uint32_t index;
    uint64_t at_ns = ss_deadlines_first(&controller->deadlines, &index);
    uint64_t others[] = {
        controller->wake_ns, controller->decide_at_ns ? controller->decide_at_ns : UINT64_MAX,
        controller->acknowledge_at_ns ? controller->acknowledge_at_ns : UINT64_MAX,
        controller->outbox.cut ? controller->now_ns : UINT64_MAX, ss_watch_due_ns(controller)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        at_ns = others[i] < at_ns ? others[i] : at_ns;
    if (controller->timer_ns <= controller->now_ns)
        controller->timer_ns = UINT64_MAX; /* it has fired */
    if (at_ns < controller->timer_ns && ss_outbox_timer(&controller->outbox, at_ns))
        controller->timer_ns = at_ns;
}

uint32_t ss_controller_step(struct ss_controller *controller, uint64_t now_ns,
                            const struct ss_event *events, uint32_t event_count,
                            struct ss_action *actions, uint32_t actions_max)
{
    struct ss_outbox *outbox = &controller->outbox;
    SS_ASSERT(now_ns >= controller->now_ns);
    SS_ASSERT(actions_max >= SS_ACTIONS_MIN && event_count <= actions_max);
    controller->now_ns = now_ns;
    ss_outbox_begin(outbox, actions, actions_max);
    SS_ASSERT(event_count == 0 || outbox->ring_count == 0);
    bool news = controller->wake_ns <= now_ns;
    if (news)
        controller->wake_ns = UINT64_MAX;
    for (uint32_t i = 0; i < event_count; i++) {
        take_event(controller, &events[i]);
        news |= events[i].kind != SS_EVENT_TIMER;
    }
    news |= ss_watch_look(controller);
    news |= ss_admission_expire(controller);
    if (controller->emulate.poll)
        decide_by_tick(controller, news);
    else
        decide(controller);
    set_timer(controller);
    return outbox->count;
}
