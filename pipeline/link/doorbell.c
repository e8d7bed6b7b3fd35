#include "pipeline/link/doorbell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"

/* The kernel wants a plain word; an atomic one of 32 bits has the same form. */
_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex is a 32-bit word");

void ss_doorbell_ring(struct ss_doorbell *bell)
{
    int saved = errno; /* a signal handler may not change it */
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->asleep))
        syscall(SYS_futex, &bell->rings, FUTEX_WAKE, INT_MAX, 0, 0, 0);
    errno = saved;
}

void ss_doorbell_sleep(struct ss_doorbell *bell, uint32_t seen, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / SS_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % SS_NS_PER_S)};
    atomic_store(&bell->asleep, 1);
    /* The kernel compares once more, so a ring from here on returns at once. */
    syscall(SYS_futex, &bell->rings, FUTEX_WAIT_BITSET, seen,
            deadline_ns == UINT64_MAX ? 0 : &until, 0, FUTEX_BITSET_MATCH_ANY);
    atomic_store(&bell->asleep, 0);
}
