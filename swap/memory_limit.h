/* How much memory this process may still take: what the machine has left and what its control
 * groups allow. */
#ifndef SS_SWAP_MEMORY_LIMIT_H
#define SS_SWAP_MEMORY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

struct ss_memory_limit {
    uint64_t available_bytes; /* the least of all limits; UINT64_MAX where nothing is known */
    char source[128];         /* whose limit that is, for messages */
    uint64_t huge_bytes;      /* in free, unreserved huge pages of 2 MiB */
};

/* Reads /proc/meminfo and the limits of the process's cgroups, version 1 and 2, up to their root.
 * Files that are not there limit nothing. A cgroup's page cache that is not in use counts as
 * available, as it does in MemAvailable. ROOT is put before every path: "" but in tests. */
void ss_memory_limit_read(const char *root, struct ss_memory_limit *limit);

#endif
