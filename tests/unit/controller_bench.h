/* A controller driven by hand: one stage of two ranks, three models of two chunks each. */
#ifndef SS_TESTS_CONTROLLER_BENCH_H
#define SS_TESTS_CONTROLLER_BENCH_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/core/controller.h"

#define MODELS      3
#define CHUNK_PAGES 4
#define MODEL_PAGES (2 * CHUNK_PAGES)
#define ACTIONS_MAX 256

static const uint32_t chunk_pages[] = {CHUNK_PAGES, CHUNK_PAGES};
static const uint64_t chunk_bytes[] = {400, 400};
static struct ss_controller_model models[MODELS];
static struct ss_controller_options options;
static struct ss_controller *controller;
static struct ss_action actions[ACTIONS_MAX];
static uint32_t action_count;
static uint64_t now_ns, timer_ns; /* when the controller wants to be called; none: UINT64_MAX */

/* What was sent, in order; entries are answered with answer_all(). */
struct logged_entry {
    enum ss_entry_kind kind;
    uint64_t number;
    bool copy_back, answered;
    uint32_t count, block_count;
    struct ss_batch_sequence sequences[8];
};
static struct logged_entry log_entries[1024];
static uint32_t log_count;

static inline void setup(void)
{
    log_count = 0;
    for (int i = 0; i < MODELS; i++)
        models[i] = (struct ss_controller_model){.name = (const char *[]){"a", "b", "c"}[i],
                                                 .chunk_count = {2},
                                                 .chunk_pages = {chunk_pages},
                                                 .chunk_bytes = {chunk_bytes},
                                                 .kv_block_pages = {1},
                                                 .context_max = 16,
                                                 .batch_max = 4};
    options = (struct ss_controller_options){
        .tp = 2,
        .pp = 1,
        .page_bytes = 100,
        .pool_pages = {2 * MODEL_PAGES + 8},
        .block_tokens = 4,
        .model_count = MODELS,
        .models = models,
        .limits = {.requests_max = 8,
                   .slots_max = 6,
                   .step_tokens_max = 32,
                   .batches_in_flight = 2,
                   .loads_in_flight = 2},
    };
    controller = 0;
    now_ns = 1000;
    timer_ns = UINT64_MAX;
}

static inline void teardown(void)
{
    ss_controller_destroy(controller);
}

static inline void open_controller(void)
{
    cr_assert_eq(ss_controller_create(&options, &controller), SS_OK, "%s", ss_status_message());
}

static inline void log_entry(const struct ss_entry *entry)
{
    struct logged_entry *to = &log_entries[log_count++];
    *to = (struct logged_entry){.kind = entry->kind,
                                .number = entry->number,
                                .copy_back = entry->copy_back,
                                .count = entry->sequence_count,
                                .block_count = entry->block_count};
    for (uint32_t i = 0; i < entry->sequence_count; i++)
        to->sequences[i] = entry->sequences[i];
}

/* The latest of a kind. */
static inline const struct logged_entry *logged(enum ss_entry_kind kind)
{
    for (uint32_t i = log_count; i-- > 0;)
        if (log_entries[i].kind == kind)
            return &log_entries[i];
    return 0;
}

static inline void step(const struct ss_event *event)
{
    action_count =
        ss_controller_step(controller, now_ns, event, event ? 1 : 0, actions, ACTIONS_MAX);
    cr_assert_lt(action_count, ACTIONS_MAX);
    ss_controller_check(controller);
    for (uint32_t i = 0; i < action_count; i++)
        if (actions[i].kind == SS_ACTION_SEND)
            log_entry(&actions[i].entry);
        else if (actions[i].kind == SS_ACTION_TIMER)
            timer_ns = actions[i].at_ns;
}

static inline void arrive_as(enum ss_class class, uint64_t request, uint16_t model, uint32_t prompt,
                             uint32_t tokens)
{
    step(&(struct ss_event){.kind = SS_EVENT_ARRIVED,
                            .class = (uint8_t) class,
                            .request = request,
                            .model = model,
                            .prompt_tokens = prompt,
                            .max_tokens = tokens});
}

static inline void arrive(uint64_t request, uint16_t model, uint32_t prompt, uint32_t tokens)
{
    arrive_as(SS_CLASS_NORMAL, request, model, prompt, tokens);
}

static inline void report(enum ss_report_kind kind, uint16_t rank, uint64_t number, uint32_t count)
{
    struct ss_report made = {.kind = kind, .rank = rank, .number = number, .count = count};
    step(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &made});
}

static inline void cancel(uint64_t request)
{
    step(&(struct ss_event){
        .kind = SS_EVENT_CANCELLED, .request = request, .reason = SS_END_CANCELLED});
}

/* The n-th (from 0) entry of the kind among the latest actions; null: none. */
static inline const struct ss_entry *sent(enum ss_entry_kind kind, int n)
{
    for (uint32_t i = 0; i < action_count; i++)
        if (actions[i].kind == SS_ACTION_SEND && actions[i].entry.kind == kind && n-- == 0)
            return &actions[i].entry;
    return 0;
}

static inline const struct ss_action *acted(enum ss_action_kind kind, uint64_t request)
{
    for (uint32_t i = 0; i < action_count; i++)
        if (actions[i].kind == kind && actions[i].request == request)
            return &actions[i];
    return 0;
}

static inline void end_load(uint64_t number)
{
    for (uint16_t rank = 0; rank < options.tp * options.pp; rank++)
        report(SS_REPORT_LOAD_ENDED, rank, number, 2);
}

/* A batch is over on both ranks: each of the slots got a token. Only the actions of the tokens
 * stay.
 */
static inline void end_batch(uint64_t number, enum ss_ending finish, int slot_count, ...)
{
    struct ss_report_token tokens[8];
    va_list slots;
    va_start(slots, slot_count);
    for (int i = 0; i < slot_count; i++)
        tokens[i] = (struct ss_report_token){
            .slot = (uint16_t)va_arg(slots, int), .finish = (uint16_t)finish, .token = 7};
    va_end(slots);
    report(SS_REPORT_DONE, 1, number, 0);
    report(SS_REPORT_DONE, 0, number, 0);
    struct ss_report made = {.kind = SS_REPORT_TOKENS,
                             .number = number,
                             .token_count = (uint32_t)slot_count,
                             .tokens = tokens};
    step(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &made});
}

/* Answers one entry that was sent as ranks would, all tokens being like any other. */
static inline void answer(struct logged_entry *entry)
{
    entry->answered = true;
    if (entry->kind == SS_ENTRY_LOAD) {
        end_load(entry->number);
        return;
    }
    struct ss_report_token tokens[8];
    struct ss_report made = {.kind = SS_REPORT_TOKENS,
                             .rank = (uint16_t)((options.pp - 1) * options.tp),
                             .number = entry->number,
                             .tokens = tokens};
    for (uint32_t i = 0; i < entry->count; i++)
        if (entry->sequences[i].flags & SS_SEQUENCE_SAMPLE)
            tokens[made.token_count++] = (struct ss_report_token){.slot = entry->sequences[i].slot};
    if (made.token_count > 0)
        step(&(struct ss_event){.kind = SS_EVENT_REPORT, .report = &made});
    for (uint16_t rank = 0; rank < options.tp * options.pp; rank++)
        report(SS_REPORT_DONE, rank, entry->number, 0);
}

static inline void answer_until(enum ss_entry_kind kind)
{
    for (uint32_t i = 0; i < log_count && !logged(kind); i++)
        if (!log_entries[i].answered)
            answer(&log_entries[i]);
    cr_assert(logged(kind));
}

static inline void answer_all(void)
{
    for (uint32_t i = 0; i < log_count; i++)
        if (!log_entries[i].answered)
            answer(&log_entries[i]);
}

/* The request's first part in a batch after the latest spill. */
static inline const struct ss_batch_sequence *resumed(uint64_t request)
{
    for (uint32_t i = 0; i < log_count; i++)
        for (uint32_t j = 0; j < log_entries[i].count; j++)
            if (log_entries[i].number > logged(SS_ENTRY_SPILL)->number &&
                log_entries[i].sequences[j].request == request)
                return &log_entries[i].sequences[j];
    cr_assert(false, "it never ran again");
    return 0;
}

static inline struct ss_controller_view view(void)
{
    struct ss_controller_view made;
    ss_controller_view(controller, &made);
    return made;
}

static inline enum ss_residency residency(uint16_t model)
{
    struct ss_model_view made;
    ss_controller_view_model(controller, model, &made);
    return made.residency;
}

/* Loads a model and serves one request of one token, so that it is resident and idle. */
static inline void warm(uint16_t model, uint64_t request)
{
    arrive(request, model, 2, 1);
    answer_all();
    cr_assert_eq(residency(model), SS_RESIDENT);
}

#endif
