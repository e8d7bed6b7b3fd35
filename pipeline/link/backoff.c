#include "pipeline/link/backoff.h"

#include <sched.h>

#include "engine/base/clock.h"

#define DOUBLINGS_MAX 20

uint64_t ss_backoff_next_ns(struct ss_backoff *backoff, uint64_t sleep_ns_max)
{
    if (backoff->turns < SS_BACKOFF_YIELDS) {
        backoff->turns++;
        return 0;
    }
    uint32_t doublings = backoff->turns - SS_BACKOFF_YIELDS;
    if (doublings < DOUBLINGS_MAX)
        backoff->turns++;
    uint64_t sleep_ns = SS_BACKOFF_SLEEP_MIN_NS << doublings;
    return sleep_ns < sleep_ns_max ? sleep_ns : sleep_ns_max;
}

void ss_backoff_pause(struct ss_backoff *backoff, uint64_t sleep_ns_max)
{
    uint64_t sleep_ns = ss_backoff_next_ns(backoff, sleep_ns_max);
    if (sleep_ns == 0)
        sched_yield();
    else
        ss_sleep_until_ns(ss_now_ns() + sleep_ns);
}
