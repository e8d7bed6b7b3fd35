/* Ranks that are lost, in one way or another, and cancels of sequences in a chosen state. */
#include "tests/sim/run_internal.h"

static bool in_sequence_state(const struct ss_controller *controller, uint32_t state)
{
    for (uint32_t i = 0; i < controller->sequence_count; i++)
        if (controller->sequences[i].state == state)
            return true;
    return false;
}

static bool in_chunk_state(const struct ss_controller *controller, uint32_t state)
{
    for (uint32_t i = 0; i < controller->model_count; i++)
        if (controller->models[i].chunks_in[state] > 0)
            return true;
    return false;
}

static void note_states(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    for (uint32_t state = 0; state < SS_SEQUENCE_STATES; state++)
        run.seen->lost_in_sequence[state] += in_sequence_state(controller, state);
    for (uint32_t state = 0; state < SS_CHUNK_STATES; state++)
        run.seen->lost_in_chunk[state] += in_chunk_state(controller, state);
}

void misfortune_lose(void)
{
    uint16_t rank = (uint16_t)run.scenario.loss_rank;
    struct ss_report failed = {.kind = SS_REPORT_FAILED, .rank = rank};
    run.loss_due = false;
    run.loss_begun = true;
    note_states();
    if (run.scenario.loss == LOSS_TOLD) {
        run.seen->told_losses++;
        run_feed(&(struct ss_event){.kind = SS_EVENT_RANK_LOST, .rank = rank}, 1);
    } else if (run.scenario.loss == LOSS_FAILED) {
        run_feed(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &failed}, 1);
    }
}

/* Some sequence in the state that the scenario chose, from a drawn place on. */
static void cancel_in_state(void)
{
    const struct ss_controller *controller = ss_sim_group_controller(run.group);
    uint32_t count = controller->sequence_count, from = (uint32_t)run_draw(count);
    for (uint32_t i = 0; i < count; i++) {
        const struct ss_sequence *sequence = &controller->sequences[(from + i) % count];
        if (sequence->state != run.scenario.cancel_state)
            continue;
        uint32_t request = (uint32_t)(sequence->handle - HANDLE_BASE);
        run.seen->cancelled_in[sequence->state]++;
        run.seen->cancelled_behind_load += controller->models[sequence->model].load != SS_NONE;
        run_cancel(&request, 1, SS_END_CANCELLED);
        return;
    }
}

void misfortune_step(void)
{
    const struct scenario *scenario = &run.scenario;
    if (run.loss_due) {
        const struct ss_controller *controller = ss_sim_group_controller(run.group);
        uint32_t state = scenario->loss_when.state;
        if (scenario->loss_when.kind == MOMENT_SEQUENCE ? in_sequence_state(controller, state)
                                                        : in_chunk_state(controller, state))
            misfortune_lose();
    }
    if (scenario->cancel_state && run_draw(scenario->cancel_in) == 0)
        cancel_in_state();
}

/* A dead rank moves, computes and says nothing; nor do its peers compute, who wait for it. */
static bool is_alive(const struct ss_sim_event *event)
{
    uint32_t rank = run.scenario.loss_rank;
    uint32_t stage = rank / (uint32_t)run.scenario.options.controller.tp;
    switch ((enum ss_sim_kind)event->kind) {
    case SS_SIM_ENTRY_AT_STAGE:
    case SS_SIM_COMPUTED:
        return event->a != stage;
    case SS_SIM_FLOW_OVER:
        return ss_sim_flow_rank(event) != rank;
    case SS_SIM_REPORT:
        return ((const struct ss_report *)event->subject)->rank != rank;
    default:
        return true;
    }
}

/* The one report that is lost, and what comes again of it. */
static bool swallow(const struct ss_report *report)
{
    if (report->rank != run.scenario.loss_rank)
        return false;
    if (!run.loss_done)
        run.swallowed_serial = report->serial;
    run.loss_done = true;
    return report->serial == run.swallowed_serial;
}

static void shorten(struct ss_report *report)
{
    bool of_load = report->kind == SS_REPORT_CHUNKS || report->kind == SS_REPORT_LOAD_ENDED;
    if (report->rank != run.scenario.loss_rank || !of_load)
        return;
    /* From its first report on, or what was said before would count. */
    if (run.short_load == 0 && report->count <= 1)
        run.short_load = report->number;
    if (report->number == run.short_load)
        report->count = 0;
}

bool misfortune_lets(const struct ss_sim_event *event)
{
    if (!run.loss_begun)
        return true;
    if (run.scenario.loss == LOSS_DEAD)
        return is_alive(event);
    if (event->kind != SS_SIM_REPORT)
        return true;
    struct ss_report *report = event->subject;
    if (run.scenario.loss == LOSS_REPORT)
        return !swallow(report);
    if (run.scenario.loss == LOSS_SHORT)
        shorten(report);
    if (run.scenario.loss == LOSS_TOKENLESS && report->kind == SS_REPORT_TOKENS && !run.loss_done) {
        /* They stand behind the report in memory that is ours. */
        struct ss_report_token *tokens = (struct ss_report_token *)(uintptr_t)report->tokens;
        for (uint32_t i = 0; i < report->token_count; i++)
            tokens[i].slot = SS_NO_SLOT;
        run.loss_done = true;
    }
    return true;
}
