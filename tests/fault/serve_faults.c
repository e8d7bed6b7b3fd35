/* Starts a server, serves a client and drains, over and over, each time with another planted fault.
 * Each run must end by itself: with a failure that has a message, or with every request answered;
 * never with a hang or a crash, and, under AddressSanitizer, without a leak.
 *
 *     serve_faults CONFIG KIND SEED SECONDS [NTH]
 *
 * KIND is alloc, device, link, file, comm, thread or socket. The first run counts the calls of that
 * kind, from the config to the last byte. Then each of them fails in turn, and if that takes longer
 * than SECONDS, as many as are drawn with SEED; SECONDS 0: all. NTH plays that fault alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fault.h"
#include "engine/base/log.h"
#include "engine/base/random.h"
#include "tests/fault/server.h"

/* Far above limits.peer_timeout and all that a client waits for, so that a busy machine is none. */
#define HANG_S 240

#define NEVER (1ull << 60) /* a call that no run comes to */

struct plan {
    const char *config, *kind;
    uint64_t nth;
    uint64_t calls; /* seen in the latest run */
};

static struct plan plan;

static void on_alarm(int number)
{
    char line[200];
    (void)number;
    int bytes = snprintf(line, sizeof line, "%s:%llu: no end after %d s\n", plan.kind,
                         (unsigned long long)plan.nth, HANG_S);
    if (write(STDERR_FILENO, line, (size_t)bytes) == bytes)
        abort();
    _exit(3);
}

static const char *judge(const struct server_outcome *outcome, bool clean)
{
    if (outcome->status && !outcome->message[0])
        return "a failure without a message";
    if (clean && (outcome->status || outcome->answered != outcome->asked || outcome->asked == 0 ||
                  outcome->controls_failed > 0))
        return "no fault was planted, and yet it failed";
    if (outcome->unanswered > 0)
        return "a request was not answered";
    return 0;
}

static int run(uint64_t nth)
{
    struct server_outcome outcome;
    char text[64];
    plan.nth = nth;
    snprintf(text, sizeof text, "%s:%llu", plan.kind, (unsigned long long)nth);
    if (!ss_fault_arm_text(text)) {
        fprintf(stderr, "%s is no plan\n", text);
        exit(2);
    }
    alarm(HANG_S);
    server_run(plan.config, &outcome);
    alarm(0);
    for (int i = 0; i < SS_FAULT_KINDS; i++) {
        if (strcmp(ss_fault_name((enum ss_fault_kind)i), plan.kind) == 0)
            plan.calls = ss_fault_count((enum ss_fault_kind)i);
        ss_fault_arm((enum ss_fault_kind)i, 0);
    }
    const char *wrong = judge(&outcome, nth == NEVER);
    if (wrong)
        fprintf(stderr, "%s: %s: %u of %u requests answered; %s\n", text, wrong, outcome.answered,
                outcome.asked, outcome.message);
    return wrong != 0;
}

/* A run without a fault may fail where the machine is so busy that a rank takes another for lost:
 * limits.peer_timeout is short, so that runs with a fault are. */
static int run_clean(void)
{
    int wrong = 1;
    for (int i = 0; i < 3 && wrong; i++)
        wrong = run(NEVER);
    return wrong;
}

int main(int argc, char **argv)
{
    uint64_t runs = 0, early = 0;
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: serve_faults CONFIG KIND SEED SECONDS [NTH]\n");
        return 2;
    }
    plan.config = argv[1];
    plan.kind = argv[2];
    uint64_t seed = strtoull(argv[3], 0, 10), seconds = strtoull(argv[4], 0, 10);
    signal(SIGALRM, on_alarm);
    if (argc == 6)
        return run(strtoull(argv[5], 0, 10));
    ss_log_set_level(SS_LOG_ERROR + 1);
    int wrong = run_clean();
    uint64_t total = plan.calls, until_ns = ss_now_ns() + seconds * SS_NS_PER_S;
    while (!wrong && early < total && (seconds == 0 || ss_now_ns() < until_ns)) {
        bool drawn = seconds > 0 && runs % 2;
        runs++;
        wrong = run(drawn ? 1 + ss_random_u64(seed, runs) % total : ++early);
    }
    if (wrong)
        fprintf(stderr, "again: serve_faults %s %s %s %s %llu\n", plan.config, plan.kind, argv[3],
                argv[4], (unsigned long long)plan.nth);
    printf("%s: %llu calls in a run, %llu runs with a fault, %s\n", plan.kind,
           (unsigned long long)total, (unsigned long long)runs, wrong ? "WRONG" : "all ended well");
    return wrong;
}
