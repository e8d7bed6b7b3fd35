/* The arrivals of a workload, one after another: generated as they are asked for, so that memory
 * grows with models and streams, never with arrivals. The same workload, models and seed give the
 * same arrivals (draw.h says how). One thread. */
#ifndef SS_WORKLOAD_ARRIVALS_H
#define SS_WORKLOAD_ARRIVALS_H

#include <stdbool.h>

#include "engine/workload/workload.h"

struct ss_arrival {
    uint64_t at_ns;
    uint32_t model; /* index among the names given */
    uint32_t prompt_tokens, output_tokens;
    enum ss_class class;
    uint64_t deadline_ns; /* after AT_NS; 0: none */
    uint32_t process;     /* of draw.h */
};

struct ss_arrivals;

/* Borrows WORKLOAD and NAMES. Fails where a stream names a model that is not there, has another
 * number of rates than models, or a file that cannot be opened. */
SS_MUST_CHECK enum ss_status ss_arrivals_create(const struct ss_workload *workload,
                                                const char *const *names, uint32_t name_count,
                                                uint64_t seed, struct ss_arrivals **out);
void ss_arrivals_destroy(struct ss_arrivals *arrivals);

/* When the next arrival is. False: there is no more, or (closed loops) none before an answer. */
bool ss_arrivals_peek(const struct ss_arrivals *arrivals, uint64_t *at_ns);

/* Takes it: by time, those of one time by process. SS_EMPTY where peek says false. SS_INVALID: a
 * line of a trace is wrong; the message names it. */
SS_MUST_CHECK enum ss_status ss_arrivals_next(struct ss_arrivals *arrivals, struct ss_arrival *out);

/* Says that a request of PROCESS was answered, or REFUSED, at NOW_NS, not before what was taken: a
 * closed loop then has its next arrival, after a refusal no sooner than SS_REFUSED_PAUSE_NS.
 * Nothing to others. */
void ss_arrivals_answered(struct ss_arrivals *arrivals, uint32_t process, uint64_t now_ns,
                          bool refused);

/* Who asks again at once what is refused at once would do nothing else for ever. */
#define SS_REFUSED_PAUSE_NS 100000000ull

#endif
