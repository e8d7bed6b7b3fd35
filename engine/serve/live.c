#include <inttypes.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/serve/live_internal.h"

static void carry_out(struct ss_live *live, const struct ss_action *action)
{
    switch (action->kind) {
    case SS_ACTION_SEND:
        ss_live_send(live, &action->entry);
        return;
    case SS_ACTION_TOKEN:
        ss_live_answer_token(live, action);
        return;
    case SS_ACTION_END:
        ss_live_answer_end(live, action);
        return;
    case SS_ACTION_REFUSE:
        ss_live_answer_refusal(live, action);
        return;
    case SS_ACTION_TIMER:
        live->timer_ns = action->at_ns;
        return;
    case SS_ACTION_CONTROL_DONE:
        ss_live_answer_control(live, action);
        return;
    case SS_ACTION_DRAINED:
        ss_live_send_stop(live);
        return;
    case SS_ACTION_LOST:
        SS_ERROR("rank %u is lost: %s (%" PRIu64 ")", action->rank, ss_loss_text(action->loss),
                 action->number);
        ss_live_fail(live);
        return;
    }
}

static void feed(struct ss_live *live, const struct ss_event *events, uint32_t count)
{
    struct ss_event later[EVENTS_PER_FEED];
    for (;;) {
        uint32_t made = ss_controller_step(live->controller, ss_now_ns(), events, count,
                                           live->actions, ACTIONS_MAX);
        for (uint32_t i = 0; i < made; i++)
            carry_out(live, &live->actions[i]);
        if (made >= ACTIONS_MAX - 1) { /* full, but for the place kept for a timer: more may wait */
            count = 0;
            continue;
        }
        if (live->pending_count == 0)
            return;
        count = live->pending_count < EVENTS_PER_FEED ? live->pending_count : EVENTS_PER_FEED;
        live->pending_count -= count;
        memcpy(later, live->pending + live->pending_count, count * sizeof *later);
        events = later;
    }
}

static void start_drain(struct ss_live *live)
{
    struct ss_event event = {.kind = SS_EVENT_DRAIN};
    if (live->draining)
        return;
    live->draining = true;
    SS_INFO("draining: accepted requests are answered, new ones refused");
    feed(live, &event, 1);
}

static void cancel_all(struct ss_live *live)
{
    for (struct ss_ticket *ticket = ss_ticket_next(live->tickets, 0); ticket;
         ticket = ss_ticket_next(live->tickets, ticket)) {
        struct ss_event event = {
            .kind = SS_EVENT_CANCELLED, .request = ticket->handle, .reason = SS_END_CANCELLED};
        if (ticket->op == SS_OP_SUBMIT)
            feed(live, &event, 1);
    }
}

/* Turns what lies in the inbox into an event; false where it was dealt with here. */
static bool event_of(struct ss_live *live, const struct inbox_item *item, struct ss_event *event)
{
    struct ss_ticket *ticket =
        item->kind == INBOX_ARRIVED ? item->ticket : ss_ticket_find_reply(live->tickets, item->to);
    if (!ticket)
        return false;
    *event = (struct ss_event){.request = ticket->handle, .model = ticket->model};
    if (item->kind != INBOX_ARRIVED) {
        ticket->gone |= item->kind == INBOX_GONE;
        event->kind = SS_EVENT_CANCELLED;
        event->reason = SS_END_CANCELLED;
        return ticket->op == SS_OP_SUBMIT;
    }
    switch (ticket->op) {
    case SS_OP_SUBMIT:
        event->kind = SS_EVENT_ARRIVED;
        event->prompt_tokens = ticket->opening.prompt_count;
        event->max_tokens = ticket->opening.length_max - ticket->opening.prompt_count;
        event->deadline_ns = ticket->deadline_ns;
        event->class = ticket->class;
        event->min_tokens =
            ticket->opening.stop_id_count == 0 && !ticket->stops ? event->max_tokens : 1;
        return true;
    case SS_OP_LOAD:
    case SS_OP_DROP:
        event->kind = ticket->op == SS_OP_LOAD ? SS_EVENT_WANT_LOAD : SS_EVENT_WANT_DROP;
        return true;
    case SS_OP_STATUS:
        ss_live_answer_status(live, ticket->to);
        break;
    case SS_OP_MODELS:
        ss_live_answer_models(live, ticket->to);
        break;
    case SS_OP_DRAIN:
        ss_live_answer_begun(live, ticket->to);
        start_drain(live);
        break;
    case SS_OP_SHUTDOWN:
        ss_live_answer_begun(live, ticket->to);
        SS_INFO("shutting down: accepted requests are cancelled");
        cancel_all(live);
        ss_live_send_stop(live);
        break;
    case SS_OP_CANCEL:
    case SS_OPS:
        break;
    }
    ss_ticket_release(live->tickets, ticket);
    return false;
}

static void empty_inbox(struct ss_live *live)
{
    for (;;) {
        struct inbox_item items[EVENTS_PER_FEED];
        struct ss_event events[EVENTS_PER_FEED];
        uint32_t count = 0;
        pthread_mutex_lock(&live->inbox_lock);
        size_t taken = live->inbox_count < EVENTS_PER_FEED ? live->inbox_count : EVENTS_PER_FEED;
        memcpy(items, live->inbox, taken * sizeof *items);
        live->inbox_count -= taken;
        memmove(live->inbox, live->inbox + taken, live->inbox_count * sizeof *items);
        pthread_mutex_unlock(&live->inbox_lock);
        if (taken == 0)
            return;
        for (size_t i = 0; i < taken; i++)
            count += event_of(live, &items[i], &events[count]);
        if (count)
            feed(live, events, count);
    }
}

/* What comes after this is refused for REASON; what came before has reached the controller. */
static void close_inbox(struct ss_live *live, enum ss_status reason)
{
    pthread_mutex_lock(&live->inbox_lock);
    live->inbox_closed = reason;
    pthread_mutex_unlock(&live->inbox_lock);
    empty_inbox(live);
}

void ss_live_on_report(void *user, const struct ss_report *report)
{
    struct ss_live *live = user;
    struct ss_event event = {.kind = SS_EVENT_REPORT, .report = report};
    struct rank_counters *counters = &live->counters[report->rank];
    counters->bytes_to_device = report->bytes_to_device;
    counters->bytes_to_host = report->bytes_to_host;
    if (report->kind == SS_REPORT_LOAD_ENDED)
        ss_hiding_load_ended(live->hiding, report->number, report->at_ns);
    if (report->kind == SS_REPORT_DONE && report->started_ns)
        ss_hiding_busy(live->hiding, report->rank, report->started_ns, report->at_ns,
                       report->waited_ns);
    if (report->kind == SS_REPORT_FAILED) {
        SS_ERROR("rank %u failed: %.*s", report->rank, (int)report->message_bytes, report->message);
        event = (struct ss_event){.kind = SS_EVENT_RANK_LOST, .rank = report->rank};
        feed(live, &event, 1);
        ss_live_fail(live);
        return;
    }
    feed(live, &event, 1);
}

uint64_t ss_live_on_turn(void *user)
{
    struct ss_live *live = user;
    uint64_t now = ss_now_ns();
    if (atomic_load(&live->drain_asked))
        start_drain(live);
    empty_inbox(live);
    if (live->timer_ns && now >= live->timer_ns) {
        struct ss_event event = {.kind = SS_EVENT_TIMER};
        live->timer_ns = 0;
        feed(live, &event, 1);
    }
    return live->timer_ns ? live->timer_ns : UINT64_MAX;
}

/* Nobody waits for the loads of pinned models: handle 0 finds no ticket to answer. */
static void load_pinned(struct ss_live *live)
{
    for (int i = 0; i < live->config->model_count; i++) {
        struct ss_event event = {.kind = SS_EVENT_WANT_LOAD, .model = (uint16_t)i};
        if (live->config->models[i].pin)
            feed(live, &event, 1);
    }
}

void ss_live_start(struct ss_live *live, struct ss_rank *rank, const char *device)
{
    live->rank = rank;
    live->device = device;
    load_pinned(live);
    atomic_store(&live->started, true);
}

void ss_live_lose(struct ss_live *live)
{
    struct ss_event event = {.kind = SS_EVENT_RANK_LOST,
                             .rank = (uint16_t)live->options.link->rank};
    live->leaving = live->lost = true;
    feed(live, &event, 1);
    close_inbox(live, SS_PEER_LOST);
}

void ss_live_stop(struct ss_live *live)
{
    live->leaving = true;
    close_inbox(live, SS_CANCELLED);
    for (struct ss_ticket *ticket = ss_ticket_next(live->tickets, 0); ticket;
         ticket = ss_ticket_next(live->tickets, ticket))
        if (ticket->accepted)
            ss_live_answer_unserved(live, ticket);
    ss_server_stop(live->server);
}

void ss_live_ask_drain(struct ss_live *live)
{
    atomic_store(&live->drain_asked, true);
    live->options.link->table->wake(live->options.link);
}

bool ss_live_failed(const struct ss_live *live)
{
    return live->failed;
}

const char *ss_live_endpoint(const struct ss_live *live, size_t index)
{
    return ss_server_endpoint(live->server, index);
}
