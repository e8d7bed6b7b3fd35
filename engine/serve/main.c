/* swapserve: one rank per process, started by mpirun; rank 0 holds the controller and the server.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
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
#include "engine/base/process.h"
#include "engine/config/config.h"
#include "engine/serve/catalog.h"
#include "engine/serve/member.h"
#include "engine/serve/tokenizers.h"
#include "pipeline/link/link.h"

#define LINK_CREDITS   16
#define LINK_QUEUE_MAX 8192
#define SPEAK_NS       (3 * SS_NS_PER_S)
#define FILES_SPARE    64
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
    "to mpirun. A second signal ends at once, as any does during the start. SIGTERM to mpirun "
    "kills "
    "its ranks within a second: what cannot be answered until then is answered as lost.\n"
    "\nExit status: 0 after a drain, 1 after a failure, 2 for a config that cannot be served.";

struct arguments {
    const char *config, *trace, *record, *endpoint;
    bool check;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0,
     "The YAML configuration (required); configs/README.md lists its keys", 0},
    {"check", 'k', 0, 0, "Check the configuration and its models, print the plan, start nothing",
     0},
    {"trace", 't', "FILE", 0, "Write a trace for Perfetto at the end, in place of the config's", 0},
    {"record", 'r', "FILE", 0,
     "Record all entries, and a hash of each batch's logits in FILE.logits, for a replay", 0},
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
    case 'r':
        arguments->record = text;
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

static volatile sig_atomic_t signals_seen, killed_soon;
static struct ss_link *volatile signal_link;
static pid_t mpirun; /* 0: started without */

/* mpirun's own SIGTERM says that a rank died, or that it was told to end: SIGKILL follows. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    int kept = errno;
    if (number == SIGTERM && mpirun && info->si_pid == mpirun)
        killed_soon = 1;
    else if (signals_seen++ > 0)
        _exit(128 + number);
    struct ss_link *link = signal_link;
    if (link)
        link->table->wake(link);
    errno = kept;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    mpirun = getenv("OMPI_COMM_WORLD_RANK") ? getppid() : 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, 0);
    sigaction(SIGINT, &action, 0);
    sigaction(SIGUSR1, &action, 0);
}

/* Looked at once per turn of the loop. */
static enum ss_member_wish wish(void *user)
{
    (void)user;
    return killed_soon ? SS_MEMBER_HURRIES : signals_seen ? SS_MEMBER_DRAINS : SS_MEMBER_GOES_ON;
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
        char before[SS_MESSAGE_BYTES];
        snprintf(before, sizeof before, "%s", ss_status_message());
        enum ss_status opened = ss_tokenizers_open(*catalog, mistakes, tokenizers);
        if (status && opened)
            fprintf(mistakes, "%s\n", ss_status_message());
        status = status ? ss_fail(status, "%s", before) : opened;
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

static void say_ready(const struct ss_member_options *group, const struct ss_member *member,
                      uint64_t begun_ns)
{
    for (size_t i = 0; *ss_member_endpoint(member, i); i++)
        SS_INFO("listening on %s", ss_member_endpoint(member, i));
    SS_INFO("ready after %.1f s: %d models, %d ranks on %s", (double)(ss_now_ns() - begun_ns) / 1e9,
            group->catalog->model_count, group->link->ranks, ss_member_device(member));
}

static int serve(const struct ss_member_options *group, uint64_t begun_ns)
{
    struct ss_member *member;
    bool first = group->link->rank == 0;
    if (ss_member_open(group, &member)) {
        if (first)
            SS_ERROR("%s", ss_status_message());
        return EXIT_FAILURE;
    }
    catch_signals(); /* nothing was accepted before: a signal just ended the process */
    if (first)
        say_ready(group, member, begun_ns);
    enum ss_status status = ss_member_run(member);
    if (status) {
        /* The streams of this rank may wait for peers that are gone: nothing is taken down in
         * order, the process just ends, and with it all it held. Rank 0 answers its clients; the
         * others leave it the time to do so, since mpirun ends the job with the first of them. */
        SS_ERROR("%s", ss_status_message());
        ss_member_abandon(member);
        if (!first)
            ss_sleep_until_ns(ss_now_ns() + SPEAK_NS);
        _exit(EXIT_FAILURE);
    }
    status = ss_member_finish(member);
    if (status)
        SS_WARNING("%s", ss_status_message());
    bool whole = ss_member_close(member);
    if (first)
        SS_INFO("drained");
    return status || !whole ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int start(const struct ss_config *config, struct ss_catalog *catalog,
                 struct ss_tokenizer *const *tokenizers, const char *record)
{
    const struct ss_link_options link = {.message_bytes_max = ss_catalog_message_bytes_max(catalog),
                                         .credits = LINK_CREDITS,
                                         .queue_max = LINK_QUEUE_MAX};
    struct ss_member_options member = {
        .catalog = catalog, .tokenizers = tokenizers, .record = record, .wish = wish};
    uint64_t begun_ns = ss_now_ns();
    int wanted = config->group.tp * config->group.pp, code = EXIT_CONFIG;
    if (ss_link_open_mpi(&link, &member.link)) {
        SS_ERROR("%s", ss_status_message());
        return EXIT_FAILURE;
    }
    ss_log_set_rank(member.link->rank);
    if (member.link->ranks == wanted) {
        signal_link = member.link;
        code = serve(&member, begun_ns);
    } else if (member.link->rank == 0) {
        SS_ERROR("%s: group.tp %d x group.pp %d needs %d ranks, found %d: start it with "
                 "mpirun -np %d swapserve --config %s",
                 config->path, config->group.tp, config->group.pp, wanted, member.link->ranks,
                 wanted, config->path);
    }
    signal_link = 0;
    member.link->table->destroy(member.link);
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

static void check_files(uint64_t allowed, int clients_max)
{
    if (allowed < (uint64_t)clients_max + FILES_SPARE)
        SS_WARNING("%" PRIu64 " files may be open at once, too few for %d clients "
                   "(server.clients_max) and %d of the server's own: raise the hard limit "
                   "(ulimit -Hn)",
                   allowed, clients_max, FILES_SPARE);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    struct arguments arguments = {0};
    struct ss_config *config = 0;
    struct ss_catalog *catalog = 0;
    struct ss_tokenizer **tokenizers = 0;
    uint64_t files = ss_process_begin();
    argp_err_exit_status = EXIT_CONFIG;
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    const char *fault = fault_of_this_rank();
    if (fault && !ss_fault_arm_text(fault)) {
        SS_ERROR("SWAPSERVE_FAULT: found %s, expected KIND:N, with a KIND of alloc, device, link, "
                 "file, comm, thread or socket",
                 fault);
        return EXIT_CONFIG;
    }
    signal(SIGPIPE, SIG_IGN);
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
        if (is_first_rank())
            check_files(files, config->server.clients_max);
        code = start(config, catalog, tokenizers, arguments.record);
    }
    ss_tokenizers_close(tokenizers, catalog);
    ss_catalog_close(catalog);
    if (config)
        ss_config_destroy(config);
    return code;
}
