#include "engine/core/flight.h"

#include "engine/core/ending.h"
#include "engine/core/overdue.h"
#include "engine/core/step_bound.h"
#include "engine/core/watch.h"

struct ss_flight *ss_flight_place(struct ss_controller *controller)
{
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        if (controller->flights[i].number == 0)
            return &controller->flights[i];
    return 0;
}

bool ss_flight_may_start(const struct ss_controller *controller)
{
    uint32_t undone[SS_STAGES_MAX] = {0};
    if (controller->flights_now == controller->limits.batches_in_flight)
        return false;
    for (uint32_t i = 0; i < controller->limits.batches_in_flight; i++)
        for (int stage = 0; controller->flights[i].number != 0 && stage < controller->pp; stage++)
            undone[stage] += controller->flights[i].stage_left[stage] > 0;
    for (uint32_t stage = 0; stage < (uint32_t)controller->pp; stage++)
        if (undone[stage] >= stage + SS_STEPS_QUEUED_MAX)
            return false;
    return true;
}

static struct ss_flight *find(struct ss_controller *controller, uint64_t number)
{
    for (uint32_t i = 0; number != 0 && i < controller->limits.batches_in_flight; i++)
        if (controller->flights[i].number == number)
            return &controller->flights[i];
    return 0;
}

void ss_flight_start(struct ss_controller *controller, struct ss_flight *flight, uint64_t number)
{
    flight->number = number;
    flight->ranks_left = (uint32_t)controller->ranks;
    flight->tokens_due = false;
    for (int stage = 0; stage < controller->pp; stage++)
        flight->stage_left[stage] = (uint32_t)controller->tp;
    for (int rank = 0; rank < controller->ranks; rank++)
        flight->done[rank] = false;
    for (uint32_t i = 0; i < flight->count; i++)
        flight->tokens_due |= flight->sequences[i].samples;
    controller->flights_now++;
    controller->batch_count++;
    controller->models[flight->model].flights++;
}

/* The sequence, if it still is the one that took part and is not answered. */
static struct ss_sequence *still(struct ss_controller *controller,
                                 const struct ss_flight_sequence *part)
{
    struct ss_sequence *sequence = &controller->sequences[part->index];
    bool same = sequence->generation == part->generation && sequence->state != SS_SEQUENCE_FREE &&
                sequence->state != SS_SEQUENCE_CLOSING;
    return same ? sequence : 0;
}

static void release_if_over(struct ss_controller *controller, struct ss_flight *flight)
{
    if (flight->tokens_due || flight->ranks_left > 0)
        return;
    for (uint32_t i = 0; i < flight->count; i++) {
        struct ss_sequence *sequence = still(controller, &flight->sequences[i]);
        if (sequence && !flight->sequences[i].samples)
            sequence->slices--;
    }
    struct ss_model *model = &controller->models[flight->model];
    model->flights--;
    if (flight->number > model->stay_number)
        model->batches_of_stay++;
    flight->number = 0;
    controller->flights_now--;
    ss_overdue_step_over(controller, flight->model);
}

bool ss_flight_done(struct ss_controller *controller, const struct ss_report *report)
{
    struct ss_flight *flight = find(controller, report->number);
    uint32_t rank = report->rank;
    if (!flight)
        return false;
    if (flight->done[rank])
        return true;
    flight->done[rank] = true;
    flight->stage_left[rank / (uint32_t)controller->tp]--;
    flight->ranks_left--;
    if (report->started_ns > 0 && report->at_ns > report->started_ns + report->waited_ns)
        ss_step_bound_learn(controller, &controller->models[flight->model], rank, &flight->load,
                            flight->decodes_only,
                            report->at_ns - report->started_ns - report->waited_ns);
    release_if_over(controller, flight);
    return true;
}

static enum ss_end reason_of(uint16_t finish)
{
    switch ((enum ss_ending)finish) {
    case SS_ENDING_EOS:
        return SS_END_EOS;
    case SS_ENDING_STOP:
        return SS_END_STOP;
    case SS_ENDING_NONE:
    case SS_ENDING_LENGTH:
        break;
    }
    return SS_END_LENGTH;
}

static const struct ss_report_token *token_of(const struct ss_report *report, uint16_t slot)
{
    for (uint32_t i = 0; i < report->token_count; i++)
        if (report->tokens[i].slot == slot)
            return &report->tokens[i];
    return 0;
}

void ss_flight_tokens(struct ss_controller *controller, const struct ss_report *report)
{
    struct ss_flight *flight = find(controller, report->number);
    if (!flight || !flight->tokens_due)
        return;
    flight->tokens_due = false;
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct ss_flight_sequence *part = &flight->sequences[i];
        struct ss_sequence *sequence = still(controller, part);
        if (!sequence || !part->samples)
            continue;
        const struct ss_report_token *token = token_of(report, part->slot);
        if (!token) { /* it would never go on */
            ss_watch_lose(controller, SS_LOSS_TOKEN, report->rank, report->number);
            return;
        }
        sequence->reported++;
        controller->models[flight->model].tokens++;
        ss_outbox_outcome(&controller->outbox, (struct ss_outcome){.kind = SS_ACTION_TOKEN,
                                                                   .request = sequence->handle,
                                                                   .token = token->token,
                                                                   .count = sequence->reported});
        if (token->finish == SS_ENDING_NONE && sequence->reported < sequence->tokens_max)
            continue;
        controller->models[flight->model].completed++;
        controller->models[flight->model].answers_ns +=
            controller->now_ns - sequence->first_scheduled_ns;
        ss_ending_end(controller, part->index, reason_of(token->finish));
    }
    release_if_over(controller, flight);
}
