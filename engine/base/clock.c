#include "engine/base/clock.h"

#include <errno.h>
#include <time.h>

uint64_t ss_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SS_NS_PER_S + (uint64_t)now.tv_nsec;
}

void ss_sleep_until_ns(uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0) == EINTR)
        continue;
}
