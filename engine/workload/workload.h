/* A workload: who asks for what, when, as a YAML file says it (configs/workloads/README.md lists
 * the keys). It names models by name or pattern, or takes all of the config that it is used with.
 */
#ifndef SS_WORKLOAD_WORKLOAD_H
#define SS_WORKLOAD_WORKLOAD_H

#include <stdint.h>
#include <stdio.h>

#include "engine/base/class.h"
#include "engine/base/status.h"
#include "engine/config/schema.h"

#define SS_STREAMS_MAX 4096

enum ss_arrival_kind {
    SS_ARRIVE_GAMMA,
    SS_ARRIVE_POISSON,
    SS_ARRIVE_MMPP,
    SS_ARRIVE_ZIPF,
    SS_ARRIVE_CYCLIC,
    SS_ARRIVE_TURNS,
    SS_ARRIVE_TRACE,
    SS_ARRIVE_REPLAY,
    SS_ARRIVAL_KINDS,
};

/* Tokens of a prompt or an answer: TOKENS, or lognormal around MEDIAN; at most MAX. */
struct ss_length {
    uint32_t tokens; /* 0: lognormal */
    double median, sigma;
    uint32_t max; /* 0: no limit */
};

struct ss_arrival_stream {
    enum ss_arrival_kind kind;
    struct ss_texts models; /* names, or "prefix*"; none: all */
    struct ss_reals rates;  /* gamma, poisson: of each model, one for all or one each; mmpp: of each
                               state */
    double cv;              /* gamma, zipf, cyclic */
    struct ss_times dwell;  /* mmpp: mean time in each state */
    double rate;            /* zipf, cyclic: of all models together */
    double skew;            /* zipf, trace: exponent */
    uint32_t clients;       /* turns */
    uint64_t think_ns;      /* turns */
    char *csv;              /* trace, replay: absolute path */
    double speed;           /* trace, replay: times are divided by it */
    struct ss_length prompt, output;
    enum ss_class class;
    uint64_t deadline_ns; /* after arrival; 0: none */
    uint64_t from_ns, until_ns;
    int line; /* in the file */
};

struct ss_workload {
    char *path;
    uint64_t duration_ns; /* 0: until REQUESTS */
    uint64_t requests;    /* of all streams; 0: until DURATION */
    int stream_count;
    struct ss_arrival_stream *streams;
};

extern const struct ss_schema ss_workload_schema;

/* Reads PATH; every mistake is written to MISTAKES, a line each. */
SS_MUST_CHECK enum ss_status ss_workload_read(const char *path, FILE *mistakes,
                                              struct ss_workload **out);

/* As ss_workload_read(), of BYTES at TEXT, called PATH in messages; files are relative to FOLDER.
 */
SS_MUST_CHECK enum ss_status ss_workload_read_text(const char *path, const char *folder,
                                                   const char *text, size_t bytes, FILE *mistakes,
                                                   struct ss_workload **out);

/* The arrivals in the file PATH, a list as a stream of `replay` has it. */
SS_MUST_CHECK enum ss_status ss_workload_of_list(const char *path, struct ss_workload **out);
void ss_workload_destroy(struct ss_workload *workload);

/* Other rates or burstiness than the file's: every rate of every stream times FACTOR (a trace
 * and a replay run so much faster); CV for every gamma, zipf and cyclic stream. */
void ss_workload_scale(struct ss_workload *workload, double factor);
void ss_workload_set_cv(struct ss_workload *workload, double cv);

#endif
