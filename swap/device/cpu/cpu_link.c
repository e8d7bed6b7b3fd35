#include "engine/base/clock.h"
#include "swap/device/cpu/internal.h"

uint64_t ss_cpu_link_reserve(struct cpu_link *link, uint64_t start_ns, size_t bytes)
{
    uint64_t hold_ns = link->latency_ns;
    if (link->bytes_per_s)
        hold_ns += (uint64_t)((double)bytes * (double)SS_NS_PER_S / (double)link->bytes_per_s);
    pthread_mutex_lock(&link->lock);
    if (start_ns < link->free_ns)
        start_ns = link->free_ns;
    uint64_t end_ns = start_ns + hold_ns;
    link->free_ns = end_ns;
    pthread_mutex_unlock(&link->lock);
    return end_ns;
}
