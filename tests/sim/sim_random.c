/* Random runs of the controller against simulated ranks, every promise checked after every step.
 *
 *     sim_random --seeds A..B [--twice] [--cover] [--trace] [--verbose]
 *
 * Stops at the first seed that breaks a promise, and prints the command that replays it. --twice
 * plays each seed again and compares what happened, byte by byte; --cover wants the runs together
 * to have seen all that can be; --trace prints what happens. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/run.h"

struct arguments {
    uint64_t first, last;
    bool twice, cover, trace, verbose;
};

static uint64_t current_seed;

static void say_seed(int signal_number)
{
    char line[200];
    int bytes = snprintf(line, sizeof line,
                         "seed %" PRIu64 " was aborted at %" PRIu64
                         " ns; replay: sim_random --seeds %" PRIu64 "..%" PRIu64 "\n",
                         current_seed, run_now_ns(), current_seed, current_seed);
    if (write(STDERR_FILENO, line, (size_t)bytes) != bytes)
        _exit(3);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* The seed's trace; the caller frees it. */
static const char *play_traced(uint64_t seed, struct seen *seen, char **text, size_t *bytes)
{
    FILE *trace = open_memstream(text, bytes);
    if (!trace)
        return "no memory for a trace";
    const char *broken = run_seed(seed, seen, trace);
    fclose(trace);
    return broken;
}

static const char *play_twice(uint64_t seed, struct seen *seen)
{
    struct seen again = {0};
    char *texts[2] = {0};
    size_t bytes[2];
    const char *broken = play_traced(seed, seen, &texts[0], &bytes[0]);
    if (!broken)
        broken = play_traced(seed, &again, &texts[1], &bytes[1]);
    if (!broken && (bytes[0] != bytes[1] || memcmp(texts[0], texts[1], bytes[0]) != 0))
        broken = "played again, other things happened";
    free(texts[0]);
    free(texts[1]);
    return broken;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    const struct {
        const char *name;
        bool *set;
    } flags[] = {{"--twice", &arguments->twice},
                 {"--cover", &arguments->cover},
                 {"--trace", &arguments->trace},
                 {"--verbose", &arguments->verbose}};
    for (int i = 1; i < argc; i++) {
        bool known = false;
        for (size_t j = 0; j < sizeof flags / sizeof flags[0] && !known; j++) {
            known = strcmp(argv[i], flags[j].name) == 0;
            *flags[j].set |= known;
        }
        if (known)
            continue;
        if (strcmp(argv[i], "--seeds") != 0 || ++i == argc ||
            sscanf(argv[i], "%" SCNu64 "..%" SCNu64, &arguments->first, &arguments->last) != 2)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .last = 1000};
    static struct seen seen;
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr,
                "usage: sim_random --seeds A..B [--twice] [--cover] [--trace] [--verbose]\n");
        return 2;
    }
    signal(SIGABRT, say_seed);
    signal(SIGSEGV, say_seed);
    for (uint64_t seed = arguments.first; seed <= arguments.last; seed++) {
        current_seed = seed;
        const char *broken = arguments.twice ? play_twice(seed, &seen)
                                             : run_seed(seed, &seen, arguments.trace ? stdout : 0);
        if (arguments.verbose)
            printf("seed %" PRIu64 ": over at %" PRIu64 " ns\n", seed, run_now_ns());
        if (!broken)
            continue;
        fprintf(stderr,
                "seed %" PRIu64 ": %s\nreplay: sim_random --seeds %" PRIu64 "..%" PRIu64 "%s\n",
                seed, broken, seed, seed, arguments.twice ? " --twice" : "");
        return 1;
    }
    printf("seeds %" PRIu64 "..%" PRIu64 ": all promises held; ", arguments.first, arguments.last);
    seen_print(&seen, stdout);
    return arguments.cover && !seen_all(&seen, stderr) ? 1 : 0;
}
