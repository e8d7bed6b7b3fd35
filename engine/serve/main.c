/* swapserve: one rank per process, started by mpirun; rank 0 holds the controller and the server.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/config/config.h"
#include "engine/serve/catalog.h"
#include "engine/serve/live.h"
#include "engine/serve/node.h"
#include "engine/serve/tokenizers.h"
#include "pipeline/link/link.h"

#define LINK_CREDITS   16
#define LINK_QUEUE_MAX 8192
#define FLUSH_NS       (2 * SS_NS_PER_S)
#define SPEAK_NS       (3 * SS_NS_PER_S)
#define EXIT_CONFIG    2

const char *argp_program_version = "swapserve " SS_VERSION;

static const char doc[] =
    "Serve many language models on few GPUs by swapping them in and out.\v"
    "Start one rank per GPU, tp x pp of them as the config says:\n"
    "  mpirun -np 4 swapserve --config llm.yaml\n"
    "As root, or with more ranks than cores, Open MPI wants in the environment:\n"
    "  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\n"
    "  OMPI_MCA_rmaps_base_oversubscribe=1\n"
    "To end in order (accepted requests are answered): swapctl drain, SIGTERM to a rank, or "
    "SIGUSR1 "
    "to mpirun. A second signal ends at once. SIGTERM to mpirun kills its ranks within a second.\n"
    "\nExit status: 0 after a drain, 1 after a failure, 2 for a config that cannot be served.";

struct arguments {
    const char *config, *trace, *endpoint;
    bool check;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0,
     "The YAML configuration (required); configs/README.md lists its keys", 0},
    {"check", 'k', 0, 0, "Check the configuration and its models, print the plan, start nothing",
     0},
    {"trace", 't', "FILE", 0, "Write a trace for Perfetto at the end, in place of the config's", 0},
    {"endpoint", 'e', "ENDPOINT", 0,
     "Listen there alone (tcp://HOST:PORT or ipc://PATH), in place of the config's endpoints", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config = text;
        return 0;
    case 'k':
        arguments->check = true;
        return 0;
    case 't':
        arguments->trace = text;
        return 0;
    case 'e':
        arguments->endpoint = text;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s is not an option; the config is given by --config FILE", text);
        return 0;
    case ARGP_KEY_END:
        if (!arguments->config)
            argp_error(state, "--config FILE is required");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static volatile sig_atomic_t signals_seen;
static struct ss_link *volatile signal_link;

static void on_signal(int number)
{
    int kept = errno;
    if (signals_seen++ > 0)
        _exit(128 + number);
    struct ss_link *link = signal_link;
    if (link)
        link->table->wake(link);
    errno = kept;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, 0);
    sigaction(SIGINT, &action, 0);
    sigaction(SIGUSR1, &action, 0);
    signal(SIGPIPE, SIG_IGN);
}

struct server {
    struct ss_catalog *catalog;
    struct ss_link *link;
    struct ss_node node;
    struct ss_rank *rank;
    struct ss_live *live;                   /* rank 0 */
    struct ss_tokenizer *const *tokenizers; /* rank 0 */
    char *hosts;
    bool asked;
};

static uint64_t on_turn(void *user)
{
    struct server *server = user;
    if (signals_seen && !server->asked) {
        server->asked = true;
        if (server->live)
            ss_live_ask_drain(server->live);
        else if (ss_rank_ask_drain(server->rank))
            SS_ERROR("the drain could not be passed on: %s", ss_status_message());
    }
    return server->live ? ss_live_on_turn(server->live) : UINT64_MAX;
}

static void on_report(void *user, const struct ss_report *report)
{
    struct server *server = user;
    ss_live_on_report(server->live, report);
}

static void on_drain(void *user)
{
    struct server *server = user;
    ss_live_ask_drain(server->live);
}

/* The rank that speaks of mistakes also opens the tokenizers. */
static enum ss_status read_all(const char *path, bool speak, struct ss_config **config,
                               struct ss_catalog **catalog, struct ss_tokenizer ***tokenizers)
{
    FILE *mistakes = speak ? stderr : fopen("/dev/null", "we");
    if (!mistakes)
        return ss_fail(SS_IO, "/dev/null cannot be opened");
    enum ss_status status = ss_config_read(path, mistakes, config);
    if (!status)
        status = ss_catalog_open(*config, mistakes, catalog);
    if (!status)
        status = ss_catalog_check(*catalog, mistakes);
    if (*catalog && speak) {
        enum ss_status opened = ss_tokenizers_open(*catalog, mistakes, tokenizers);
        status = status ? status : opened;
    }
    if (mistakes != stderr)
        fclose(mistakes);
    return status;
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (int level = 0; level < 4; level++)
        if (name && strcmp(name, names[level]) == 0)
            ss_log_set_level((enum ss_log_level)level);
}

static enum ss_status gather_hosts(struct server *server)
{
    char mine[SS_HOST_BYTES] = "";
    gethostname(mine, sizeof mine - 1);
    enum ss_status status =
        ss_agree(server->link,
                 ss_alloc(&server->hosts, (size_t)server->link->ranks, sizeof mine, "host names"));
    return status ? status
                  : server->link->table->all_gather(server->link, mine, sizeof mine, server->hosts);
}

static enum ss_status open_live(struct server *server)
{
    enum ss_status status = gather_hosts(server);
    if (!status && server->link->rank == 0) {
        const struct ss_live_options live = {.catalog = server->catalog,
                                             .link = server->link,
                                             .tokenizers = server->tokenizers,
                                             .device = server->node.device->description,
                                             .hosts = server->hosts};
        status = ss_live_create(&live, &server->live);
    }
    return ss_agree(server->link, status);
}

static enum ss_status open_server(struct server *server)
{
    struct ss_rank_options rank = {.link = server->link,
                                   .tp = server->catalog->tp,
                                   .pp = server->catalog->pp,
                                   .message_bytes_max =
                                       ss_catalog_message_bytes_max(server->catalog),
                                   .on_report = server->link->rank == 0 ? on_report : 0,
                                   .on_drain = server->link->rank == 0 ? on_drain : 0,
                                   .on_turn = on_turn,
                                   .user = server};
    enum ss_status status = ss_node_open(server->catalog, server->link, &server->node);
    if (!status)
        status = open_live(server);
    if (!status) {
        rank.stage = server->node.executor;
        rank.reporter = &server->node.reporter;
        status = ss_agree(server->link, ss_rank_create(&rank, &server->rank));
    }
    if (!status && server->live)
        status = ss_live_start(server->live, server->rank);
    return status;
}

static void say_ready(const struct server *server, uint64_t begun_ns)
{
    for (size_t i = 0; *ss_live_endpoint(server->live, i); i++)
        SS_INFO("listening on %s", ss_live_endpoint(server->live, i));
    SS_INFO("ready after %.1f s: %d models, %d ranks on %s", (double)(ss_now_ns() - begun_ns) / 1e9,
            server->catalog->model_count, server->link->ranks, server->node.device->description);
}

/* After a failure the streams of this rank may wait for peers that are gone: nothing is taken down
 * in order, the process just ends, and with it all it held. Rank 0 has answered its clients by now;
 * the others leave it the time to do so, since mpirun ends the job with the first of them. */
static _Noreturn void end_failed(struct server *server)
{
    if (server->live)
        ss_live_lose(server->live);
    enum ss_status status = server->link->table->flush(server->link, FLUSH_NS);
    if (status)
        SS_WARNING("%s", ss_status_message());
    if (server->live)
        ss_live_destroy(server->live); /* the last answers leave before this returns */
    else
        ss_sleep_until_ns(ss_now_ns() + FLUSH_NS);
    _exit(EXIT_FAILURE);
}

static void close_server(struct server *server)
{
    ss_live_destroy(server->live);
    ss_rank_destroy(server->rank);
    ss_node_close(&server->node);
    ss_free(server->hosts);
}

static int serve(struct server *server, uint64_t begun_ns)
{
    enum ss_status status = open_server(server);
    if (status) {
        if (server->link->rank == 0)
            SS_ERROR("%s", ss_status_message());
        close_server(server);
        return EXIT_FAILURE;
    }
    if (server->live)
        say_ready(server, begun_ns);
    status = ss_rank_run(server->rank);
    if (status)
        SS_ERROR("%s", ss_status_message());
    if (status || (server->live && ss_live_failed(server->live)))
        end_failed(server);
    if (server->live)
        ss_live_stop(server->live);
    if (server->catalog->config->trace)
        status = ss_node_write_trace(&server->node, server->catalog->config->trace);
    if (!status)
        status = server->link->table->flush(server->link, FLUSH_NS);
    if (status)
        SS_WARNING("%s", ss_status_message());
    close_server(server);
    if (server->link->rank == 0)
        SS_INFO("drained");
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(const struct ss_config *config, struct ss_catalog *catalog,
                 struct ss_tokenizer *const *tokenizers)
{
    const struct ss_link_options link = {.message_bytes_max = ss_catalog_message_bytes_max(catalog),
                                         .credits = LINK_CREDITS,
                                         .queue_max = LINK_QUEUE_MAX};
    struct server server = {.catalog = catalog, .tokenizers = tokenizers};
    uint64_t begun_ns = ss_now_ns();
    int wanted = config->group.tp * config->group.pp, code = EXIT_CONFIG;
    if (ss_link_open_mpi(&link, &server.link)) {
        SS_ERROR("%s", ss_status_message());
        return EXIT_FAILURE;
    }
    ss_log_set_rank(server.link->rank);
    if (server.link->ranks == wanted) {
        signal_link = server.link;
        code = serve(&server, begun_ns);
    } else if (server.link->rank == 0) {
        SS_ERROR("%s: group.tp %d x group.pp %d needs %d ranks, found %d: start it with "
                 "mpirun -np %d swapserve --config %s",
                 config->path, config->group.tp, config->group.pp, wanted, server.link->ranks,
                 wanted, config->path);
    }
    signal_link = 0;
    server.link->table->destroy(server.link);
    return code;
}

/* What the command line says goes before what the file says. */
static enum ss_status apply(const struct arguments *arguments, struct ss_config *config)
{
    enum ss_status status = SS_OK;
    if (arguments->trace) {
        ss_free(config->trace);
        config->trace = 0;
        status = ss_strdup(&config->trace, arguments->trace);
    }
    if (!status && arguments->endpoint) {
        struct ss_texts *endpoints = &config->server.endpoints;
        for (uint64_t i = 0; i < endpoints->count; i++)
            ss_free(endpoints->items[i]);
        *endpoints = (struct ss_texts){0};
        status = ss_strdup(&endpoints->items[0], arguments->endpoint);
        endpoints->count = !status;
    }
    return status;
}

/* mpirun numbers its ranks in the environment, before MPI is initialised; one that was started by
 * itself is the first. Only the first speaks of mistakes that all would find. */
static bool is_first_rank(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return !rank || strcmp(rank, "0") == 0;
}

/* A test plants a fault in every rank by SWAPSERVE_FAULT, in one by SWAPSERVE_FAULT_RANK too. */
static const char *fault_of_this_rank(void)
{
    const char *only = getenv("SWAPSERVE_FAULT_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    return only && rank && strcmp(only, rank) != 0 ? 0 : getenv("SWAPSERVE_FAULT");
}

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    struct arguments arguments = {0};
    struct ss_config *config = 0;
    struct ss_catalog *catalog = 0;
    struct ss_tokenizer **tokenizers = 0;
    argp_err_exit_status = EXIT_CONFIG;
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    const char *fault = fault_of_this_rank();
    if (fault && !ss_fault_arm_text(fault)) {
        SS_ERROR("SWAPSERVE_FAULT: found %s, expected alloc:N, device:N, link:N or file:N", fault);
        return EXIT_CONFIG;
    }
    catch_signals();
    int code = EXIT_CONFIG;
    if (read_all(arguments.config, is_first_rank(), &config, &catalog, &tokenizers) ||
        apply(&arguments, config)) {
        if (is_first_rank())
            SS_ERROR("%s", ss_status_message());
        else /* mpirun ends the job with the first rank that fails: let the one that speaks finish
              */
            ss_sleep_until_ns(ss_now_ns() + SPEAK_NS);
    } else if (arguments.check) {
        ss_catalog_print(catalog, stdout);
        code = EXIT_SUCCESS;
    } else {
        set_log_level(config->log_level);
        code = start(config, catalog, tokenizers);
    }
    ss_tokenizers_close(tokenizers, catalog);
    ss_catalog_close(catalog);
    if (config)
        ss_config_destroy(config);
    return code;
}
