#include "engine/base/fault.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct {
    _Atomic uint64_t target;
    _Atomic uint64_t count;
} faults[SS_FAULT_KINDS];

bool ss_fault(enum ss_fault_kind kind)
{
    uint64_t target = atomic_load_explicit(&faults[kind].target, memory_order_relaxed);
    if (target == 0)
        return false;
    return atomic_fetch_add(&faults[kind].count, 1) + 1 == target;
}

void ss_fault_arm(enum ss_fault_kind kind, uint64_t nth)
{
    faults[kind].count = 0;
    faults[kind].target = nth;
}

uint64_t ss_fault_count(enum ss_fault_kind kind)
{
    return faults[kind].count;
}

const char *ss_fault_name(enum ss_fault_kind kind)
{
    static const char *const names[SS_FAULT_KINDS] = {"alloc", "device", "link",  "file",
                                                      "comm",  "thread", "socket"};
    return names[kind];
}

bool ss_fault_arm_text(const char *text)
{
    for (int kind = 0; kind < SS_FAULT_KINDS; kind++) {
        const char *name = ss_fault_name((enum ss_fault_kind)kind);
        size_t length = strlen(name);
        if (strncmp(text, name, length) != 0 || text[length] != ':')
            continue;
        char *end;
        uint64_t nth = strtoull(text + length + 1, &end, 10);
        if (*end || end == text + length + 1 || nth == 0)
            return false;
        ss_fault_arm((enum ss_fault_kind)kind, nth);
        return true;
    }
    return false;
}
