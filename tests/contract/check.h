/* Checks for plain test programs: a failed one is printed with its line, and the program fails. */
#ifndef SS_TESTS_CONTRACT_CHECK_H
#define SS_TESTS_CONTRACT_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/status.h"

static int checks_failed;

static inline bool check_at(bool good, const char *what, const char *file, int line)
{
    if (good)
        return true;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    checks_failed++;
    return false;
}

/* For what nothing after can do without. */
static inline void must_at(enum ss_status status, const char *what, const char *file, int line)
{
    if (status == SS_OK)
        return;
    fprintf(stderr, "%s:%d: %s: %s: %s\n", file, line, what, ss_status_name(status),
            ss_status_message());
    exit(1);
}

/* What a program exits with where the machine cannot run it; CTest is told. */
#define CHECK_SKIPPED 77

#define CHECK(good)  check_at((good), #good, __FILE__, __LINE__)
#define MUST(status) must_at((status), #status, __FILE__, __LINE__)

#endif
