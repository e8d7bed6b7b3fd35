#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/log.h"
#include "experiments/stepbench/measure.h"

#define TRACE_SPANS_MAX 65536u

static const char doc[] =
    "Time loads, prefills and decode steps of a synthetic model on the stage executor:\n"
    "mpirun -np RANKS stepbench [options]";

static const struct argp_option options[] = {
    {"device", 'd', "KIND", 0, "cpu or cuda (default cuda)", 0},
    {"operations", 'k', "KIND", 0, "real, real-bf16 or, on the cpu, paced (default real)", 0},
    {"model", 'm', "SHAPE", 0, "a published shape (default opt-13b)", 0},
    {"scale", 's', "SHARE", 0, "the share of its layers that is kept (default 1)", 0},
    {"tp", 't', "N", 0, "tensor-parallel ranks (default 1)", 0},
    {"pp", 'p', "N", 0, "pipeline stages (default 1)", 0},
    {"page", 'g', "BYTES", 0, "unit of placement in the pool (default 2097152)", 0},
    {"piece", 'b', "BYTES", 0, "bytes of a piece (default 16777216)", 0},
    {"bandwidth", 'w', "BYTES", 0, "cpu: the link's bytes per second (default: as it comes)", 0},
    {"latency", 'l', "SECONDS", 0, "cpu: what the link adds to each copy (default 0)", 0},
    {"memory", 'y', "BYTES", 0, "paced: bytes per second of the device's memory", 0},
    {"flops", 'f', "FLOPS", 0, "paced: operations per second", 0},
    {"overhead", 'v', "SECONDS", 0, "paced: of each operation (default 0)", 0},
    {"graphs", 'r', 0, 0, "record steps of one token a sequence and launch them as one", 0},
    {"only", 'n', "PART", 0,
     "ceilings, loads, prefill, decode or returns; more than once for several (default: all)", 0},
    {"trace", 'e', "FILE", 0, "write what every rank did, for Perfetto", 0},
    {"deterministic", 'x', 0, 0, "cuda: bits that do not depend on the batch", 0},
    {"out", 'o', "FILE", 0, "write the results as JSON", 0},
    {0},
};

struct arguments {
    struct bed *bed;
    const char *out, *trace;
    unsigned parts; /* 0: all */
};

/* 0: no such part. */
static unsigned part_of(const char *name)
{
    static const struct {
        const char *name;
        enum measure_part part;
    } parts[] = {{"ceilings", MEASURE_CEILINGS},
                 {"loads", MEASURE_LOADS},
                 {"prefill", MEASURE_PREFILL},
                 {"decode", MEASURE_DECODE},
                 {"returns", MEASURE_RETURNS}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return parts[i].part;
    return 0;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct bed *bed = arguments->bed;
    switch (key) {
    case 'd':
        bed->device_kind = text;
        return 0;
    case 'k':
        bed->operations = text;
        return 0;
    case 'm':
        bed->model = text;
        return 0;
    case 's':
        bed->scale = strtod(text, 0);
        return 0;
    case 't':
        bed->tp = (int)strtol(text, 0, 10);
        return 0;
    case 'p':
        bed->pp = (int)strtol(text, 0, 10);
        return 0;
    case 'g':
        bed->page_bytes = (uint64_t)strtod(text, 0);
        return 0;
    case 'b':
        bed->piece_bytes = (uint64_t)strtod(text, 0);
        return 0;
    case 'w':
        bed->link_bytes_per_s = (uint64_t)strtod(text, 0);
        return 0;
    case 'l':
        bed->link_latency_ns = (uint64_t)(strtod(text, 0) * 1e9 + 0.5);
        return 0;
    case 'y':
        bed->profile.memory_bytes_per_s = strtod(text, 0);
        return 0;
    case 'f':
        bed->profile.flops_per_s = strtod(text, 0);
        return 0;
    case 'v':
        bed->profile.overhead_s = strtod(text, 0);
        return 0;
    case 'r':
        bed->graphs = true;
        bed->models = 2; /* room for weights in another place */
        return 0;
    case 'n':
        if (!part_of(text))
            argp_error(state, "--only %s: ceilings, loads, prefill, decode or returns", text);
        arguments->parts |= part_of(text);
        return 0;
    case 'e':
        arguments->trace = text;
        return 0;
    case 'x':
        bed->deterministic = true;
        return 0;
    case 'o':
        arguments->out = text;
        return 0;
    case ARGP_KEY_END:
        if (bed->page_bytes < 256 || bed->piece_bytes < 4096)
            argp_error(state, "--page is at least 256, --piece 4096");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *model_name(void *bed, int model)
{
    (void)model;
    return ((const struct bed *)bed)->model;
}

/* Every rank's part of the trace, one after another. Collective. */
static enum ss_status write_trace(struct bed *bed, const char *path)
{
    struct ss_link *link = bed->link;
    enum ss_status status = SS_OK;
    for (int rank = 0; rank < link->ranks; rank++) {
        FILE *file = rank == link->rank ? fopen(path, rank ? "ae" : "we") : 0;
        if (file) {
            fputs(rank ? "" : "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", file);
            ss_trace_write(bed->trace, file, model_name, bed);
            if (rank == link->ranks - 1)
                fputs("{\"ph\":\"M\",\"pid\":0,\"name\":\"end\"}\n]}\n", file);
        }
        if (rank == link->rank && (!file || fclose(file)))
            status = ss_fail(SS_IO, "trace: %s cannot be written", path);
        enum ss_status met = link->table->barrier(link);
        status = status ? status : met;
    }
    return status;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    const struct ss_link_options link = {.message_bytes_max = 4096, .credits = 4, .queue_max = 64};
    static struct bed bed = {.device_kind = "cuda",
                             .operations = "real",
                             .model = "opt-13b",
                             .scale = 1,
                             .tp = 1,
                             .pp = 1,
                             .page_bytes = (uint64_t)2 << 20,
                             .piece_bytes = (uint64_t)16 << 20};
    struct arguments arguments = {.bed = &bed};
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    enum ss_status status = ss_link_open_mpi(&link, &bed.link);
    if (status) {
        SS_ERROR("%s", ss_status_message());
        return EXIT_FAILURE;
    }
    SS_ASSERT(bed.link);
    json_t *rows = bed.link->rank == 0 ? json_array() : 0;
    status = arguments.trace ? ss_trace_create(bed.link->rank, TRACE_SPANS_MAX, &bed.trace) : SS_OK;
    if (!status)
        status = bed_open(&bed);
    if (!status)
        status = measure_parts(&bed, rows, arguments.parts ? arguments.parts : MEASURE_ALL);
    if (!status && bed.trace)
        status = write_trace(&bed, arguments.trace);
    if (status)
        SS_ERROR("rank %d: %s", bed.link->rank, ss_status_message());
    if (!status && rows && arguments.out &&
        json_dump_file(rows, arguments.out, JSON_INDENT(1) | JSON_REAL_PRECISION(6))) {
        SS_ERROR("%s cannot be written", arguments.out);
        status = SS_IO;
    }
    json_decref(rows);
    /* Peers of a rank that failed may hang in it: the job ends here. */
    if (status)
        exit(EXIT_FAILURE);
    bed_close(&bed);
    ss_trace_destroy(bed.trace);
    bed.link->table->destroy(bed.link);
    return EXIT_SUCCESS;
}
