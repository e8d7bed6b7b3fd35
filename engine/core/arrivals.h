/* When a model's next request may come, from the gaps between those before.
 *
 * A histogram of gaps per model, whose weights fade with each new gap, answers how likely a request
 * is within a time to come, given how long there was none: the hybrid histogram of "Serverless in
 * the Wild" (Shahrad et al., ATC 2020), with buckets that grow with the gap (four to an octave) so
 * that one table serves milliseconds and minutes. It learns regular, random and bursty arrivals
 * alike. Where few gaps were seen, or none as long as the present one, a prior decides: the Lomax
 * distribution with the mean of what was seen, whose hazard falls with time, so that a model that
 * is not asked for is slowly given up. The time before a model's first request counts as seen: who
 * came late comes seldom. O(buckets) per request; O(1) per question. */
#ifndef SS_CORE_ARRIVALS_H
#define SS_CORE_ARRIVALS_H

#include <stdint.h>

#define SS_GAP_BUCKETS 96

struct ss_arrivals {
    uint64_t count, last_ns;
    float from[SS_GAP_BUCKETS + 1]; /* weight of the gaps of this bucket and all after, fading */
    double gap_sum_ns;              /* fading likewise; with the time before the first request */
};

/* A request came; SINCE_NS: requests to the group have been coming since. */
void ss_arrivals_note(struct ss_arrivals *arrivals, uint64_t since_ns, uint64_t now_ns);

/* What is expected of a model within a time from now. */
struct ss_outlook {
    double chance; /* of at least one request */
    double count;  /* of requests */
    double usual;  /* the chance at any time, if requests came at random at their mean rate */
};

/* TYPICAL_NS is the mean gap of a model of the group, for one that has shown none yet. Nothing is
 * expected of a model that never had a request. */
struct ss_outlook ss_arrivals_within(const struct ss_arrivals *arrivals, uint64_t now_ns,
                                     double typical_ns, double within_ns);

#endif
