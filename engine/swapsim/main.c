/* swapsim: a workload against simulated ranks and the controller that also serves, in virtual time.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fault.h"
#include "engine/base/memory.h"
#include "engine/swapsim/options.h"
#include "engine/swapsim/output.h"

#define EXIT_OUTPUT  3
#define BOUND_EFFORT 5e7 /* half a second or so */

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

static enum ss_status make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t bytes = strlen(path);
    if (bytes >= sizeof part)
        return ss_fail(SS_IO, "%s: the path is too long", path);
    for (size_t i = 1; i <= bytes; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            return ss_fail_errno(SS_IO, errno, "%s: cannot be made", part);
    }
    return SS_OK;
}

/* A file of the run. */
struct sink {
    const char *folder, *name; /* FOLDER null: NAME is the path; NAME null: not wanted */
    FILE *file;
};

static enum ss_status open_sink(struct sink *sink)
{
    char path[PATH_MAX];
    if (!sink->name)
        return SS_OK;
    int bytes = snprintf(path, sizeof path, "%s%s%s", sink->folder ? sink->folder : "",
                         sink->folder ? "/" : "", sink->name);
    if (bytes < 0 || (size_t)bytes >= sizeof path)
        return ss_fail(SS_IO, "%s: the path is too long", sink->name);
    sink->file = fopen(path, "we");
    return sink->file ? SS_OK : ss_fail_errno(SS_IO, errno, "%s: cannot be written", path);
}

/* STATUS, or the failure to write all of SINK where there was none before. */
static enum ss_status close_sink(struct sink *sink, enum ss_status status)
{
    if (!sink->file)
        return status;
    int error = ferror(sink->file) ? EIO : 0;
    if (fclose(sink->file))
        error = errno;
    sink->file = 0;
    return status || !error ? status
                            : ss_fail_errno(SS_IO, error, "%s: was not written whole", sink->name);
}

static enum ss_status write_files(const char *folder, const struct ss_run_options *run,
                                  struct ss_metrics *metrics, const struct ss_run_totals *totals)
{
    struct sink summary = {.folder = folder, .name = "summary.json"};
    struct sink wall = {.folder = folder, .name = "wall.json"};
    enum ss_status status = open_sink(&summary);
    if (!status)
        ss_write_summary(summary.file, run, metrics, totals);
    status = close_sink(&summary, status);
    if (!status)
        status = open_sink(&wall);
    if (!status)
        ss_write_wall(wall.file, metrics, totals);
    return close_sink(&wall, status);
}

/* What is written while the run goes on. */
enum { REQUESTS, ARRIVALS, TOKENS, SINKS };

static enum ss_status open_sinks(const struct ss_swapsim_options *options, struct sink sinks[SINKS])
{
    static const char *const headers[SINKS] = {SS_REQUESTS_HEADER, SS_ARRIVALS_HEADER,
                                               SS_TOKENS_HEADER};
    enum ss_status status = options->out ? make_folders(options->out) : SS_OK;
    sinks[REQUESTS] =
        (struct sink){.folder = options->out, .name = options->out ? "requests.csv" : 0};
    sinks[ARRIVALS] = (struct sink){.name = options->save_arrivals};
    sinks[TOKENS] = (struct sink){.name = options->tokens};
    for (int i = 0; i < SINKS && !status; i++) {
        status = open_sink(&sinks[i]);
        if (sinks[i].file)
            fputs(headers[i], sinks[i].file);
    }
    return status;
}

/* *WRITING: a failure is one to write results. */
static enum ss_status simulate(const struct ss_swapsim_options *options,
                               const struct ss_catalog *catalog, const struct ss_workload *workload,
                               bool *writing)
{
    struct ss_metrics metrics = {0};
    struct ss_run_totals totals;
    struct ss_yardstick yardstick = {0};
    struct sink sinks[SINKS] = {0};
    enum ss_status status = open_sinks(options, sinks);
    struct ss_run_options run = {.catalog = catalog,
                                 .workload = workload,
                                 .seed = options->seed,
                                 .groups = options->groups,
                                 .check = options->check,
                                 .progress = !options->quiet && isatty(STDERR_FILENO),
                                 .yardstick = options->bound ? &yardstick : 0,
                                 .requests = sinks[REQUESTS].file,
                                 .arrivals = sinks[ARRIVALS].file,
                                 .tokens = sinks[TOKENS].file};
    *writing = status != SS_OK;
    if (!status)
        status = ss_metrics_open(catalog, options->slo_factor, options->slo_ns, &metrics);
    if (!status)
        status = ss_run(&run, &metrics, &totals);
    if (!status && options->bound)
        status =
            ss_yardstick_measure(&yardstick, catalog, options->groups, BOUND_EFFORT, &totals.bound);
    *writing = *writing || !status;
    for (int i = 0; i < SINKS; i++)
        status = close_sink(&sinks[i], status);
    if (!status && options->out)
        status = write_files(options->out, &run, &metrics, &totals);
    if (!status && !options->quiet) {
        ss_write_digest(stdout, &metrics, &totals);
        if (fflush(stdout))
            status = ss_fail_errno(SS_IO, errno, "the digest could not be written");
    }
    ss_yardstick_release(&yardstick);
    ss_metrics_close(&metrics);
    return status;
}

/* Says that STATUS is why. */
static enum ss_status say(enum ss_status status)
{
    if (status)
        fprintf(stderr, "swapsim: %s\n", ss_status_message());
    return status;
}

static enum ss_status read_workload(const struct ss_swapsim_options *options,
                                    struct ss_workload **out)
{
    enum ss_status status = options->workload ? ss_workload_read(options->workload, stderr, out)
                                              : ss_workload_of_list(options->arrivals, out);
    if (status)
        return status;
    /* A list's duration is of the times in it. */
    double faster = options->arrivals ? options->rate : 1;
    if (options->duration_ns)
        (*out)->duration_ns = (uint64_t)((double)options->duration_ns / faster);
    ss_workload_scale(*out, options->rate);
    if (options->cv >= 0)
        ss_workload_set_cv(*out, options->cv);
    return SS_OK;
}

static enum ss_status read_config(const char *path, struct ss_config **config,
                                  struct ss_catalog **catalog)
{
    enum ss_status status = ss_config_read(path, stderr, config);
    if (!status)
        status = ss_catalog_open(*config, stderr, catalog);
    if (!status)
        status = ss_catalog_check(*catalog, stderr);
    if (!status && !(*catalog)->profile)
        status = ss_fail(SS_INVALID,
                         "%s: found no profile, expected the key profile with a file such as "
                         "profiles/h200-x4.yaml",
                         path);
    return status;
}

static int code_of(enum ss_status status, bool writing)
{
    if (status == SS_OK)
        return EXIT_SUCCESS;
    if (status == SS_INTERNAL || status == SS_NO_MEMORY)
        return EXIT_FAILURE;
    return writing ? EXIT_OUTPUT : SS_SWAPSIM_EXIT_WRONG;
}

int main(int argc, char **argv)
{
    struct ss_swapsim_options options;
    struct ss_config *config = 0;
    struct ss_catalog *catalog = 0;
    struct ss_workload *workload = 0;
    ss_swapsim_options_read(argc, argv, &options);
    note_command(argc, argv, options.seed);
    const char *fault = getenv("SWAPSERVE_FAULT"); /* planted by a test */
    if (fault && !ss_fault_arm_text(fault)) {
        fprintf(stderr, "SWAPSERVE_FAULT: found %s, expected alloc:N or file:N\n", fault);
        return SS_SWAPSIM_EXIT_WRONG;
    }
    signal(SIGABRT, say_replay);
    signal(SIGSEGV, say_replay);
    /* Of both files, that all mistakes are seen at once. */
    enum ss_status other = say(read_workload(&options, &workload));
    enum ss_status status = say(read_config(options.config, &config, &catalog));
    status = status ? status : other;
    bool writing = false;
    if (!status)
        status = say(simulate(&options, catalog, workload, &writing));
    int code = code_of(status, writing);
    if (code == EXIT_FAILURE)
        fprintf(stderr, "seed %" PRIu64 "; replay: %s\n", options.seed, replay);
    ss_workload_destroy(workload);
    ss_catalog_close(catalog);
    if (config)
        ss_config_destroy(config);
    return code;
}
