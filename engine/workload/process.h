/* One process of a workload: the state from which its next arrival follows. */
#ifndef SS_WORKLOAD_PROCESS_H
#define SS_WORKLOAD_PROCESS_H

#include <stdbool.h>

#include "engine/workload/arrivals.h"
#include "engine/workload/trace.h"

struct ss_named_model {
    const char *name;
    uint32_t index;
};

/* What the processes of a stream share. */
struct ss_process_stream {
    const struct ss_arrival_stream *stream;
    uint32_t *models; /* selected, in order; owned */
    uint32_t model_count;
    double share_sum; /* of 1 / k^skew */
    double *shares;   /* trace: cumulative, the last is 1; owned */
    struct ss_trace *trace;
    uint64_t end_ns;          /* no arrivals from then on */
    const char *const *names; /* of all models */
    uint32_t name_count;
    struct ss_named_model *by_name; /* replay: sorted; owned */
};

struct ss_process {
    struct ss_process_stream *of;
    uint32_t number; /* of draw.h */
    uint32_t model;  /* among the stream's; unused where it has all of them */
    uint64_t seed;   /* of the process */
    double rate;     /* of this process */
    double at_s;     /* of the latest arrival */
    uint64_t gaps;   /* drawn */
    uint64_t index;  /* arrivals so far */
    uint32_t state;  /* mmpp */
    uint64_t dwells; /* drawn */
    double dwell_end_s;
};

/* The arrival after the latest. SS_EMPTY: there is none. Not for turns. */
SS_MUST_CHECK enum ss_status ss_process_next(struct ss_process *process, struct ss_arrival *out);

/* Turns: the next arrival, at AT_NS. */
void ss_process_turn(struct ss_process *process, uint64_t at_ns, struct ss_arrival *out);

/* Sets up what the stream shares: its models among NAMES, shares, trace. The stream's line is in
 * the message. */
SS_MUST_CHECK enum ss_status ss_process_stream_open(const struct ss_workload *workload, int index,
                                                    const char *const *names, uint32_t name_count,
                                                    struct ss_process_stream *out);
void ss_process_stream_close(struct ss_process_stream *stream);

/* The model called NAME, for replay; false: there is none. */
bool ss_process_stream_find(const struct ss_process_stream *stream, const char *name,
                            uint32_t *index);

/* How many processes it has. */
uint32_t ss_process_stream_count(const struct ss_process_stream *stream);

/* PROCESS as the INDEX-th of STREAM, before its first arrival. */
void ss_process_begin(struct ss_process_stream *stream, uint32_t index, uint32_t number,
                      uint64_t seed, struct ss_process *process);

#endif
