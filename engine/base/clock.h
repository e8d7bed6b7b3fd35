/* Time, in nanoseconds of CLOCK_MONOTONIC: the same clock for all processes of a node. */
#ifndef SS_BASE_CLOCK_H
#define SS_BASE_CLOCK_H

#include <stdint.h>

#define SS_NS_PER_US 1000ull
#define SS_NS_PER_MS 1000000ull
#define SS_NS_PER_S  1000000000ull

uint64_t ss_now_ns(void);

/* Sleeps until ss_now_ns() >= DEADLINE_NS, however often a signal interrupts. */
void ss_sleep_until_ns(uint64_t deadline_ns);

#endif
