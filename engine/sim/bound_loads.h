/* What the link and the pool alone make requests wait, at the least: a lower bound for every
 * scheduler, clairvoyant ones included.
 *
 * The relaxation. A resource (one rank, or all of a group together) holds P bytes and loads B a
 * second. A use of model m that arrives at a can not be over before tail + the time T at which
 * each byte of m has been in the pool at some moment since a, where tail is what is still computed
 * after the last byte was needed; alone and warm it takes tail + hidden. So its latency is at least
 * tail + hidden + max(0, T - due), with due = a + hidden. Nothing else is asked: bytes may be
 * loaded before they are asked for, in any order, by parts of any size, dropped at any moment, and
 * the whole future is known.
 *
 * Let u(t) be the share of m's bytes that have not been in the pool in [a, t]. At rate B the last
 * u(due) of S bytes take u(due) S / B, and before T the share u(t) is at most (T - t) B / S, so
 *
 *     T - due >= integral of u over [due, T] + u(due) S / 2B          (as u(due) <= 1).
 *
 * This is a mean over bytes, each of which follows its own path in and out of the pool, and it is
 * linear, as are the two constraints that tie the paths together: in each cell of time at most
 * B times its length are loaded, and at each cell's begin at most P are in. By weak duality any
 * prices >= 0 for the two give a bound: the sum over models of S times the cheapest path of one
 * byte (waiting + loads at the price of their cell + residency at the price of its moment), less
 * the worth of all link time and of the pool. The cheapest path is found exactly, by a recursion
 * over cells with the lower envelope of lines (the waiting of a byte that comes back is linear in
 * when); where time is rounded to cells, it is rounded in the scheduler's favour. Prices are
 * improved by subgradient steps (scaled as in Kingma and Ba, "Adam", ICLR 2015); how far they get
 * decides how tight the bound is, never whether it is one. */
#ifndef SS_SIM_BOUND_LOADS_H
#define SS_SIM_BOUND_LOADS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

struct ss_bound_use {
    double arrival_s;
    double hidden_s; /* of its unloaded warm time, what lies before the last byte is needed */
    uint32_t model;
};

/* A resource; arrays by model, not 0 for those that are used. */
struct ss_bound_link {
    uint32_t model_count;
    const double *load_s;     /* the least time in which it loads the whole model */
    const double *pool_share; /* of the pool, that the whole model takes */
};

/* *DELAY_S: the least sum over USES of what they wait beyond their warm times. USES are by arrival,
 * from 0 on, when the pool is empty. EFFORT bounds the work, in cells visited: 1e8 is about a
 * second. May allocate; SS_NO_MEMORY. */
SS_MUST_CHECK enum ss_status ss_bound_loads(const struct ss_bound_link *link,
                                            const struct ss_bound_use *uses, size_t count,
                                            double effort, double *delay_s);

#endif
