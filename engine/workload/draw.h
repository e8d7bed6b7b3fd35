/* Random draws of a workload: pure functions of numbers, so that any program, in any language,
 * that follows this header generates the same arrivals. Arithmetic is IEEE double, in the order
 * written; log, exp, pow, sqrt and cos are the C library's.
 *
 * Streams of a file, and the models of a stream, are numbered through as processes, from 0 (a
 * cyclic, turns, trace or replay stream is one process; every other stream has one for each of its
 * models). Then
 *
 *     process seed = ss_random_u64(seed of the run, process)
 *     event seed   = ss_random_u64(process seed, 8 * index + purpose)
 *
 * where INDEX counts the draws of that PURPOSE in that process from 0, and the functions below draw
 * numbers 0, 1, ... of that event: ss_random_unit(event seed, number). */
#ifndef SS_WORKLOAD_DRAW_H
#define SS_WORKLOAD_DRAW_H

#include <math.h>
#include <stdint.h>

#include "engine/base/random.h"

enum ss_draw {
    SS_DRAW_GAP,    /* to the next arrival */
    SS_DRAW_PROMPT, /* its length; INDEX is the arrival's, as for the next two */
    SS_DRAW_OUTPUT,
    SS_DRAW_MODEL, /* of a trace's row */
    SS_DRAW_DWELL, /* mmpp: in the next state */
    SS_DRAW_STATE, /* mmpp: the first state */
};

#define SS_DRAW_PI 3.14159265358979323846

static inline uint64_t ss_draw_process(uint64_t seed, uint64_t process)
{
    return ss_random_u64(seed, process);
}

static inline uint64_t ss_draw_event(uint64_t process_seed, enum ss_draw purpose, uint64_t index)
{
    return ss_random_u64(process_seed, 8 * index + (uint64_t)purpose);
}

/* Uniform in (0, 1], so that its logarithm is finite. */
static inline double ss_draw_open(uint64_t event, uint64_t number)
{
    return 1.0 - ss_random_unit(event, number);
}

/* Mean 1; takes number 0. By inversion. */
static inline double ss_draw_exponential(uint64_t event)
{
    return -log(ss_draw_open(event, 0));
}

/* Mean 0, deviation 1; takes NUMBER and NUMBER + 1. Box and Muller, Annals of Mathematical
 * Statistics 29 (1958), the cosine only. */
static inline double ss_draw_normal(uint64_t event, uint64_t number)
{
    double radius = sqrt(-2.0 * log(ss_draw_open(event, number)));
    return radius * cos(2.0 * SS_DRAW_PI * ss_random_unit(event, number + 1));
}

/* Gamma of SHAPE (above 0) and scale 1. Number 0 is for the boost of shapes under 1; attempt A,
 * from 0, takes numbers 1 + 3 A to 3 + 3 A. Marsaglia and Tsang, "A simple method for generating
 * gamma variables", ACM Transactions on Mathematical Software 26 (2000), without its squeeze. */
static inline double ss_draw_gamma(uint64_t event, double shape)
{
    double boost = shape < 1.0 ? pow(ss_draw_open(event, 0), 1.0 / shape) : 1.0;
    double d = (shape < 1.0 ? shape + 1.0 : shape) - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (uint64_t number = 1;; number += 3) {
        double x = ss_draw_normal(event, number), base = 1.0 + c * x;
        if (base <= 0.0)
            continue;
        double v = base * base * base;
        if (log(ss_draw_open(event, number + 2)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v * boost;
    }
}

/* The gap of a renewal process of RATE a second whose gaps are gamma with coefficient of variation
 * CV: shape 1 / CV^2. 0: all are 1 / RATE. Seconds. */
static inline double ss_draw_gap(uint64_t event, double rate, double cv)
{
    if (cv == 0.0)
        return 1.0 / rate;
    double square = cv * cv;
    return ss_draw_gamma(event, 1.0 / square) * square / rate;
}

#endif
