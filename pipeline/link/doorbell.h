/* A doorbell: wakes one sleeping thread, of this process or of another that shares the memory.
 *
 * It counts rings. The owner remembers the count up to which it has looked around, and sleeps only
 * while the count is still that: a ring between looking and sleeping is never missed. */
#ifndef SS_PIPELINE_LINK_DOORBELL_H
#define SS_PIPELINE_LINK_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

/* All zero is a fresh one. */
struct ss_doorbell {
    _Atomic uint32_t rings;
    _Atomic uint32_t asleep; /* spares the ringer a system call when the owner is awake */
};

/* Any thread, any process that maps it, and signal handlers. */
void ss_doorbell_ring(struct ss_doorbell *bell);

/* Sleeps until the count is not SEEN or ss_now_ns() >= DEADLINE_NS (UINT64_MAX: never). The owner
 * alone. May return early. */
void ss_doorbell_sleep(struct ss_doorbell *bell, uint32_t seen, uint64_t deadline_ns);

#endif
