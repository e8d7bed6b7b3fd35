/* Starts, serves and stops a group over and over, each time with another planted fault. Each run
 * must end by itself, with a failure that has a message or with every request answered; never with
 * a hang (CTest's limit) or a crash, and, under AddressSanitizer, without a leak.
 *
 *     serve_faults CONFIG KIND SEED SECONDS
 *
 * KIND is alloc, device, link or file. The first run counts the calls of that kind; then faults are
 * planted at calls drawn with SEED until SECONDS are over, every early one first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "tests/fault/group.h"

#define REQUESTS 6

static void make(struct group_request *requests)
{
    memset(requests, 0, REQUESTS * sizeof *requests);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        requests[i].model = (uint16_t)(i % 2);
        requests[i].prompt_count = 3 + i;
        requests[i].max_tokens = 4;
        for (uint32_t t = 0; t < requests[i].prompt_count; t++)
            requests[i].prompt[t] = (int32_t)(t + 5);
    }
}

static int run(const char *config, const char *kind, unsigned long long nth, uint64_t *calls)
{
    struct group_request requests[REQUESTS];
    struct group_outcome outcome;
    char plan[64];
    snprintf(plan, sizeof plan, "%s:%llu", kind, nth);
    make(requests);
    if (!ss_fault_arm_text(plan)) {
        fprintf(stderr, "%s is no plan\n", plan);
        exit(2);
    }
    group_run(config, requests, REQUESTS, REQUESTS, &outcome);
    for (int i = 0; i < SS_FAULT_KINDS; i++) {
        uint64_t seen = ss_fault_count((enum ss_fault_kind)i);
        *calls = seen > *calls ? seen : *calls;
        ss_fault_arm((enum ss_fault_kind)i, 0);
    }
    if (!outcome.status && outcome.answered != REQUESTS) {
        fprintf(stderr, "%s: no failure, but %u of %d requests answered\n", plan, outcome.answered,
                REQUESTS);
        return 1;
    }
    if (outcome.status && !outcome.message[0]) {
        fprintf(stderr, "%s: a failure without a message\n", plan);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t calls = 0, runs = 0, early = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: serve_faults CONFIG KIND SEED SECONDS\n");
        return 2;
    }
    const char *config = argv[1], *kind = argv[2];
    uint64_t seed = strtoull(argv[3], 0, 10);
    uint64_t until = ss_now_ns() + strtoull(argv[4], 0, 10) * SS_NS_PER_S;
    ss_log_set_level(SS_LOG_ERROR + 1);
    int wrong = run(config, kind, 1ull << 60, &calls);
    uint64_t total = calls;
    while (!wrong && ss_now_ns() < until && total) {
        uint64_t nth = runs % 2 ? 1 + ss_random_u64(seed, runs) % total : ++early;
        runs++;
        wrong = run(config, kind, nth > total ? 1 + nth % total : nth, &calls);
        if (wrong)
            fprintf(stderr, "again: serve_faults %s %s %llu %s\n", config, kind,
                    (unsigned long long)seed, argv[4]);
    }
    printf("%s: %llu calls in a run, %llu runs with a fault, %s\n", kind, (unsigned long long)total,
           (unsigned long long)runs, wrong ? "WRONG" : "all ended well");
    return wrong;
}
