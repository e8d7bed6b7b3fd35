/* The first broken promise, which ends the run. */
#include <stdarg.h>
#include <stdio.h>

#include "engine/sim/internal.h"

void ss_sim_fail(struct ss_sim_group *group, const char *format, ...)
{
    if (group->failure[0])
        return;
    int used = snprintf(group->failure, sizeof group->failure,
                        "at %llu ns: ", (unsigned long long)group->now_ns);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(group->failure + used, sizeof group->failure - (size_t)used, format, arguments);
    va_end(arguments);
}

const char *ss_sim_group_failure(const struct ss_sim_group *group)
{
    return group->failure[0] ? group->failure : 0;
}
