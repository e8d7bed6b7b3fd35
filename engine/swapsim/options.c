#include "engine/swapsim/options.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define GROUPS_MAX  1024
#define FACTOR_MAX  1e6
#define SECONDS_MAX 31622400.0 /* 366 days */

const char *argp_program_version = "swapsim " SS_VERSION;

static const char doc[] =
    "Simulate a server under a workload: the same controller, ranks in virtual time.\v"
    "The config is an ordinary server's (configs/README.md) that names a profile of\n"
    "its machine (configs/profiles); no weights are made. The workload says who\n"
    "asks for what, when (configs/workloads), or a list of arrivals does. The same config, "
    "workload and seed\n"
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
    "and the command that replays it; 2 for files or options that are wrong; 3 when\n"
    "the results could not be written.";

enum {
    KEY_SLO = 256,
    KEY_SLO_FACTOR,
    KEY_CV,
    KEY_RATE,
    KEY_DURATION,
    KEY_SAVE,
    KEY_BOUND,
    KEY_CHECK
};

/* What the live load generator (python -m swapserve.load) has too is called the same. */
static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "The server's configuration (required)", 0},
    {"workload", 'w', "FILE", 0, "The workload; this or --arrivals is required", 0},
    {"arrivals", 'a', "FILE", 0, "A list of arrivals, as CSV, in place of a workload", 0},
    {"seed", 's', "N", 0, "Where all random numbers come from (default: 1)", 0},
    {"duration", KEY_DURATION, "S", 0,
     "Arrivals for S seconds, whatever the workload says; of a list: its first S seconds", 0},
    {"rate", KEY_RATE, "FACTOR", 0, "FACTOR times every rate; of a list: times divided by it", 0},
    {"cv", KEY_CV, "CV", 0, "Coefficient of variation of all gaps, in place of the workload's", 0},
    {"groups", 'g', "N", 0,
     "So many groups of tp x pp ranks, each with its own controller; the models, shuffled by the "
     "seed, are dealt to them (default: 1)",
     0},
    {"out", 'o', "DIR", 0, "Write the results there; the folder is made", 0},
    {"save-arrivals", KEY_SAVE, "FILE", 0, "Write the list of arrivals as they came to FILE", 0},
    {"tokens", 't', "FILE", 0, "Write a line for each token: when, and how long after the last", 0},
    {"slo", KEY_SLO, "MS", 0, "A request within MS milliseconds is in time", 0},
    {"slo-factor", KEY_SLO_FACTOR, "FACTOR", 0,
     "Without --slo: a request within FACTOR times its unloaded cold latency is in time (default: "
     "5)",
     0},
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

static double real(struct argp_state *state, const char *option, const char *text, double min,
                   double max)
{
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !isfinite(value) || value < min || value > max)
        argp_error(state, "--%s: found %s, expected a number from %g to %.10g", option, text, min,
                   max);
    return value;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct ss_swapsim_options *given = state->input;
    switch (key) {
    case 'c':
        given->config = text;
        return 0;
    case 'w':
        given->workload = text;
        return 0;
    case 's':
        given->seed = number(state, "seed", text, 0, UINT64_MAX);
        return 0;
    case 'o':
        given->out = text;
        return 0;
    case 'g':
        given->groups = (uint32_t)number(state, "groups", text, 1, GROUPS_MAX);
        return 0;
    case 'a':
        given->arrivals = text;
        return 0;
    case 't':
        given->tokens = text;
        return 0;
    case KEY_RATE:
        given->rate = real(state, "rate", text, 1e-6, FACTOR_MAX);
        return 0;
    case KEY_CV:
        given->cv = real(state, "cv", text, 0, FACTOR_MAX);
        return 0;
    case KEY_DURATION:
        given->duration_ns =
            (uint64_t)(real(state, "duration", text, 1e-9, SECONDS_MAX) * 1e9 + 0.5);
        return 0;
    case KEY_SAVE:
        given->save_arrivals = text;
        return 0;
    case KEY_SLO:
        given->slo_ns = (uint64_t)(real(state, "slo", text, 1e-6, SECONDS_MAX * 1e3) * 1e6 + 0.5);
        return 0;
    case KEY_SLO_FACTOR:
        given->slo_factor = real(state, "slo-factor", text, 0, FACTOR_MAX);
        return 0;
    case KEY_BOUND:
        given->bound = true;
        return 0;
    case KEY_CHECK:
        given->check = true;
        return 0;
    case 'q':
        given->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s is not an option", text);
        return 0;
    case ARGP_KEY_END:
        if (given->workload && given->arrivals)
            argp_error(state, "--workload %s and --arrivals %s: expected one of them",
                       given->workload, given->arrivals);
        if (!given->config || (!given->workload && !given->arrivals))
            argp_error(state, "--config FILE and one of --workload FILE and --arrivals FILE are "
                              "required");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void ss_swapsim_options_read(int argc, char **argv, struct ss_swapsim_options *out)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    *out =
        (struct ss_swapsim_options){.seed = 1, .groups = 1, .slo_factor = 5, .cv = -1, .rate = 1};
    argp_err_exit_status = SS_SWAPSIM_EXIT_WRONG;
    argp_parse(&argp, argc, argv, 0, 0, out);
}
