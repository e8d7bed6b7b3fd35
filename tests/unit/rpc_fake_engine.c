#include "tests/unit/rpc_fake_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

#define FLOOD_BYTES 65536
#define SLOW_NS     (20 * SS_NS_PER_MS)
#define TICK_NS     (1 * SS_NS_PER_MS)

struct fake_job {
    struct fake_job *next;
    struct ss_reply_to to;
    char model[16];
    char *text; /* of mirror */
    uint32_t *tokens;
    size_t token_count;
    uint32_t max_tokens, made, sent;
    uint32_t prompt_tokens;
    bool stream, dead, cancelled;
    uint64_t arrived_ns, first_ns, due_ns, deadline_ns;
};

static const char *const model_names[] = {"echo",  "slow",  "ids", "mirror",
                                          "stuck", "flood", "fail"};
#define MODELS (sizeof model_names / sizeof model_names[0])

static void must(enum ss_status status)
{
    if (status && status != SS_CANCELLED) {
        fprintf(stderr, "fake engine: %s\n", ss_status_message());
        abort();
    }
}

static bool has_model(const char *name)
{
    for (size_t i = 0; i < MODELS; i++)
        if (strcmp(model_names[i], name) == 0)
            return true;
    return false;
}

static char *describe(const struct ss_request *request)
{
    const struct ss_submit *submit = &request->submit;
    char *text = 0;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    fprintf(out, "prompt=%.*s tokens=%zu max_tokens=%u temperature=%g top_k=%u top_p=%g",
            (int)submit->prompt.bytes, submit->prompt.data ? submit->prompt.data : "",
            submit->token_count, submit->max_tokens, submit->temperature, submit->top_k,
            submit->top_p);
    if (submit->has_seed)
        fprintf(out, " seed=%llu", (unsigned long long)submit->seed);
    for (size_t i = 0; i < submit->stop_count; i++)
        fprintf(out, " stop=%.*s", (int)submit->stop[i].bytes, submit->stop[i].data);
    for (size_t i = 0; i < submit->stop_token_count; i++)
        fprintf(out, " stop_token=%u", submit->stop_token_ids[i]);
    fprintf(out, " ignore_eos=%d stream=%d class=%s deadline_ms=%u", submit->ignore_eos,
            submit->stream, ss_class_name(submit->class), submit->deadline_ms);
    fclose(out);
    return text;
}

static void accept_job(struct fake_engine *engine, const struct ss_request *request,
                       struct ss_reply_to to)
{
    const struct ss_submit *submit = &request->submit;
    struct fake_job *job = calloc(1, sizeof *job);
    job->to = to;
    snprintf(job->model, sizeof job->model, "%s", request->model);
    job->text = describe(request);
    job->tokens = calloc(submit->token_count + 1, sizeof *job->tokens);
    if (submit->token_count > 0)
        memcpy(job->tokens, submit->tokens, submit->token_count * sizeof *job->tokens);
    job->token_count = submit->token_count;
    job->prompt_tokens =
        (uint32_t)(submit->has_tokens ? submit->token_count : submit->prompt.bytes);
    job->max_tokens = submit->max_tokens;
    job->stream = submit->stream;
    job->arrived_ns = job->due_ns = ss_now_ns();
    job->deadline_ns =
        submit->deadline_ms ? job->arrived_ns + submit->deadline_ms * SS_NS_PER_MS : UINT64_MAX;
    engine->accepted++;
    pthread_mutex_lock(&engine->mutex);
    struct fake_job **end = &engine->jobs;
    while (*end)
        end = &(*end)->next;
    *end = job;
    engine->job_count++;
    pthread_cond_signal(&engine->changed);
    pthread_mutex_unlock(&engine->mutex);
}

static uint32_t jobs_now(struct fake_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    uint32_t count = engine->job_count;
    pthread_mutex_unlock(&engine->mutex);
    return count;
}

static void reply_status(struct fake_engine *engine, struct ss_reply_to to)
{
    const struct ss_model_report models[] = {
        {"echo", "fake", SS_MODEL_RESIDENT, 3000000000u, 3000000000u, 26, 26, 1, 2, 3, 4, 5000},
        {"slow", "fake", SS_MODEL_PARTIAL, 1 << 20, 1 << 18, 12, 3, 0, 0, 0, 0, 0},
    };
    const struct ss_rank_report ranks[] = {
        {0, 0, 0, "cpu", "here", 1u << 30, 1u << 29, 123456789, 0.5},
        {1, 0, 1, "cpu", "here", 1u << 30, 0, 0, 0},
    };
    const struct ss_server_status status = {
        .version = "0.0-fake",
        .uptime_ns = 3723 * SS_NS_PER_S,
        .accepted = engine->accepted,
        .answered = engine->answered,
        .refused = engine->refused,
        .running = jobs_now(engine),
        .loads = 7,
        .drops = 6,
        .bytes_loaded = 123456789,
        .load_ns = 2 * SS_NS_PER_S,
        .hidden_ns = 3 * SS_NS_PER_S / 2,
        .draining = engine->draining,
        .models = models,
        .model_count = 2,
        .ranks = ranks,
        .rank_count = 2,
    };
    must(ss_server_reply_status(engine->server, to, &status));
}

static void reply_models(struct fake_engine *engine, struct ss_reply_to to)
{
    struct ss_model_info models[MODELS];
    for (size_t i = 0; i < MODELS; i++)
        models[i] = (struct ss_model_info){model_names[i],
                                           "fake",
                                           SS_MODEL_ABSENT,
                                           1000,
                                           2048,
                                           50257,
                                           strcmp(model_names[i], "ids") != 0};
    must(ss_server_reply_models(engine->server, to, models, MODELS));
}

static void on_submit(struct fake_engine *engine, const struct ss_request *request,
                      struct ss_reply_to to)
{
    if (engine->draining) {
        engine->refused++;
        must(ss_server_reply_error(engine->server, to, SS_ERROR_DRAINING, 0, "going home"));
    } else if (jobs_now(engine) >= engine->jobs_max) {
        engine->refused++;
        must(ss_server_reply_error(engine->server, to, SS_ERROR_OVERLOADED, 0,
                                   "%u requests are queued", engine->jobs_max));
    } else {
        accept_job(engine, request, to);
    }
}

static void on_request(void *user, const struct ss_request *request, struct ss_reply_to to)
{
    struct fake_engine *engine = user;
    if (request->model && !has_model(request->model)) {
        engine->refused++;
        must(ss_server_reply_error(engine->server, to, SS_ERROR_UNKNOWN_MODEL, "model",
                                   "there is no model \"%s\"", request->model));
        return;
    }
    switch (request->op) {
    case SS_OP_SUBMIT:
        on_submit(engine, request, to);
        return;
    case SS_OP_STATUS:
        reply_status(engine, to);
        return;
    case SS_OP_MODELS:
        reply_models(engine, to);
        return;
    case SS_OP_DROP:
        if (strcmp(request->model, "stuck") == 0) {
            must(ss_server_reply_error(engine->server, to, SS_ERROR_BUSY, "model", "is in use"));
            return;
        }
        break;
    case SS_OP_DRAIN:
        engine->draining = true;
        break;
    case SS_OP_SHUTDOWN:
        engine->shutdown = true;
        break;
    default:
        break;
    }
    must(ss_server_reply_ok(engine->server, to));
}

static void mark(struct fake_engine *engine, struct ss_reply_to to, bool dead)
{
    pthread_mutex_lock(&engine->mutex);
    for (struct fake_job *job = engine->jobs; job; job = job->next)
        if (job->to.slot == to.slot && job->to.generation == to.generation) {
            job->dead |= dead;
            job->cancelled |= !dead;
        }
    pthread_cond_signal(&engine->changed);
    pthread_mutex_unlock(&engine->mutex);
}

static void on_cancel(void *user, struct ss_reply_to to)
{
    struct fake_engine *engine = user;
    engine->cancels++;
    mark(engine, to, false);
}

static void on_gone(void *user, struct ss_reply_to to)
{
    struct fake_engine *engine = user;
    engine->gone++;
    mark(engine, to, true);
}

static void finish(struct fake_engine *engine, struct fake_job *job, enum ss_finish_reason reason)
{
    struct ss_finish finish = {
        .reason = reason,
        .usage = {job->prompt_tokens, job->made},
        .timing = {.queue_ns = 1000,
                   .first_token_ns = job->first_ns ? job->first_ns - job->arrived_ns : 0,
                   .total_ns = ss_now_ns() - job->arrived_ns,
                   .cold = true}};
    char *text = 0;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    uint32_t *tokens = calloc(job->made + job->token_count + 1, sizeof *tokens);
    size_t count = 0;
    if (strcmp(job->model, "mirror") == 0) {
        fputs(job->text, out);
        memcpy(tokens, job->tokens, job->token_count * sizeof *tokens);
        count = job->token_count;
    } else {
        for (uint32_t i = job->sent; i < job->made; i++) {
            tokens[count++] = i;
            if (strcmp(job->model, "ids") != 0)
                fprintf(out, "t%u ", i);
        }
    }
    fclose(out);
    finish.rest = (struct ss_piece){{text, bytes}, tokens, count};
    engine->answered++;
    must(ss_server_reply_finish(engine->server, job->to, &finish));
    free(text);
    free(tokens);
}

static void send_piece(struct fake_engine *engine, struct fake_job *job)
{
    static char flood[FLOOD_BYTES];
    char text[32];
    uint32_t token = job->sent++;
    struct ss_piece piece = {.tokens = &token, .token_count = 1};
    if (strcmp(job->model, "flood") == 0) {
        memset(flood, 'x', sizeof flood);
        piece.text = (struct ss_text){flood, sizeof flood};
    } else if (strcmp(job->model, "ids") != 0) {
        piece.text.bytes = (size_t)snprintf(text, sizeof text, "t%u ", token);
        piece.text.data = text;
    }
    must(ss_server_reply_tokens(engine->server, job->to, &piece));
}

/* One step of one job; true if it has ended. */
static bool step(struct fake_engine *engine, struct fake_job *job, uint64_t now_ns)
{
    if (job->dead)
        return true;
    if (now_ns >= job->deadline_ns) {
        must(ss_server_reply_error(engine->server, job->to, SS_ERROR_DEADLINE_EXCEEDED,
                                   "deadline_ms", "the time is up"));
        return true;
    }
    if (job->cancelled || strcmp(job->model, "mirror") == 0) {
        finish(engine, job, job->cancelled ? SS_FINISH_CANCELLED : SS_FINISH_EOS);
        return true;
    }
    if (strcmp(job->model, "stuck") == 0 || now_ns < job->due_ns)
        return false;
    if (job->made++ == 0)
        job->first_ns = ss_now_ns();
    if (job->stream)
        send_piece(engine, job);
    if (strcmp(job->model, "fail") == 0) {
        must(ss_server_reply_error(engine->server, job->to, SS_ERROR_INTERNAL, 0, "as asked"));
        return true;
    }
    if (strcmp(job->model, "slow") == 0)
        job->due_ns = now_ns + SLOW_NS;
    if (job->made < job->max_tokens)
        return false;
    finish(engine, job, SS_FINISH_LENGTH);
    return true;
}

static void free_job(struct fake_job *job)
{
    free(job->text);
    free(job->tokens);
    free(job);
}

static void *run(void *argument)
{
    struct fake_engine *engine = argument;
    pthread_mutex_lock(&engine->mutex);
    while (!engine->stopping) {
        struct fake_job **link = &engine->jobs;
        struct timespec pause;
        while (*link && !engine->stopping) {
            struct fake_job *job = *link;
            /* Answers may wait for room in the queue, and callbacks take this mutex. */
            pthread_mutex_unlock(&engine->mutex);
            bool ended = step(engine, job, ss_now_ns());
            pthread_mutex_lock(&engine->mutex);
            if (ended) {
                *link = job->next;
                engine->job_count--;
                free_job(job);
            } else {
                link = &job->next;
            }
        }
        uint64_t at_ns = ss_now_ns() + TICK_NS;
        pause.tv_sec = (time_t)(at_ns / SS_NS_PER_S);
        pause.tv_nsec = (long)(at_ns % SS_NS_PER_S);
        if (engine->stopping)
            break;
        if (engine->jobs)
            pthread_cond_timedwait(&engine->changed, &engine->mutex, &pause);
        else
            pthread_cond_wait(&engine->changed, &engine->mutex);
    }
    pthread_mutex_unlock(&engine->mutex);
    return 0;
}

void fake_config(struct ss_server_config *config, const char *const *endpoint)
{
    static const char *const any_port = "tcp://127.0.0.1:*";
    ss_server_config_default(config);
    config->endpoints = endpoint ? endpoint : &any_port;
    config->endpoint_count = 1;
    config->probe_ms = 50;
    config->linger_ms = 500;
}

const char *fake_engine_start(struct fake_engine *engine, const struct ss_server_config *config)
{
    static const struct ss_server_callbacks callbacks = {on_request, on_cancel, on_gone};
    pthread_condattr_t attributes;
    memset(engine, 0, sizeof *engine);
    engine->jobs_max = 1000;
    pthread_mutex_init(&engine->mutex, 0);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    must(ss_server_create(&engine->server, config, &callbacks, engine));
    must(ss_server_start(engine->server));
    if (pthread_create(&engine->thread, 0, run, engine))
        abort();
    return ss_server_endpoint(engine->server, 0);
}

void fake_engine_stop(struct fake_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    engine->stopping = true;
    pthread_cond_signal(&engine->changed);
    pthread_mutex_unlock(&engine->mutex);
    pthread_join(engine->thread, 0);
    ss_server_destroy(engine->server);
    while (engine->jobs) {
        struct fake_job *next = engine->jobs->next;
        free_job(engine->jobs);
        engine->jobs = next;
    }
    pthread_cond_destroy(&engine->changed);
    pthread_mutex_destroy(&engine->mutex);
}
