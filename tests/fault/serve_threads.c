/* Serves random requests on ranks that are threads, twice: swapping under a small pool, and one at
 * a time. Every answer must be the same, every request answered once, and drops must move no byte.
 * For ThreadSanitizer too.
 *
 *     serve_threads CONFIG REQUESTS SEED */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"
#include "tests/fault/group.h"

#define REQUESTS_MAX 512

static void make(struct group_request *requests, uint32_t count, uint64_t seed, bool cancels)
{
    uint64_t draw = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct group_request *request = &requests[i];
        *request = (struct group_request){0};
        request->model = (uint16_t)(ss_random_u64(seed, draw++) % 3);
        request->prompt_count = 1 + (uint32_t)(ss_random_u64(seed, draw++) % 32);
        request->max_tokens = 1 + (uint32_t)(ss_random_u64(seed, draw++) % 24);
        request->temperature = ss_random_u64(seed, draw++) % 2 ? 0.8f : 0;
        request->seed = ss_random_u64(seed, draw++);
        for (uint32_t t = 0; t < request->prompt_count; t++)
            request->prompt[t] = (int32_t)(ss_random_u64(seed, draw++) % 1000);
        uint64_t cancel = ss_random_u64(seed, draw++) % 8;
        request->cancel_after = cancels && cancel < 2 ? cancel + 1 : 0;
    }
}

static int run(const char *config, struct group_request *requests, uint32_t count, uint32_t window,
               struct group_outcome *outcome)
{
    group_run(config, requests, count, window, outcome);
    if (outcome->status || outcome->answered != count) {
        fprintf(stderr, "%u of %u requests answered; %s\n", outcome->answered, count,
                outcome->message);
        return 1;
    }
    return 0;
}

/* Answers that were cancelled in one of the runs must agree as far as both go. */
static int compare(const struct group_request *a, const struct group_request *b, uint32_t count,
                   bool prefixes)
{
    int wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t both = a[i].token_count < b[i].token_count ? a[i].token_count : b[i].token_count;
        if (memcmp(a[i].tokens, b[i].tokens, both * sizeof *a[i].tokens) != 0 ||
            (!prefixes && a[i].token_count != b[i].token_count)) {
            fprintf(stderr, "request %u (model %u): other tokens under load\n", i, a[i].model);
            wrong++;
        }
    }
    return wrong;
}

int main(int argc, char **argv)
{
    static struct group_request loaded[REQUESTS_MAX], alone[REQUESTS_MAX], cut[REQUESTS_MAX];
    struct group_outcome busy, calm, torn;
    if (argc != 4) {
        fprintf(stderr, "usage: serve_threads CONFIG REQUESTS SEED\n");
        return 2;
    }
    uint32_t count = (uint32_t)strtoul(argv[2], 0, 10);
    uint64_t seed = strtoull(argv[3], 0, 10);
    if (count == 0 || count > REQUESTS_MAX)
        return 2;
    make(loaded, count, seed, false);
    make(alone, count, seed, false);
    make(cut, count, seed, true);
    int wrong = run(argv[1], loaded, count, 40, &busy) || run(argv[1], alone, count, 1, &calm) ||
                run(argv[1], cut, count, 40, &torn);
    if (!wrong)
        wrong = compare(loaded, alone, count, false) + compare(cut, alone, count, true);
    if (!wrong && (busy.loads < 4 || busy.copied_back_bytes)) {
        fprintf(stderr, "expected several loads and no byte copied back, found %llu and %llu\n",
                (unsigned long long)busy.loads, (unsigned long long)busy.copied_back_bytes);
        wrong = 1;
    }
    printf(
        "%u requests, seed %llu: %llu loads, %llu drops, %llu bytes loaded under load; %d wrong\n",
        count, (unsigned long long)seed, (unsigned long long)busy.loads,
        (unsigned long long)busy.drops, (unsigned long long)busy.loaded_bytes, wrong);
    return wrong != 0;
}
