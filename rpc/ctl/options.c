#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/ctl/ctl.h"

#define STDIN_BYTES_MAX (64u << 20)
#define TOKENS_MAX      262144

const char *argp_program_version = "swapctl " SWAPSERVE_VERSION;

static const char doc[] =
    "Talks to a swapserve server.\n"
    "\n"
    "Commands:\n"
    "  status             what the server holds and does (--watch, --json)\n"
    "  models             the models it serves (--json)\n"
    "  submit MODEL TEXT  generates; TEXT of - is read from standard input;\n"
    "                     the answer streams to standard output; Ctrl-C cancels it\n"
    "  load MODEL         makes a model resident\n"
    "  drop MODEL         frees its device memory\n"
    "  drain              no new requests; the accepted ones are answered, then the\n"
    "                     server ends\n"
    "  shutdown           the server ends now\n"
    "\v"
    "Environment: SWAPSERVE_ENDPOINT stands for --endpoint. For a server with CURVE keys, set "
    "SWAPSERVE_SERVER_KEY (the server's public key), SWAPSERVE_PUBLIC_KEY and "
    "SWAPSERVE_SECRET_KEY.\n"
    "\n"
    "Exit status: 0 done; 1 the server refused or failed; 2 wrong usage; 3 no server there, or "
    "the connection was lost; 4 out of time; 130 interrupted.\n"
    "\n"
    "Examples:\n"
    "  swapctl status --watch\n"
    "  swapctl submit opt-tiny \"Permission is hereby\" --max-tokens 40\n"
    "  swapctl submit llama-tiny --tokens 1,15043,29892 --json\n";

enum {
    KEY_TOP_K = 256,
    KEY_TOP_P,
    KEY_SEED,
    KEY_STOP,
    KEY_STOP_TOKEN,
    KEY_TOKENS,
    KEY_NO_STREAM,
    KEY_IGNORE_EOS,
    KEY_CLASS,
    KEY_DEADLINE,
    KEY_TIMEOUT,
    KEY_JSON,
};

static const struct argp_option option_list[] = {
    {"endpoint", 'e', "ENDPOINT", 0,
     "Where the server listens (default " SWAPCLIENT_DEFAULT_ENDPOINT ")", 1},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0,
     "Give up after this long; 0: never (default 10, for load 600, for submit never)", 1},
    {"json", KEY_JSON, 0, 0, "Print JSON", 1},
    {"watch", 'w', "SECONDS", OPTION_ARG_OPTIONAL, "status: again and again (default 1)", 1},
    {0, 0, 0, 0, "For submit:", 2},
    {"max-tokens", 'n', "N", 0, "Generate at most N tokens (default 64)", 2},
    {"temperature", 't', "T", 0, "Sample with temperature T; 0: greedy (default)", 2},
    {"top-k", KEY_TOP_K, "K", 0, "Sample from the K likeliest tokens; 0: from all (default)", 2},
    {"top-p", KEY_TOP_P, "P", 0, "Sample from the likeliest tokens of probability P together", 2},
    {"seed", KEY_SEED, "N", 0, "The same seed gives the same tokens", 2},
    {"stop", KEY_STOP, "TEXT", 0, "End before this text; up to 16 times", 2},
    {"stop-token", KEY_STOP_TOKEN, "ID", 0, "End at this token; up to 64 times", 2},
    {"tokens", KEY_TOKENS, "ID,ID,...", 0, "Token ids instead of TEXT", 2},
    {"ignore-eos", KEY_IGNORE_EOS, 0, 0, "Generate past the end of sequence", 2},
    {"no-stream", KEY_NO_STREAM, 0, 0, "Print the answer when it is whole", 2},
    {"class", KEY_CLASS, "CLASS", 0, "realtime, normal (default) or batch", 2},
    {"deadline", KEY_DEADLINE, "SECONDS", 0, "The server gives up after this long", 2},
    {0},
};

static const char *const command_names[CTL_COMMANDS] = {
    [CTL_STATUS] = "status",     [CTL_MODELS] = "models", [CTL_SUBMIT] = "submit",
    [CTL_LOAD] = "load",         [CTL_DROP] = "drop",     [CTL_DRAIN] = "drain",
    [CTL_SHUTDOWN] = "shutdown",
};

struct parse {
    struct ctl_options *options;
    int position;            /* of the next argument */
    const char *submit_only; /* an option given that is for submit */
};

static uint64_t parse_u64(struct argp_state *state, const char *name, const char *text,
                          uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value > max)
        argp_error(state, "--%s: found \"%s\", want an integer from 0 to %llu", name, text,
                   (unsigned long long)max);
    return value;
}

static double parse_number(struct argp_state *state, const char *name, const char *text, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0 || value > max)
        argp_error(state, "--%s: found \"%s\", want a number from 0 to %g", name, text, max);
    return value;
}

static void parse_tokens(struct argp_state *state, struct ctl_options *options, const char *text)
{
    size_t count = 1;
    for (const char *at = text; *at; at++)
        count += *at == ',';
    if (count > TOKENS_MAX)
        argp_error(state, "--tokens: found %zu ids, want at most %d", count, TOKENS_MAX);
    free(options->tokens);
    options->tokens = calloc(count, sizeof *options->tokens);
    if (!options->tokens) {
        argp_failure(state, CTL_REFUSED, errno, "--tokens");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno || end == text || (*end && *end != ',') || *text == '-' || value > INT32_MAX)
            argp_error(state, "--tokens: id %zu: found \"%.20s\", want integers like 1,2,3", i + 1,
                       text);
        options->tokens[i] = (uint32_t)value;
        text = end + 1;
    }
    options->submit.tokens = options->tokens;
    options->submit.token_count = count;
}

static void parse_stop(struct argp_state *state, struct ctl_options *options, int key,
                       const char *text)
{
    struct swapclient_submit *submit = &options->submit;
    if (key == KEY_STOP) {
        if (submit->stop_count == sizeof options->stop / sizeof options->stop[0])
            argp_error(state, "--stop: more than %zu", submit->stop_count);
        options->stop[submit->stop_count++] = text;
    } else {
        if (submit->stop_token_count == sizeof options->stop_tokens / sizeof(uint32_t))
            argp_error(state, "--stop-token: more than %zu", submit->stop_token_count);
        options->stop_tokens[submit->stop_token_count++] =
            (uint32_t)parse_u64(state, "stop-token", text, INT32_MAX);
    }
}

/* True if KEY was one of submit's. */
static bool parse_submit_option(struct argp_state *state, struct ctl_options *options, int key,
                                char *text)
{
    struct swapclient_submit *submit = &options->submit;
    switch (key) {
    case 'n':
        submit->max_tokens = (uint32_t)parse_u64(state, "max-tokens", text, UINT32_MAX);
        return true;
    case 't':
        submit->temperature = parse_number(state, "temperature", text, 100);
        return true;
    case KEY_TOP_K:
        submit->top_k = (uint32_t)parse_u64(state, "top-k", text, UINT32_MAX);
        return true;
    case KEY_TOP_P:
        submit->top_p = parse_number(state, "top-p", text, 1);
        return true;
    case KEY_SEED:
        submit->has_seed = true;
        submit->seed = parse_u64(state, "seed", text, UINT64_MAX);
        return true;
    case KEY_STOP:
    case KEY_STOP_TOKEN:
        parse_stop(state, options, key, text);
        return true;
    case KEY_TOKENS:
        parse_tokens(state, options, text);
        return true;
    case KEY_NO_STREAM:
        submit->stream = false;
        return true;
    case KEY_IGNORE_EOS:
        submit->ignore_eos = true;
        return true;
    case KEY_CLASS:
        submit->class_name = text;
        return true;
    case KEY_DEADLINE:
        /* Upwards: 0 would mean none. */
        submit->deadline_ms = (uint32_t)ceil(1000 * parse_number(state, "deadline", text, 86400));
        return true;
    default:
        return false;
    }
}

static void parse_argument(struct argp_state *state, struct parse *parse, char *text)
{
    struct ctl_options *options = parse->options;
    int position = parse->position++;
    bool takes_model = options->command == CTL_SUBMIT || options->command == CTL_LOAD ||
                       options->command == CTL_DROP;
    if (position == 0) {
        for (int i = 0; i < CTL_COMMANDS; i++)
            if (strcmp(text, command_names[i]) == 0) {
                options->command = (enum ctl_command)i;
                return;
            }
        argp_error(state, "there is no command \"%s\"", text);
    } else if (position == 1 && takes_model) {
        options->model = options->submit.model = text;
    } else if (position == 2 && options->command == CTL_SUBMIT) {
        options->submit.prompt = text;
    } else {
        argp_error(state, "%s: \"%s\" is one argument too many (a text with spaces needs quotes)",
                   command_names[options->command], text);
    }
}

static void check(struct argp_state *state, const struct parse *parse)
{
    const struct ctl_options *options = parse->options;
    const char *name = command_names[options->command];
    if (parse->position == 0)
        argp_error(state, "a command is missing");
    if (parse->position == 1 && (options->command == CTL_SUBMIT || options->command == CTL_LOAD ||
                                 options->command == CTL_DROP))
        argp_error(state, "%s: the name of a model is missing (swapctl models lists them)", name);
    if (options->command == CTL_SUBMIT && !options->submit.prompt == !options->submit.tokens)
        argp_error(state, "submit: want TEXT or --tokens, found %s",
                   options->submit.prompt ? "both" : "neither");
    if (parse->submit_only && options->command != CTL_SUBMIT)
        argp_error(state, "%s: --%s is for submit", name, parse->submit_only);
    if (options->watch_s > 0 && options->command != CTL_STATUS)
        argp_error(state, "%s: --watch is for status", name);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct parse *parse = state->input;
    struct ctl_options *options = parse->options;
    if (parse_submit_option(state, options, key, text)) {
        for (const struct argp_option *option = option_list; option->key || option->doc; option++)
            if (option->key == key)
                parse->submit_only = option->name;
        return 0;
    }
    switch (key) {
    case 'e':
        options->connection.endpoint = text;
        return 0;
    case KEY_TIMEOUT:
        options->timeout_s = parse_number(state, "timeout", text, 1e6);
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case 'w':
        options->watch_s = text ? parse_number(state, "watch", text, 86400) : 1;
        if (options->watch_s < 0.05)
            options->watch_s = 0.05;
        return 0;
    case ARGP_KEY_ARG:
        parse_argument(state, parse, text);
        return 0;
    case ARGP_KEY_END:
        check(state, parse);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void read_stdin(struct ctl_options *options)
{
    size_t used = 0;
    size_t room = 0;
    for (;;) {
        if (used == room) {
            room = room ? 2 * room : 65536;
            char *grown = room <= STDIN_BYTES_MAX ? realloc(options->text, room) : 0;
            if (!grown) {
                fprintf(stderr, "swapctl: standard input is longer than %zu bytes\n", used);
                exit(CTL_USAGE);
            }
            options->text = grown;
        }
        size_t got = fread(options->text + used, 1, room - used, stdin);
        if (got == 0)
            break;
        used += got;
    }
    if (ferror(stdin)) {
        fprintf(stderr, "swapctl: standard input: %s\n", strerror(errno));
        exit(CTL_USAGE);
    }
    options->submit.prompt = options->text;
    options->submit.prompt_bytes = used;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : 0;
}

void ctl_options_parse(struct ctl_options *options, int argc, char **argv)
{
    static const struct argp parser = {
        option_list, parse_option, "COMMAND [MODEL [TEXT]]", doc, 0, 0, 0};
    struct parse parse = {.options = options};
    const char *endpoint = environment("SWAPSERVE_ENDPOINT");
    *options = (struct ctl_options){.timeout_s = -1};
    swapclient_options_init(&options->connection);
    swapclient_submit_init(&options->submit);
    options->submit.stream = true;
    options->submit.stop = options->stop;
    options->submit.stop_token_ids = options->stop_tokens;
    options->connection.connect_timeout_ms = 3000;
    if (endpoint)
        options->connection.endpoint = endpoint;
    options->connection.server_key = environment("SWAPSERVE_SERVER_KEY");
    options->connection.public_key = environment("SWAPSERVE_PUBLIC_KEY");
    options->connection.secret_key = environment("SWAPSERVE_SECRET_KEY");
    argp_err_exit_status = CTL_USAGE;
    argp_parse(&parser, argc, argv, 0, 0, &parse);
    if (options->submit.prompt && strcmp(options->submit.prompt, "-") == 0)
        read_stdin(options);
}

void ctl_options_free(struct ctl_options *options)
{
    free(options->text);
    free(options->tokens);
}

int ctl_timeout_ms(const struct ctl_options *options, double default_s)
{
    double seconds = options->timeout_s < 0 ? default_s : options->timeout_s;
    return seconds > 0 ? (int)ceil(seconds * 1000) : SWAPCLIENT_FOREVER;
}
