/* Planted faults: a test arms one, and the n-th fallible call of that kind fails.
 *
 * Disarmed (always, outside tests) a check costs one relaxed load. Counting is process-wide, over
 * all threads. SWAPSERVE_FAULT=alloc:17 in the environment arms a program that asks for it. */
#ifndef SS_BASE_FAULT_H
#define SS_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum ss_fault_kind {
    SS_FAULT_ALLOC,
    SS_FAULT_DEVICE,
    SS_FAULT_LINK,
    SS_FAULT_FILE,
    SS_FAULT_COMM,   /* a collective or an edge, as it runs */
    SS_FAULT_THREAD, /* starting one */
    SS_FAULT_SOCKET, /* the server's */
    SS_FAULT_KINDS
};

/* True when this call is the one that must fail. Call it once per fallible call. */
bool ss_fault(enum ss_fault_kind kind);

/* Makes the NTH call (from 1) of KIND after this one fail, once; 0 disarms. */
void ss_fault_arm(enum ss_fault_kind kind, uint64_t nth);

/* Calls of KIND seen since it was armed: how far a test's loop over n must go. */
uint64_t ss_fault_count(enum ss_fault_kind kind);

/* "alloc", "device", "link", "file", "comm", "thread", "socket". */
const char *ss_fault_name(enum ss_fault_kind kind);

/* Arms from a text like "alloc:17"; false where it does not parse. */
bool ss_fault_arm_text(const char *text);

#endif
