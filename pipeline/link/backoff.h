/* How a thread waits for something that nothing wakes it for: it gives its core away some times,
 * then sleeps, each time longer.
 *
 * A thread that blocks inside MPI keeps a core busy; one that asks, and sleeps between, does not.
 */
#ifndef SS_PIPELINE_LINK_BACKOFF_H
#define SS_PIPELINE_LINK_BACKOFF_H

#include <stdint.h>

#define SS_BACKOFF_YIELDS       64
#define SS_BACKOFF_SLEEP_MIN_NS 20000ull

/* All zero is a fresh one; make it so again when something happened. */
struct ss_backoff {
    uint32_t turns;
};

/* How long to sleep this time, at most SLEEP_NS_MAX; 0 means to yield. Counts the turn. */
uint64_t ss_backoff_next_ns(struct ss_backoff *backoff, uint64_t sleep_ns_max);

/* Yields or sleeps for ss_backoff_next_ns(). */
void ss_backoff_pause(struct ss_backoff *backoff, uint64_t sleep_ns_max);

#endif
