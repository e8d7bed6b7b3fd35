/* A program that holds one kind of device to its cases, each on a device of its own: NAME KIND. */
#ifndef SS_TESTS_CONTRACT_DEVICE_CASES_H
#define SS_TESTS_CONTRACT_DEVICE_CASES_H

#include <unistd.h>

#include "swap/device/device.h"
#include "tests/contract/check.h"

#define HANG_SECONDS 240

struct bench; /* what a case works on: the program's own */

struct device_case {
    const char *name;
    void (*run)(struct bench *bench);
};

static const char *kind; /* of the device */

static inline bool no_such_device(void)
{
    const struct ss_device_options options = {.kind = kind, .memory_bytes = 1};
    struct ss_device *device;
    enum ss_status status = ss_device_create(&options, &device);
    if (!status)
        device->ops->destroy(device);
    return status == SS_NOT_FOUND;
}

/* The program's exit status. */
static inline int run_device_cases(int count, char **arguments, const struct device_case *cases,
                                   size_t case_count, struct bench *bench,
                                   void (*set_up)(struct bench *bench),
                                   void (*tear_down)(struct bench *bench))
{
    if (count != 2) {
        fprintf(stderr, "usage: %s KIND\n", arguments[0]);
        return 2;
    }
    kind = arguments[1];
    alarm(HANG_SECONDS);
    if (no_such_device()) {
        fprintf(stderr, "%s\n", ss_status_message());
        return CHECK_SKIPPED;
    }
    for (size_t i = 0; i < case_count; i++) {
        int before = checks_failed;
        set_up(bench);
        cases[i].run(bench);
        tear_down(bench);
        printf("%-4s %s\n", checks_failed == before ? "ok" : "FAIL", cases[i].name);
        fflush(stdout);
    }
    return checks_failed != 0;
}

#endif
