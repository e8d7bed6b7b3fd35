/* The client library against a real server: blocking calls, callbacks, control, errors. */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "rpc/swapclient.h"
#include "tests/unit/rpc_fake_engine.h"

static struct fake_engine engine;
static struct swapclient *client;

static void set_up(void)
{
    struct ss_server_config config;
    struct swapclient_options options;
    ss_log_set_level(SS_LOG_ERROR);
    fake_config(&config, 0);
    swapclient_options_init(&options);
    options.endpoint = fake_engine_start(&engine, &config);
    cr_assert_eq(swapclient_open(&client, &options), 0, "%s", swapclient_message());
}

static void tear_down(void)
{
    swapclient_close(client);
    fake_engine_stop(&engine);
}

TestSuite(rpc_client, .init = set_up, .fini = tear_down, .timeout = 60);

static struct swapclient_submit submit_of(const char *model, uint32_t max_tokens)
{
    struct swapclient_submit submit;
    swapclient_submit_init(&submit);
    submit.model = model;
    submit.prompt = "x";
    submit.max_tokens = max_tokens;
    return submit;
}

static void wait_for(_Atomic uint64_t *count, uint64_t want)
{
    uint64_t deadline_ns = ss_now_ns() + 10 * SS_NS_PER_S;
    while (*count < want && ss_now_ns() < deadline_ns)
        usleep(1000);
    cr_assert_eq(*count, want);
}

Test(rpc_client, generate)
{
    struct swapclient_submit submit = submit_of("echo", 3);
    struct swapclient_request *request;
    const struct swapclient_result *result;
    for (int streamed = 0; streamed < 2; streamed++) {
        submit.stream = streamed;
        cr_assert_eq(swapclient_generate(client, &submit, &request, &result), 0, "%s",
                     swapclient_message());
        cr_expect_str_eq(result->text, "t0 t1 t2 ");
        cr_assert_eq(result->token_count, 3);
        cr_expect(result->tokens[0] == 0 && result->tokens[2] == 2);
        cr_expect_str_eq(result->finish_reason, "length");
        cr_expect_eq(result->prompt_tokens, 1);
        cr_expect_eq(result->completion_tokens, 3);
        cr_expect(result->cold);
        cr_expect_gt(result->client_total_ns, 0);
        cr_expect_leq(result->client_first_ns, result->client_total_ns);
        swapclient_request_free(request);
    }
}

Test(rpc_client, every_field_arrives)
{
    const char *const stop[] = {"END", "\n"};
    const uint32_t stop_ids[] = {7, 8};
    const uint32_t ids[] = {4, 5, 6};
    struct swapclient_submit submit = submit_of("mirror", 9);
    struct swapclient_request *request;
    const struct swapclient_result *result;
    submit.prompt = "a\0b";
    submit.prompt_bytes = 1;
    submit.temperature = 0.5;
    submit.top_k = 3;
    submit.top_p = 0.25;
    submit.has_seed = true;
    submit.seed = 42;
    submit.stop = stop;
    submit.stop_count = 2;
    submit.stop_token_ids = stop_ids;
    submit.stop_token_count = 2;
    submit.ignore_eos = true;
    submit.class_name = "batch";
    submit.deadline_ms = 5000;
    cr_assert_eq(swapclient_generate(client, &submit, &request, &result), 0);
    cr_expect_str_eq(result->text,
                     "prompt=a tokens=0 max_tokens=9 temperature=0.5 top_k=3 top_p=0.25 seed=42 "
                     "stop=END stop=\n stop_token=7 stop_token=8 ignore_eos=1 stream=0 class=batch "
                     "deadline_ms=5000");
    swapclient_request_free(request);
    submit.prompt = 0;
    submit.tokens = ids;
    submit.token_count = 3;
    cr_assert_eq(swapclient_generate(client, &submit, &request, &result), 0);
    cr_assert_eq(result->token_count, 3);
    cr_expect_arr_eq(result->tokens, ids, sizeof ids);
    swapclient_request_free(request);
}

Test(rpc_client, a_stream_piece_by_piece)
{
    struct swapclient_submit submit = submit_of("slow", 5);
    struct swapclient_request *request;
    struct swapclient_piece piece = {.last = false};
    char text[64] = "";
    size_t tokens = 0;
    int pieces = 0;
    submit.stream = true;
    cr_assert_eq(swapclient_submit(client, &submit, &request), 0);
    while (!piece.last) {
        cr_assert_eq(swapclient_next(request, 10000, &piece), 0, "%s", swapclient_message());
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", piece.text);
        tokens += piece.token_count;
        pieces++;
    }
    cr_expect_str_eq(text, "t0 t1 t2 t3 t4 ");
    cr_expect_eq(tokens, 5);
    cr_expect_gt(pieces, 2);
    cr_expect_eq(swapclient_wait(request, 0, 0), 0);
    swapclient_request_free(request);
}

Test(rpc_client, a_stream_that_fails)
{
    struct swapclient_submit submit = submit_of("fail", 5);
    struct swapclient_request *request;
    const struct swapclient_result *result;
    submit.stream = true;
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result), SWAPCLIENT_E_INTERNAL);
    cr_assert_not_null(result);
    cr_expect_str_eq(result->message, "as asked");
    cr_expect_str_eq(result->text, "t0 ", "what came before the error is kept");
    cr_expect_str_eq(result->finish_reason, "");
    swapclient_request_free(request);
}

Test(rpc_client, time_limits)
{
    struct swapclient_submit submit = submit_of("stuck", 5);
    struct swapclient_request *request;
    struct swapclient_piece piece;
    const struct swapclient_result *result;
    cr_assert_eq(swapclient_submit(client, &submit, &request), 0);
    cr_expect_eq(swapclient_wait(request, 30, &result), SWAPCLIENT_E_TIMEOUT);
    cr_expect_null(result);
    cr_expect_eq(swapclient_next(request, 30, &piece), SWAPCLIENT_E_TIMEOUT);
    cr_assert_eq(swapclient_cancel(request), 0);
    cr_expect_eq(swapclient_wait(request, 10000, &result), 0, "it goes on after a wait in vain");
    cr_expect_str_eq(result->finish_reason, "cancelled");
    swapclient_request_free(request);
    submit.timeout_ms = 100;
    uint64_t before_ns = ss_now_ns();
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result), SWAPCLIENT_E_TIMEOUT);
    uint64_t took_ms = (ss_now_ns() - before_ns) / SS_NS_PER_MS;
    cr_expect(took_ms >= 99 && took_ms < 5000, "%llu ms", (unsigned long long)took_ms);
    wait_for(&engine.cancels, 2); /* the server was told */
    swapclient_request_free(request);
    submit.timeout_ms = 0;
    submit.deadline_ms = 50;
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result),
                 SWAPCLIENT_E_DEADLINE_EXCEEDED);
    swapclient_request_free(request);
}

Test(rpc_client, a_freed_handle_cancels)
{
    struct swapclient_submit submit = submit_of("stuck", 5);
    struct swapclient_request *request;
    cr_assert_eq(swapclient_submit(client, &submit, &request), 0);
    wait_for(&engine.accepted, 1);
    swapclient_request_free(request);
    wait_for(&engine.cancels, 1);
    swapclient_request_free(0);
}

static void expect_refusal(const char *model, int error, const char *field)
{
    struct swapclient_submit submit = submit_of(model, 5);
    struct swapclient_request *request;
    const struct swapclient_result *result;
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result), error);
    cr_assert_not_null(result);
    cr_expect_str_eq(result->field, field);
    cr_expect_gt(strlen(result->message), 0);
    cr_expect_not_null(strstr(swapclient_message(), result->message));
    swapclient_request_free(request);
}

Test(rpc_client, refusals)
{
    struct swapclient_submit submit = submit_of("echo", 0);
    struct swapclient_request *request;
    const struct swapclient_result *result;
    expect_refusal("nosuch", SWAPCLIENT_E_UNKNOWN_MODEL, "model");
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result), SWAPCLIENT_E_BAD_REQUEST);
    cr_expect_str_eq(result->field, "max_tokens");
    swapclient_request_free(request);
    submit.max_tokens = 1;
    submit.prompt = "\xff";
    cr_expect_eq(swapclient_generate(client, &submit, &request, &result), SWAPCLIENT_E_BAD_REQUEST);
    cr_expect_str_eq(result->field, "prompt");
    swapclient_request_free(request);
    engine.jobs_max = 0;
    expect_refusal("echo", SWAPCLIENT_E_OVERLOADED, "");
    cr_expect_eq(swapclient_drain(client, 5000), 0);
    expect_refusal("echo", SWAPCLIENT_E_DRAINING, "");
}

Test(rpc_client, arguments)
{
    struct swapclient_submit submit = submit_of(0, 5);
    struct swapclient_request *request;
    const char *stop[17] = {"a"};
    cr_expect_eq(swapclient_submit(client, &submit, &request), SWAPCLIENT_E_INVALID);
    cr_expect_not_null(strstr(swapclient_message(), "model"));
    submit.model = "echo";
    submit.prompt = 0;
    cr_expect_eq(swapclient_submit(client, &submit, &request), SWAPCLIENT_E_INVALID);
    cr_expect_not_null(strstr(swapclient_message(), "neither"));
    submit.prompt = "x";
    submit.class_name = "urgent";
    cr_expect_eq(swapclient_submit(client, &submit, &request), SWAPCLIENT_E_INVALID);
    cr_expect_not_null(strstr(swapclient_message(), "urgent"));
    submit.class_name = "normal";
    submit.stop = stop;
    submit.stop_count = 17;
    cr_expect_eq(swapclient_submit(client, &submit, &request), SWAPCLIENT_E_INVALID);
    submit.stop_count = 0;
    submit.stop_token_count = 65;
    cr_expect_eq(swapclient_submit(client, &submit, &request), SWAPCLIENT_E_INVALID);
}

Test(rpc_client, control)
{
    struct swapclient_status *status;
    struct swapclient_models *models;
    cr_assert_eq(swapclient_status(client, 5000, &status), 0, "%s", swapclient_message());
    cr_expect_str_eq(status->version, "0.0-fake");
    cr_expect_eq(status->loads, 7);
    cr_expect_eq(status->hidden_ns, 1500000000);
    cr_assert_eq(status->model_count, 2);
    cr_expect_str_eq(status->models[0].name, "echo");
    cr_expect_eq(status->models[0].tokens, 5000);
    cr_expect_eq(status->models[1].state, SWAPCLIENT_MODEL_PARTIAL);
    cr_assert_eq(status->rank_count, 2);
    cr_expect_str_eq(status->ranks[0].device, "cpu");
    cr_expect_float_eq(status->ranks[0].busy, 0.5, 1e-9);
    swapclient_status_free(status);
    cr_assert_eq(swapclient_models(client, 5000, &models), 0);
    cr_expect_eq(models->count, 7);
    cr_expect_str_eq(models->list[2].name, "ids");
    cr_expect_not(models->list[2].text);
    cr_expect_eq(models->list[0].context_tokens, 2048);
    swapclient_models_free(models);
    swapclient_status_free(0);
    swapclient_models_free(0);
    cr_expect_eq(swapclient_load(client, "echo", 5000), 0);
    cr_expect_eq(swapclient_load(client, "nosuch", 5000), SWAPCLIENT_E_UNKNOWN_MODEL);
    cr_expect_not_null(strstr(swapclient_message(), "nosuch"));
    cr_expect_eq(swapclient_drop(client, "echo", 5000), 0);
    cr_expect_eq(swapclient_drop(client, "stuck", 5000), SWAPCLIENT_E_BUSY);
    cr_expect_eq(swapclient_drop(client, "", 5000), SWAPCLIENT_E_BAD_REQUEST);
    cr_expect_eq(swapclient_shutdown(client, 5000), 0);
    cr_expect(engine.shutdown);
}

struct heard {
    int pieces, dones, error;
    size_t bytes;
    bool free_at_piece;
};

static void on_piece(void *user, struct swapclient_request *request,
                     const struct swapclient_piece *piece)
{
    struct heard *heard = user;
    heard->pieces++;
    heard->bytes += piece->text_bytes;
    if (heard->free_at_piece)
        swapclient_request_free(request);
}

static void on_done(void *user, struct swapclient_request *request,
                    const struct swapclient_result *result)
{
    struct heard *heard = user;
    heard->dones++;
    heard->error = result->error;
    if (result->error != SWAPCLIENT_E_CLOSED)
        swapclient_request_free(request);
}

static void process_until(struct heard *heard, int count, int dones)
{
    uint64_t deadline_ns = ss_now_ns() + 20 * SS_NS_PER_S;
    int done = 0;
    while (done < dones && ss_now_ns() < deadline_ns) {
        struct pollfd fd = {.fd = swapclient_fd(client), .events = POLLIN};
        poll(&fd, 1, 1000);
        swapclient_process(client);
        done = 0;
        for (int i = 0; i < count; i++)
            done += heard[i].dones;
    }
    cr_assert_eq(done, dones);
}

Test(rpc_client, callbacks)
{
    static struct heard heard[100];
    for (int i = 0; i < 100; i++) {
        struct swapclient_submit submit = submit_of("echo", 50);
        struct swapclient_request *request;
        submit.stream = i % 2;
        submit.on_piece = on_piece;
        submit.on_done = on_done;
        submit.user = &heard[i];
        cr_assert_eq(swapclient_submit(client, &submit, &request), 0);
    }
    process_until(heard, 100, 100);
    for (int i = 0; i < 100; i++) {
        cr_expect_eq(heard[i].dones, 1);
        cr_expect_eq(heard[i].error, 0);
        cr_expect_eq(heard[i].bytes, 190);
    }
    struct pollfd fd = {.fd = swapclient_fd(client), .events = POLLIN};
    cr_expect_eq(poll(&fd, 1, 0), 0, "readable with nothing to process");
    cr_expect_eq(swapclient_process(client), 0);
}

Test(rpc_client, a_callback_may_free_its_request)
{
    static struct heard heard[20], last;
    for (int i = 0; i < 21; i++) {
        struct swapclient_submit submit = submit_of("echo", i < 20 ? 200 : 10);
        struct swapclient_request *request;
        submit.stream = true;
        submit.on_piece = on_piece;
        submit.on_done = on_done;
        submit.user = i < 20 ? &heard[i] : &last;
        heard[i % 20].free_at_piece = true;
        cr_assert_eq(swapclient_submit(client, &submit, &request), 0);
    }
    process_until(&last, 1, 1);
    for (int i = 0; i < 20; i++) {
        cr_expect_eq(heard[i].pieces, 1);
        cr_expect_eq(heard[i].dones, 0);
    }
}

Test(rpc_client, closing_ends_what_is_in_flight)
{
    struct swapclient_submit submit = submit_of("stuck", 50);
    struct swapclient_request *request;
    struct swapclient *other;
    struct swapclient_options options;
    struct heard heard = {0};
    swapclient_options_init(&options);
    options.endpoint = ss_server_endpoint(engine.server, 0);
    cr_assert_eq(swapclient_open(&other, &options), 0);
    submit.on_done = on_done;
    submit.user = &heard;
    cr_assert_eq(swapclient_submit(other, &submit, &request), 0);
    wait_for(&engine.accepted, 1);
    swapclient_close(other);
    cr_expect_eq(heard.dones, 1);
    cr_expect_eq(heard.error, SWAPCLIENT_E_CLOSED);
    wait_for(&engine.gone, 1); /* the server finds out by itself */
    swapclient_close(0);
}

static void *generate_many(void *argument)
{
    size_t *right = argument;
    for (int i = 0; i < 100; i++) {
        struct swapclient_submit submit = submit_of("echo", (uint32_t)(1 + i % 7));
        struct swapclient_request *request;
        const struct swapclient_result *result;
        submit.stream = i % 3 == 0;
        if (swapclient_generate(client, &submit, &request, &result) == 0)
            *right += result->token_count == (size_t)(1 + i % 7);
        swapclient_request_free(request);
    }
    return 0;
}

Test(rpc_client, threads)
{
    pthread_t threads[8];
    size_t right[8] = {0};
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], 0, generate_many, &right[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], 0);
        cr_expect_eq(right[i], 100);
    }
    cr_expect_eq(engine.answered, 800);
}

Test(rpc_client, ten_thousand_in_flight)
{
    static struct swapclient_request *requests[10000];
    struct swapclient_submit submit = submit_of("echo", 1);
    int answered = 0, refused = 0;
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(swapclient_submit(client, &submit, &requests[i]), 0);
    for (int i = 0; i < 10000; i++) {
        int error = swapclient_wait(requests[i], 20000, 0);
        answered += error == 0;
        refused += error == SWAPCLIENT_E_OVERLOADED;
        swapclient_request_free(requests[i]);
    }
    cr_expect_eq(answered + refused, 10000);
    cr_expect_geq(answered, 1000);
    cr_expect_eq((uint64_t)answered, engine.answered);
}

Test(rpc_client, words_for_every_error)
{
    for (int error = 0; error < 200; error++) {
        cr_expect_gt(strlen(swapclient_strerror(error)), 0);
        cr_expect_gt(strlen(swapclient_error_name(error)), 0);
    }
    cr_expect_str_eq(swapclient_error_name(SWAPCLIENT_E_OVERLOADED), "overloaded");
    cr_expect_str_eq(swapclient_error_name(SWAPCLIENT_E_INTERNAL), "internal");
    cr_expect_str_eq(swapclient_error_name(-5), "unknown");
    cr_expect_str_eq(swapclient_model_state_name(SWAPCLIENT_MODEL_LOADING), "loading");
    cr_expect_str_eq(swapclient_model_state_name((enum swapclient_model_state)99), "unknown");
}
