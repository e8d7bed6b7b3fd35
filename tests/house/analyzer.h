/* Read by clang-tidy before each file, and by nothing else: what the analyzer cannot see across
 * files. ss_fail() and its kin return the status they are given, which is never SS_OK; without this
 * every failure passes for a success whose out-parameters were not set. */
#ifndef SS_HOUSE_ANALYZER_H
#define SS_HOUSE_ANALYZER_H

#include "engine/base/status.h"

#define ss_fail(status, ...)           ((void)ss_fail(status, __VA_ARGS__), (status))
#define ss_fail_errno(status, ...)     ((void)ss_fail_errno(status, __VA_ARGS__), (status))
#define ss_status_context(status, ...) ((void)ss_status_context(status, __VA_ARGS__), (status))

#endif
