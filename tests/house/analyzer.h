/* Read by clang-tidy before each file, and by nothing else: what the analyzer cannot see across
 * files. ss_fail() and its kin return the status they are given, which is never SS_OK; without this
 * every failure passes for a success whose out-parameters were not set. ss_alloc() sets its pointer
 * where it returns SS_OK, and only there. */
#ifndef SS_HOUSE_ANALYZER_H
#define SS_HOUSE_ANALYZER_H

#include "engine/base/memory.h"
#include "engine/base/status.h"

#define ss_fail(status, ...)           ((void)ss_fail(status, __VA_ARGS__), (status))
#define ss_fail_errno(status, ...)     ((void)ss_fail_errno(status, __VA_ARGS__), (status))
#define ss_status_context(status, ...) ((void)ss_status_context(status, __VA_ARGS__), (status))

void *ss_analyzer_memory(size_t bytes) __attribute__((returns_nonnull));

static inline enum ss_status ss_analyzer_alloc(void **out, size_t count, size_t size,
                                               const char *what)
{
    void *ignored;
    enum ss_status status = ss_alloc(&ignored, count, size, what);

    if (status == SS_OK)
        *out = ss_analyzer_memory(count * size);
    return status;
}

#define ss_alloc(out, count, size, what) ss_analyzer_alloc((void **)(out), count, size, what)

#endif
