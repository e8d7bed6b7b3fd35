#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/log.h"
#include "experiments/swapbench/bench.h"
#include "pipeline/link/agree.h"

static const char doc[] =
    "Measure links and swaps: mpirun -np RANKS swapbench link|swap [options]\v"
    "link: copies of growing size, one rank alone and all at once, each direction and both; and "
    "between the ranks' device memories.\n"
    "swap: loads of a model's shards through the transfer engine, in turn with bare copies of the "
    "same bytes, which are the ceiling. tp x pp must be the number of ranks.\n"
    "swap --busy: loads of one model while another decodes on the same ranks: what each costs the "
    "other. On the cpu device, with paced operations.";

static const struct argp_option options[] = {
    {"device", 'd', "KIND", 0, "cpu or cuda (default cuda)", 0},
    {"model", 'm', "SHAPE", 0, "swap: a published shape (default opt-13b)", 0},
    {"scale", 's', "SHARE", 0, "swap: the share of its layers that is kept (default 1)", 0},
    {"tp", 't', "N", 0, "swap: tensor-parallel ranks (default 1)", 0},
    {"pp", 'p', "N", 0, "swap: pipeline stages (default 1)", 0},
    {"repeats", 'r', "N", 0, "swap: loads to time (default 15)", 0},
    {"piece", 'b', "BYTES", 0, "swap: bytes of a piece (default 16777216)", 0},
    {"in-flight", 'f', "N", 0, "swap: pieces in flight (default 2)", 0},
    {"total", 'n', "BYTES", 0, "link: what to copy for each figure (default 2147483648)", 0},
    {"busy", 'y', 0, 0, "swap: beside a model that decodes", 0},
    {"steps", 'k', "N", 0, "swap --busy: tokens of each text, 448 at most (default 400)", 0},
    {"graphs", 'g', 0, 0, "swap --busy: steps are recorded and launched as one", 0},
    {"bandwidth", 'w', "BYTES", 0, "cpu: the link's bytes per second (default 1e9)", 0},
    {"latency", 'l', "SECONDS", 0, "cpu: what the link adds to each copy (default 0)", 0},
    {"out", 'o', "FILE", 0, "write the results as JSON", 0},
    {0},
};

struct arguments {
    const char *what, *device, *out;
    double bandwidth, latency_s;
    bool busy;
    struct bench *bench;
};

static void check(struct argp_state *state)
{
    const struct arguments *arguments = state->input;
    const struct bench *bench = arguments->bench;
    if (!arguments->what ||
        (strcmp(arguments->what, "link") != 0 && strcmp(arguments->what, "swap") != 0))
        argp_error(state, "say what to measure: link or swap");
    if (bench->repeats < 1 || bench->tp < 1 || bench->pp < 1 || bench->piece_bytes < 4096)
        argp_error(state, "--repeats, --tp, --pp are at least 1, --piece 4096");
    if (bench->total_bytes < 1 << 20 || !(arguments->bandwidth >= 0) ||
        !(arguments->latency_s >= 0) || arguments->latency_s > 1)
        argp_error(state, "--total is at least 1048576, --bandwidth at least 0, --latency from "
                          "0 to 1");
    if (bench->steps < 1 || bench->steps > 448)
        argp_error(state, "--steps is from 1 to 448");
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct bench *bench = arguments->bench;
    switch (key) {
    case 'd':
        arguments->device = text;
        return 0;
    case 'm':
        bench->model = text;
        return 0;
    case 's':
        bench->scale = strtod(text, 0);
        return 0;
    case 't':
        bench->tp = (int)strtol(text, 0, 10);
        return 0;
    case 'p':
        bench->pp = (int)strtol(text, 0, 10);
        return 0;
    case 'r':
        bench->repeats = (int)strtol(text, 0, 10);
        return 0;
    case 'b':
        bench->piece_bytes = (uint64_t)strtod(text, 0);
        return 0;
    case 'f':
        bench->pieces_in_flight = (int)strtol(text, 0, 10);
        return 0;
    case 'n':
        bench->total_bytes = (uint64_t)strtod(text, 0);
        return 0;
    case 'y':
        arguments->busy = true;
        return 0;
    case 'k':
        bench->steps = (int)strtol(text, 0, 10);
        return 0;
    case 'g':
        bench->graphs = true;
        return 0;
    case 'w':
        arguments->bandwidth = strtod(text, 0);
        return 0;
    case 'l':
        arguments->latency_s = strtod(text, 0);
        return 0;
    case 'o':
        arguments->out = text;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->what)
            argp_usage(state);
        arguments->what = text;
        return 0;
    case ARGP_KEY_END:
        check(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static enum ss_status write_results(const struct bench *bench, const char *path)
{
    char stamp[32];
    time_t now = time(0);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *root = json_pack("{s:s, s:s, s:i, s:O}", "device", bench->description, "at", stamp,
                             "ranks", bench->link->ranks, "rows", bench->rows);
    int failed = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(root);
    return failed ? ss_fail(SS_IO, "%s cannot be written", path) : SS_OK;
}

static enum ss_status on_device(struct bench *bench, const struct arguments *arguments, bool swap)
{
    const struct ss_device_options device = {.kind = arguments->device,
                                             .index = ss_link_place(bench->link),
                                             .memory_bytes = (size_t)16 << 30,
                                             .link_bytes_per_s = (uint64_t)arguments->bandwidth,
                                             .link_latency_ns =
                                                 (uint64_t)(arguments->latency_s * 1e9 + 0.5)};
    enum ss_status status = ss_device_create(&device, &bench->device);
    if (status)
        return status;
    memcpy(bench->description, bench->device->description, sizeof bench->description);
    if (bench->rows)
        printf("%s, %d ranks\n", bench->description, bench->link->ranks);
    status = swap ? bench_swap(bench) : bench_link(bench);
    bench->device->ops->destroy(bench->device);
    return status;
}

static enum ss_status run(struct bench *bench, const struct arguments *arguments)
{
    bool swap = strcmp(arguments->what, "swap") == 0;
    if (swap && bench->tp * bench->pp != bench->link->ranks)
        return ss_fail(SS_INVALID, "tp %d x pp %d needs %d ranks, found %d", bench->tp, bench->pp,
                       bench->tp * bench->pp, bench->link->ranks);
    bench->rows = bench->link->rank == 0 ? json_array() : 0;
    enum ss_status status = swap && arguments->busy
                                ? bench_busy(bench, arguments->device, arguments->bandwidth)
                                : on_device(bench, arguments, swap);
    if (!status && bench->rows && arguments->out)
        status = write_results(bench, arguments->out);
    json_decref(bench->rows);
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    const struct ss_link_options link = {.message_bytes_max = 4096, .credits = 4, .queue_max = 64};
    struct bench bench = {.model = "opt-13b",
                          .scale = 1,
                          .tp = 1,
                          .pp = 1,
                          .repeats = 15,
                          .piece_bytes = 16 << 20,
                          .total_bytes = (uint64_t)2 << 30,
                          .pieces_in_flight = 2,
                          .steps = 400};
    struct arguments arguments = {.device = "cuda", .bandwidth = 1e9, .bench = &bench};
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    enum ss_status status = ss_link_open_mpi(&link, &bench.link);
    if (!status) {
        status = run(&bench, &arguments);
        if (status) {
            SS_ERROR("rank %d: %s", bench.link->rank, ss_status_message());
            exit(EXIT_FAILURE); /* the others may wait for this rank: mpirun ends them */
        }
        bench.link->table->destroy(bench.link);
    } else {
        SS_ERROR("%s", ss_status_message());
    }
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
