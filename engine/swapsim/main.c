/* swapsim: a workload against simulated ranks and the controller that also serves, in virtual time.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "engine/swapsim/output.h"

#define EXIT_CONFIG  2
#define GROUPS_MAX   1024
#define BOUND_EFFORT 5e7 /* half a second or so */

const char *argp_program_version = "swapsim " SS_VERSION;

static const char doc[] =
    "Simulate a server under a workload: the same controller, ranks in virtual time.\v"
    "The config is an ordinary server's (configs/README.md) that names a profile of\n"
    "its machine (configs/profiles); no weights are made. The workload says who\n"
    "asks for what, when (configs/workloads). The same config, workload and seed\n"
    "give the same files, to the byte:\n"
    "\n"
    "  summary.json   latencies, loads, bytes, rates\n"
    "  requests.csv   a line for each request\n"
    "  wall.json      how fast the simulation was (not the same each time)\n"
    "\n"
    "For example:\n"
    "  swapsim --config configs/simulate.yaml --out out/sim \\\n"
    "    --workload configs/workloads/computron-1-1-1.yaml --cv 4\n"
    "\n"
    "Exit status: 0 when all was simulated; 1 after a broken promise, with the seed\n"
    "and the command that replays it; 2 for files that are wrong.";

enum { KEY_SLO = 256, KEY_CV, KEY_RATE, KEY_DURATION, KEY_BOUND, KEY_CHECK, KEY_QUIET };

struct arguments {
    const char *config, *workload, *out, *arrivals, *tokens;
    uint64_t seed;
    uint32_t groups;
    double slo_factor, cv, rate;
    bool check, quiet, bound;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "The server's configuration (required)", 0},
    {"workload", 'w', "FILE", 0, "The workload (required)", 0},
    {"seed", 's', "N", 0, "Where all random numbers come from (default: 1)", 0},
    {"out", 'o', "DIR", 0, "Write the results there; the folder is made", 0},
    {"groups", 'g', "N", 0,
     "So many groups of tp x pp ranks, each with its own controller; the models, shuffled by the "
     "seed, are dealt to them (default: 1)",
     0},
    {"arrivals", 'a', "FILE", 0, "Write the arrivals as they came, to be replayed", 0},
    {"tokens", 't', "FILE", 0, "Write a line for each token: when, and how long after the last", 0},
    {"rate", KEY_RATE, "FACTOR", 0, "Every rate of the workload times this", 0},
    {"cv", KEY_CV, "CV", 0, "Coefficient of variation of all gaps, in place of the workload's", 0},
    {"slo", KEY_SLO, "FACTOR", 0,
     "A request within FACTOR times its unloaded cold latency is in time (default: 5)", 0},
    {"bound", KEY_BOUND, 0, 0,
     "Add the lower bound on the mean latency of any scheduler, for what was answered", 0},
    {"check", KEY_CHECK, 0, 0, "Check every invariant after every step; slow", 0},
    {"quiet", 'q', 0, 0, "No progress, no digest", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *option, const char *text, uint64_t min,
                       uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || value < min || value > max)
        argp_error(state, "--%s: found %s, expected an integer from %" PRIu64 " to %" PRIu64,
                   option, text, min, max);
    return value;
}

static double real(struct argp_state *state, const char *option, const char *text, double min)
{
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !isfinite(value) || value < min || value > 1e6)
        argp_error(state, "--%s: found %s, expected a number from %g to 1000000", option, text,
                   min);
    return value;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config = text;
        return 0;
    case 'w':
        arguments->workload = text;
        return 0;
    case 's':
        arguments->seed = number(state, "seed", text, 0, UINT64_MAX);
        return 0;
    case 'o':
        arguments->out = text;
        return 0;
    case 'g':
        arguments->groups = (uint32_t)number(state, "groups", text, 1, GROUPS_MAX);
        return 0;
    case 'a':
        arguments->arrivals = text;
        return 0;
    case 't':
        arguments->tokens = text;
        return 0;
    case KEY_RATE:
        arguments->rate = real(state, "rate", text, 1e-6);
        return 0;
    case KEY_CV:
        arguments->cv = real(state, "cv", text, 0);
        return 0;
    case KEY_SLO:
        arguments->slo_factor = real(state, "slo", text, 0);
        return 0;
    case KEY_BOUND:
        arguments->bound = true;
        return 0;
    case KEY_CHECK:
        arguments->check = true;
        return 0;
    case 'q':
        arguments->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s is not an option", text);
        return 0;
    case ARGP_KEY_END:
        if (!arguments->config || !arguments->workload)
            argp_error(state, "--config FILE and --workload FILE are required");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char replay[4096]; /* the command line, with the seed */

/* Words are quoted for a shell where they need it. */
static void note_command(int argc, char **argv, uint64_t seed)
{
    size_t used = 0;
    bool seeded = false;
    for (int i = 0; i < argc && used < sizeof replay; i++) {
        bool plain = argv[i][strspn(argv[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789_./=:,+-")] == '\0';
        seeded = seeded || strncmp(argv[i], "--seed", 6) == 0 || strncmp(argv[i], "-s", 2) == 0;
        used += (size_t)snprintf(replay + used, sizeof replay - used, plain ? "%s%s" : "%s'%s'",
                                 i ? " " : "", argv[i]);
    }
    if (!seeded && used < sizeof replay)
        snprintf(replay + used, sizeof replay - used, " --seed %" PRIu64, seed);
}

static void say_replay(int signal_number)
{
    const char *const parts[] = {"aborted; replay: ", replay, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
            _exit(EXIT_FAILURE);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static enum ss_status open_file(const char *folder, const char *name, FILE **out)
{
    char path[4096];
    int bytes = folder ? snprintf(path, sizeof path, "%s/%s", folder, name)
                       : snprintf(path, sizeof path, "%s", name);
    if (bytes < 0 || (size_t)bytes >= sizeof path)
        return ss_fail(SS_INVALID, "%s: the path is too long", name);
    FILE *file = fopen(path, "we");
    if (!file)
        return ss_fail_errno(SS_IO, errno, "%s: cannot be written", path);
    *out = file;
    return SS_OK;
}

static enum ss_status close_file(FILE *file, const char *name)
{
    if (!file)
        return SS_OK;
    bool failed = ferror(file) != 0;
    if (fclose(file) || failed)
        return ss_fail_errno(SS_IO, errno, "%s: was not written whole", name);
    return SS_OK;
}

static enum ss_status write_files(const struct arguments *arguments,
                                  const struct ss_run_options *run, struct ss_metrics *metrics,
                                  const struct ss_run_totals *totals)
{
    FILE *file = 0;
    enum ss_status status = open_file(arguments->out, "summary.json", &file);
    if (status)
        return status;
    ss_write_summary(file, run, metrics, totals);
    status = close_file(file, "summary.json");
    if (!status)
        status = open_file(arguments->out, "wall.json", &file);
    if (status)
        return status;
    ss_write_wall(file, metrics, totals);
    return close_file(file, "wall.json");
}

static enum ss_status simulate(const struct arguments *arguments, const struct ss_catalog *catalog,
                               const struct ss_workload *workload)
{
    struct ss_metrics metrics = {0};
    struct ss_run_totals totals;
    struct ss_yardstick yardstick = {0};
    struct ss_run_options run = {.catalog = catalog,
                                 .workload = workload,
                                 .seed = arguments->seed,
                                 .groups = arguments->groups,
                                 .check = arguments->check,
                                 .progress = !arguments->quiet && isatty(STDERR_FILENO),
                                 .slo_factor = arguments->slo_factor};
    enum ss_status status = SS_OK, closed;
    if (arguments->out && mkdir(arguments->out, 0777) && errno != EEXIST)
        return ss_fail_errno(SS_IO, errno, "%s: cannot be made", arguments->out);
    if (arguments->out)
        status = open_file(arguments->out, "requests.csv", &run.requests);
    if (!status && arguments->arrivals)
        status = open_file(0, arguments->arrivals, &run.arrivals);
    if (!status && arguments->tokens)
        status = open_file(0, arguments->tokens, &run.tokens);
    if (!status && run.requests)
        fputs(SS_REQUESTS_HEADER, run.requests);
    if (!status && run.arrivals)
        fputs(SS_ARRIVALS_HEADER, run.arrivals);
    if (!status && run.tokens)
        fputs(SS_TOKENS_HEADER, run.tokens);
    if (!status)
        status = ss_metrics_open(catalog, arguments->slo_factor, &metrics);
    if (arguments->bound)
        run.yardstick = &yardstick;
    if (!status)
        status = ss_run(&run, &metrics, &totals);
    if (!status && arguments->bound)
        status = ss_yardstick_measure(&yardstick, catalog, arguments->groups, BOUND_EFFORT,
                                      &totals.bound);
    if (!status && arguments->out)
        status = write_files(arguments, &run, &metrics, &totals);
    if (!status && !arguments->quiet)
        ss_write_digest(stdout, &metrics, &totals);
    ss_yardstick_release(&yardstick);
    ss_metrics_close(&metrics);
    closed = close_file(run.requests, "requests.csv");
    status = status ? status : closed;
    closed = close_file(run.arrivals, arguments->arrivals);
    status = status ? status : closed;
    closed = close_file(run.tokens, arguments->tokens);
    return status ? status : closed;
}

static enum ss_status read_all(const struct arguments *arguments, struct ss_config **config,
                               struct ss_catalog **catalog, struct ss_workload **workload)
{
    /* Where both fail, the config's failure is said last; the mistakes of both are out by then. */
    enum ss_status other = ss_workload_read(arguments->workload, stderr, workload);
    enum ss_status status = ss_config_read(arguments->config, stderr, config);
    if (!status)
        status = ss_catalog_open(*config, stderr, catalog);
    if (!status)
        status = ss_catalog_check(*catalog, stderr);
    if (!status && !(*catalog)->profile)
        status = ss_fail(SS_INVALID,
                         "%s: found no profile, expected the key profile with a file such as "
                         "profiles/h200-x4.yaml",
                         arguments->config);
    return status ? status : other;
}

static int code_of(enum ss_status status)
{
    if (status == SS_OK)
        return EXIT_SUCCESS;
    return status == SS_INTERNAL || status == SS_NO_MEMORY ? EXIT_FAILURE : EXIT_CONFIG;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    struct arguments arguments = {.seed = 1, .groups = 1, .slo_factor = 5, .cv = -1, .rate = 1};
    struct ss_config *config = 0;
    struct ss_catalog *catalog = 0;
    struct ss_workload *workload = 0;
    argp_err_exit_status = EXIT_CONFIG;
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    note_command(argc, argv, arguments.seed);
    const char *fault = getenv("SWAPSERVE_FAULT"); /* planted by a test */
    if (fault && !ss_fault_arm_text(fault)) {
        fprintf(stderr, "SWAPSERVE_FAULT: found %s, expected alloc:N or file:N\n", fault);
        return EXIT_CONFIG;
    }
    signal(SIGABRT, say_replay);
    signal(SIGSEGV, say_replay);
    enum ss_status status = read_all(&arguments, &config, &catalog, &workload);
    if (!status) {
        ss_workload_scale(workload, arguments.rate);
        if (arguments.cv >= 0)
            ss_workload_set_cv(workload, arguments.cv);
        status = simulate(&arguments, catalog, workload);
    }
    int code = code_of(status);
    if (status)
        fprintf(stderr, "swapsim: %s\n", ss_status_message());
    if (code == EXIT_FAILURE)
        fprintf(stderr, "seed %" PRIu64 "; replay: %s\n", arguments.seed, replay);
    ss_workload_destroy(workload);
    ss_catalog_close(catalog);
    if (config)
        ss_config_destroy(config);
    return code;
}
