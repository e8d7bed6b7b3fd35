/* What the controller decided about requests becomes answers to clients. Link thread. */
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/serve/live_internal.h"

/* An answer that is lost would be waited for without end: a server that has no memory for the
 * shortest one ends, and its clients' connections with it. */
static void check_sent(struct ss_live *live, enum ss_status status)
{
    if (!status || status == SS_CANCELLED)
        return;
    SS_ERROR("an answer could not be given to the server: %s", ss_status_message());
    ss_live_fail(live);
}

static void answer_error(struct ss_live *live, const struct ss_ticket *ticket,
                         enum ss_error_code code, const char *text)
{
    check_sent(live, ss_server_reply_error(live->server, ticket->to, code, 0, "%s", text));
}

static void end_early(struct ss_live *live, struct ss_ticket *ticket, enum ss_end reason)
{
    SS_ASSERT(live->pending_count < live->pending_max);
    live->pending[live->pending_count++] =
        (struct ss_event){.kind = SS_EVENT_CANCELLED, .request = ticket->handle, .reason = reason};
}

/* Part of the answer is missing: the request ends with an error, and goes no further. */
static void break_off(struct ss_live *live, struct ss_ticket *ticket)
{
    char why[SS_MESSAGE_BYTES];
    snprintf(why, sizeof why, "%s", ss_status_message());
    SS_WARNING("an answer ends early: %s", why);
    answer_error(live, ticket, SS_ERROR_INTERNAL, why);
    ticket->gone = ticket->stopped = true;
    end_early(live, ticket, SS_END_CANCELLED);
}

void ss_live_answer_token(struct ss_live *live, const struct ss_action *action)
{
    struct ss_ticket *ticket = ss_ticket_find(live->tickets, action->request);
    if (!ticket || ticket->stopped)
        return;
    if (ticket->first_token_ns == 0)
        ticket->first_token_ns = ss_now_ns();
    enum ss_status status = ss_ticket_push(ticket, action->token);
    if (!status && ticket->stream && !ticket->gone && !ticket->stopped) {
        struct ss_piece piece = ss_ticket_unsent(ticket);
        status = ss_server_reply_tokens(live->server, ticket->to, &piece);
        ss_ticket_sent(ticket);
    }
    if (status && status != SS_CANCELLED && !ticket->gone)
        break_off(live, ticket);
    else if (ticket->stopped)
        end_early(live, ticket, SS_END_STOP);
}

static bool is_finish(enum ss_end reason, enum ss_finish_reason *finish)
{
    switch (reason) {
    case SS_END_LENGTH:
        *finish = SS_FINISH_LENGTH;
        return true;
    case SS_END_EOS:
        *finish = SS_FINISH_EOS;
        return true;
    case SS_END_STOP:
        *finish = SS_FINISH_STOP;
        return true;
    case SS_END_CANCELLED:
        *finish = SS_FINISH_CANCELLED;
        return true;
    default:
        return false;
    }
}

static void answer_finish(struct ss_live *live, struct ss_ticket *ticket,
                          const struct ss_action *action, enum ss_finish_reason reason)
{
    uint64_t arrived = ticket->arrived_ns;
    if (ss_ticket_finish(ticket)) {
        answer_error(live, ticket, SS_ERROR_INTERNAL, ss_status_message());
        return;
    }
    struct ss_finish finish = {
        .rest = ss_ticket_unsent(ticket),
        .reason = reason,
        .usage = {.prompt_tokens = ticket->opening.prompt_count,
                  .completion_tokens = ticket->completion_tokens},
        .timing = {.queue_ns =
                       action->first_scheduled_ns ? action->first_scheduled_ns - arrived : 0,
                   .first_token_ns = ticket->first_token_ns ? ticket->first_token_ns - arrived : 0,
                   .total_ns = ss_now_ns() - arrived,
                   .cold = action->cold},
    };
    check_sent(live, ss_server_reply_finish(live->server, ticket->to, &finish));
}

static void answer_unmeetable(struct ss_live *live, struct ss_ticket *ticket, uint64_t least_ns)
{
    uint64_t now_ns = ss_now_ns(), left_ns = 0;
    if (ticket->deadline_ns > now_ns)
        left_ns = ticket->deadline_ns - now_ns;
    check_sent(live, ss_server_reply_error(
                         live->server, ticket->to, SS_ERROR_DEADLINE_EXCEEDED, "deadline_ms",
                         "%.1f ms are left; load, queue and steps take %.1f ms at least",
                         (double)left_ns / SS_NS_PER_MS, (double)least_ns / SS_NS_PER_MS));
}

/* The error that answers a request which ended or was refused for REASON. */
static void answer_reason(struct ss_live *live, struct ss_ticket *ticket,
                          const struct ss_action *action)
{
    switch (action->reason) {
    case SS_END_DEADLINE:
        if (action->least_ns > 0) {
            answer_unmeetable(live, ticket, action->least_ns);
            return;
        }
        answer_error(live, ticket, SS_ERROR_DEADLINE_EXCEEDED, "the deadline has passed");
        return;
    case SS_END_OVERLOADED:
        answer_error(live, ticket, SS_ERROR_OVERLOADED,
                     "as many requests are waiting as limits.requests or limits.queue_per_model "
                     "allow");
        return;
    case SS_END_TOO_LONG:
        answer_error(live, ticket, SS_ERROR_TOO_LONG, "prompt and max_tokens exceed the context");
        return;
    case SS_END_DRAINING:
        answer_error(live, ticket, SS_ERROR_DRAINING, "the server is draining");
        return;
    case SS_END_RANK_LOST:
        answer_error(live, ticket, SS_ERROR_INTERNAL, SS_LIVE_LOST);
        return;
    default:
        answer_error(live, ticket, SS_ERROR_INTERNAL, "the request ended without a reason");
        return;
    }
}

void ss_live_answer_end(struct ss_live *live, const struct ss_action *action)
{
    struct ss_ticket *ticket = ss_ticket_find(live->tickets, action->request);
    enum ss_finish_reason finish;
    if (!ticket)
        return;
    if (ticket->gone)
        ; /* nobody is there to be told */
    else if (is_finish(action->reason, &finish))
        answer_finish(live, ticket, action, finish);
    else
        answer_reason(live, ticket, action);
    ss_ticket_release(live->tickets, ticket);
}

void ss_live_answer_refusal(struct ss_live *live, const struct ss_action *action)
{
    struct ss_ticket *ticket = ss_ticket_find(live->tickets, action->request);
    if (!ticket)
        return;
    if (!ticket->gone)
        answer_reason(live, ticket, action);
    ss_ticket_release(live->tickets, ticket);
}

void ss_live_answer_control(struct ss_live *live, const struct ss_action *action)
{
    struct ss_ticket *ticket = ss_ticket_find(live->tickets, action->request);
    if (!ticket)
        return;
    if (!ticket->gone && action->ok)
        check_sent(live, ss_server_reply_ok(live->server, ticket->to));
    else if (!ticket->gone && (live->lost || live->failed))
        answer_error(live, ticket, SS_ERROR_INTERNAL, SS_LIVE_LOST);
    else if (!ticket->gone && (live->draining || live->leaving))
        answer_error(live, ticket, SS_ERROR_DRAINING, "the server is ending");
    else if (!ticket->gone && action->reason == SS_END_OVERLOADED)
        answer_error(live, ticket, SS_ERROR_OVERLOADED,
                     "as many loads and drops are waiting as may; try again later");
    else if (!ticket->gone)
        answer_error(live, ticket, SS_ERROR_BUSY,
                     ticket->op == SS_OP_LOAD
                         ? "the model does not fit beside what is pinned or in use"
                         : "it is pinned, or has work");
    ss_ticket_release(live->tickets, ticket);
}

void ss_live_answer_unserved(struct ss_live *live, struct ss_ticket *ticket)
{
    const struct ss_action cut = {.kind = SS_ACTION_END, .reason = SS_END_CANCELLED};
    if (!ticket->gone && ticket->op == SS_OP_SUBMIT)
        answer_finish(live, ticket, &cut, SS_FINISH_CANCELLED);
    else if (!ticket->gone)
        answer_error(live, ticket, SS_ERROR_DRAINING, "the server is shutting down");
    ss_ticket_release(live->tickets, ticket);
}

void ss_live_answer_begun(struct ss_live *live, struct ss_reply_to to)
{
    check_sent(live, ss_server_reply_ok(live->server, to));
}
