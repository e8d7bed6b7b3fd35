/* Host allocation for everything but the arena and the pools.
 *
 * Two functions, so that a fault test can fail the n-th allocation of a start or of a request. */
#ifndef SS_BASE_MEMORY_H
#define SS_BASE_MEMORY_H

#include <stddef.h>

#include "engine/base/status.h"

/* COUNT * SIZE zeroed bytes in *OUT, freed with ss_free(). SS_NO_MEMORY names WHAT and the bytes.
 * A count of 0 gives a pointer that may be freed and not read. */
SS_MUST_CHECK enum ss_status ss_alloc(void *out, size_t count, size_t size, const char *what);

/* Grows *POINTER (a T *, may be null) to COUNT elements of SIZE; new ones are not cleared. On
 * failure *POINTER stands. */
SS_MUST_CHECK enum ss_status ss_realloc(void *pointer, size_t count, size_t size, const char *what);

/* A copy of TEXT in *OUT (a char *). */
SS_MUST_CHECK enum ss_status ss_strdup(char **out, const char *text);

void ss_free(void *pointer);

#endif
