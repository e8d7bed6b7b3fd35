#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/base/log.h"
#include "experiments/stepbench/measure.h"

static const char doc[] =
    "Time loads, prefills and decode steps of a synthetic model on the stage executor:\n"
    "mpirun -np RANKS stepbench [options]";

static const struct argp_option options[] = {
    {"device", 'd', "KIND", 0, "cpu or cuda (default cuda)", 0},
    {"operations", 'k', "KIND", 0, "real or real-bf16 (default real)", 0},
    {"model", 'm', "SHAPE", 0, "a published shape (default opt-13b)", 0},
    {"scale", 's', "SHARE", 0, "the share of its layers that is kept (default 1)", 0},
    {"tp", 't', "N", 0, "tensor-parallel ranks (default 1)", 0},
    {"pp", 'p', "N", 0, "pipeline stages (default 1)", 0},
    {"out", 'o', "FILE", 0, "write the results as JSON", 0},
    {0},
};

struct arguments {
    struct bed *bed;
    const char *out;
};

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
    case 'o':
        arguments->out = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
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
                             .pp = 1};
    struct arguments arguments = {.bed = &bed};
    argp_parse(&argp, argc, argv, 0, 0, &arguments);
    enum ss_status status = ss_link_open_mpi(&link, &bed.link);
    if (status) {
        SS_ERROR("%s", ss_status_message());
        return EXIT_FAILURE;
    }
    SS_ASSERT(bed.link);
    json_t *rows = bed.link->rank == 0 ? json_array() : 0;
    status = bed_open(&bed);
    if (!status)
        status = measure_all(&bed, rows);
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
    bed.link->table->destroy(bed.link);
    return EXIT_SUCCESS;
}
