/* swapctl submit: streams an answer to the terminal; Ctrl-C cancels the request. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "rpc/ctl/ctl.h"
#include "rpc/ctl/json.h"
#include "rpc/ctl/text.h"

struct answer {
    const struct ctl_options *options;
    bool terminal;
    bool done;
    bool new_line; /* the last character written was one, or nothing was */
    enum ctl_exit status;
};

static void print_tokens(const uint32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s%u", i ? "," : "", tokens[i]);
}

static void on_piece(void *user, struct swapclient_request *request,
                     const struct swapclient_piece *piece)
{
    struct answer *answer = user;
    (void)request;
    if (piece->text_bytes == 0 || answer->options->json)
        return;
    text_write(stdout, piece->text, piece->text_bytes, answer->terminal);
    answer->new_line = piece->text[piece->text_bytes - 1] == '\n';
    fflush(stdout);
}

static void print_json(const struct swapclient_result *result)
{
    struct json json = json_open(stdout);
    json_object_begin(&json, 0);
    if (result->error) {
        json_object_begin(&json, "error");
        json_string(&json, "code", swapclient_error_name(result->error));
        json_string(&json, "field", result->field);
        json_string(&json, "message", result->message);
        json_object_end(&json);
    }
    json_text(&json, "text", result->text, result->text_bytes);
    json_array_begin(&json, "tokens");
    for (size_t i = 0; i < result->token_count; i++)
        json_u64(&json, 0, result->tokens[i]);
    json_array_end(&json);
    json_string(&json, "finish_reason", result->finish_reason);
    json_object_begin(&json, "usage");
    json_u64(&json, "prompt_tokens", result->prompt_tokens);
    json_u64(&json, "completion_tokens", result->completion_tokens);
    json_object_end(&json);
    json_object_begin(&json, "timing");
    json_u64(&json, "queue_ns", result->queue_ns);
    json_u64(&json, "first_token_ns", result->first_token_ns);
    json_u64(&json, "total_ns", result->total_ns);
    json_bool(&json, "cold", result->cold);
    json_u64(&json, "client_first_ns", result->client_first_ns);
    json_u64(&json, "client_total_ns", result->client_total_ns);
    json_object_end(&json);
    json_object_end(&json);
    json_close(&json);
}

static void print_summary(const struct swapclient_result *result)
{
    double seconds = (double)result->total_ns / 1e9;
    double rate = seconds > 0 ? result->completion_tokens / seconds : 0;
    fflush(stdout);
    fprintf(stderr, "-- %u + %u tokens, %s; first after %s, all after %s (%.3g tokens/s)%s\n",
            result->prompt_tokens, result->completion_tokens, result->finish_reason,
            text_duration(result->first_token_ns).text, text_duration(result->total_ns).text, rate,
            result->cold ? "; the model was loaded for it" : "");
}

static void on_done(void *user, struct swapclient_request *request,
                    const struct swapclient_result *result)
{
    struct answer *answer = user;
    answer->done = true;
    if (answer->options->json) {
        print_json(result);
    } else {
        /* A model without a tokenizer answers with ids alone. */
        if (result->text_bytes == 0 && result->token_count > 0) {
            print_tokens(result->tokens, result->token_count);
            answer->new_line = false;
        }
        if (!answer->new_line)
            putchar('\n');
        fflush(stdout);
    }
    if (result->error) {
        /* For its advice; it is told in JSON already. */
        struct ctl_options plain = *answer->options;
        plain.json = false;
        swapclient_wait(request, 0, 0);
        answer->status = ctl_fail(&plain, result->error);
    } else if (!answer->options->json) {
        print_summary(result);
    }
}

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, 0);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Until the answer is whole. The first Ctrl-C asks the server to stop, the second does not wait. */
static void follow(struct answer *answer, struct swapclient *client,
                   struct swapclient_request *request, int signal_fd)
{
    int interrupts = 0;
    struct signalfd_siginfo info;
    while (!answer->done && interrupts < 2) {
        struct pollfd fds[] = {{.fd = swapclient_fd(client), .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        swapclient_process(client);
        if (read(signal_fd, &info, sizeof info) == sizeof info && interrupts++ == 0)
            swapclient_cancel(request);
    }
    if (interrupts > 0)
        answer->status = CTL_INTERRUPTED;
}

enum ctl_exit ctl_submit(const struct ctl_options *options, struct swapclient *client)
{
    struct answer answer = {
        .options = options, .terminal = isatty(STDOUT_FILENO), .new_line = true};
    struct swapclient_submit submit = options->submit;
    struct swapclient_request *request;
    submit.stop = options->stop;
    submit.stop_token_ids = options->stop_tokens;
    submit.on_piece = on_piece;
    submit.on_done = on_done;
    submit.user = &answer;
    int timeout_ms = ctl_timeout_ms(options, 0);
    submit.timeout_ms = timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
    int signal_fd = open_signals();
    int error = swapclient_submit(client, &submit, &request);
    if (error) {
        answer.status = ctl_fail(options, error);
    } else {
        follow(&answer, client, request, signal_fd);
        swapclient_request_free(request);
    }
    close(signal_fd);
    return answer.status;
}
