#include "engine/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fault.h"

static enum ss_status refuse(size_t count, size_t size, const char *what)
{
    ss_fail(SS_NO_MEMORY, "out of host memory: %s: %zu x %zu bytes", what, count, size);
    return SS_NO_MEMORY;
}

enum ss_status ss_alloc(void *out, size_t count, size_t size, const char *what)
{
    void *made = ss_fault(SS_FAULT_ALLOC) ? 0 : calloc(count ? count : 1, size ? size : 1);
    if (!made)
        return refuse(count, size, what);
    memcpy(out, &made, sizeof made);
    return SS_OK;
}

enum ss_status ss_realloc(void *pointer, size_t count, size_t size, const char *what)
{
    void *old;
    memcpy(&old, pointer, sizeof old);
    if (size && count > SIZE_MAX / size)
        return refuse(count, size, what);
    size_t bytes = count * size;
    void *made = ss_fault(SS_FAULT_ALLOC) ? 0 : realloc(old, bytes > 0 ? bytes : 1);
    if (!made)
        return refuse(count, size, what);
    memcpy(pointer, &made, sizeof made);
    return SS_OK;
}

enum ss_status ss_strdup(char **out, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *made = 0;
    enum ss_status status = ss_alloc(&made, bytes, 1, "string");
    if (status)
        return status;
    memcpy(made, text, bytes);
    *out = made;
    return SS_OK;
}

void ss_free(void *pointer)
{
    free(pointer);
}
