/* Sampling: the right distribution over the right set, and reproducible. */
#include "tests/unit/ops_data.h"

#include "pipeline/ops/cpu/sample.h"

enum { VOCAB_MAX = 2048 };
static uint64_t heap[VOCAB_MAX];

static int32_t choose(const float *logits, uint32_t vocab, struct ss_sampling sampling)
{
    const struct ss_cpu_logits view = {
        .data = logits, .count = 1, .parts = 1, .part_columns = vocab, .vocab = vocab};
    return ss_cpu_sample(&view, &sampling, heap);
}

Test(ops_sample, greedy_takes_the_lowest_id_of_the_largest)
{
    const struct ss_sampling greedy = {.temperature = 0, .top_p = 1};
    const float ties[] = {-1, 3, 2, 3, 3};
    const float below[] = {-5, -7, -3, -3};
    const float odd[] = {NAN, -INFINITY, -1e30f, NAN, 1};
    const float none[] = {NAN, -INFINITY, NAN};
    const float zeros[] = {-0.0f, 0.0f};
    cr_assert_eq(choose(ties, COUNT(ties), greedy), 1);
    cr_assert_eq(choose(below, COUNT(below), greedy), 2);
    cr_assert_eq(choose(odd, COUNT(odd), greedy), 4);
    cr_assert_eq(choose(none, COUNT(none), greedy), 0);
    cr_assert_eq(choose(zeros, COUNT(zeros), greedy), 0);
}

/* With one candidate left, a draw is the greedy choice, ties and zeros included. */
Test(ops_sample, a_draw_from_one_is_greedy)
{
    float logits[300];
    for (uint64_t seed = 0; seed < 200; seed++) {
        for (uint32_t i = 0; i < COUNT(logits); i++)
            logits[i] = (float)(ss_random_u64(seed, i) % 40) - 35; /* many ties */
        int32_t greedy = choose(logits, COUNT(logits), (struct ss_sampling){.top_p = 1});
        cr_assert_eq(
            choose(logits, COUNT(logits),
                   (struct ss_sampling){.temperature = 1, .top_p = 1, .top_k = 1, .seed = seed}),
            greedy);
        cr_assert_eq(choose(logits, COUNT(logits),
                            (struct ss_sampling){.temperature = 1, .top_p = 0, .seed = seed}),
                     greedy);
    }
    const float zeros[] = {-1, -0.0f, 0.0f};
    cr_assert_eq(choose(zeros, 3, (struct ss_sampling){.temperature = 1, .top_p = 1, .top_k = 1}),
                 1);
}

/* DRAWS draws at successive positions against PROBABILITIES: Pearson's chi-square stays under its
 * 99.9% quantile, by Wilson and Hilferty's approximation. The seed is fixed. */
static void check_distribution(const float *logits, uint32_t vocab, struct ss_sampling sampling,
                               const double *probabilities)
{
    enum { DRAWS = 60000 };
    uint32_t seen[64] = {0}, freedom = 0;
    cr_assert_leq(vocab, COUNT(seen));
    for (int i = 0; i < DRAWS; i++) {
        sampling.position = i;
        seen[choose(logits, vocab, sampling)]++;
    }
    double square = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        if (probabilities[i] <= 0) {
            cr_assert_eq(seen[i], 0, "token %u is outside the set", i);
            continue;
        }
        double expected = DRAWS * probabilities[i];
        square += (seen[i] - expected) * (seen[i] - expected) / expected;
        freedom++;
    }
    double f = freedom - 1, spread = 2 / (9 * f);
    double limit = f * pow(1 - spread + 3.09 * sqrt(spread), 3);
    cr_assert_lt(square, limit, "chi-square %g of %g degrees", square, f);
    cr_assert_gt(square, 0);
}

/* Eight tokens, descending: 7, 3, 0, 6, 1, 5, 4, 2. */
static const float eight[] = {1.5f, 0.5f, -1.0f, 2.0f, -0.5f, 0.0f, 1.0f, 2.5f};
static const uint32_t order[] = {7, 3, 0, 6, 1, 5, 4, 2};

/* Softmax of EIGHT over the first COUNT tokens of ORDER. */
static void soften(double temperature, uint32_t count, double *probabilities)
{
    double total = 0;
    memset(probabilities, 0, COUNT(eight) * sizeof *probabilities);
    for (uint32_t i = 0; i < count; i++)
        total += probabilities[order[i]] = exp((double)eight[order[i]] / temperature);
    for (uint32_t i = 0; i < COUNT(eight); i++)
        probabilities[i] /= total;
}

Test(ops_sample, draws_follow_the_softmax)
{
    double probabilities[COUNT(eight)];
    static const float temperatures[] = {0.5f, 1, 2.5f};
    for (size_t i = 0; i < COUNT(temperatures); i++) {
        soften((double)temperatures[i], COUNT(eight), probabilities);
        check_distribution(
            eight, COUNT(eight),
            (struct ss_sampling){.temperature = temperatures[i], .top_p = 1, .seed = i},
            probabilities);
    }
}

Test(ops_sample, top_k_keeps_k)
{
    double probabilities[COUNT(eight)];
    for (int32_t k = 2; k <= 9; k++) {
        soften(1, k < 8 ? (uint32_t)k : 8, probabilities);
        check_distribution(
            eight, COUNT(eight),
            (struct ss_sampling){.temperature = 1, .top_p = 1, .top_k = k, .seed = 40},
            probabilities);
    }
}

Test(ops_sample, top_p_keeps_the_smallest_set_that_reaches_p)
{
    double all[COUNT(eight)], probabilities[COUNT(eight)];
    soften(1, COUNT(eight), all);
    double sum = 0;
    for (uint32_t kept = 2; kept <= 7; kept++) {
        sum = 0;
        for (uint32_t i = 0; i < kept; i++)
            sum += all[order[i]];
        /* Just under the sum of KEPT tokens needs all of them; just over needs one more. */
        for (int over = 0; over <= 1; over++) {
            float p = (float)(sum + (over ? 1e-4 : -1e-4));
            soften(1, kept + (uint32_t)over, probabilities);
            check_distribution(eight, COUNT(eight),
                               (struct ss_sampling){.temperature = 1, .top_p = p, .seed = 12},
                               probabilities);
        }
    }
}

/* top_p is of the probability that top_k left: of the best four here, not of all. */
Test(ops_sample, top_k_comes_before_top_p)
{
    double four[COUNT(eight)], probabilities[COUNT(eight)];
    soften(1, 4, four);
    float p = (float)(four[order[0]] + four[order[1]] + 1e-4);
    soften(1, 3, probabilities);
    check_distribution(eight, COUNT(eight),
                       (struct ss_sampling){.temperature = 1, .top_p = p, .top_k = 4, .seed = 9},
                       probabilities);
}

/* Equal logits: the cut falls between equal tokens, and the lower ids stay. */
Test(ops_sample, ties_at_the_cut_go_by_id)
{
    float flat[32];
    bool seen[32] = {false};
    for (int i = 0; i < 32; i++)
        flat[i] = i % 2 ? 1 : 1 - 40;
    for (int i = 0; i < 500; i++) {
        int32_t token =
            choose(flat, 32,
                   (struct ss_sampling){.temperature = 1, .top_p = 1, .top_k = 3, .position = i});
        seen[token] = true;
    }
    for (int i = 0; i < 32; i++)
        cr_assert_eq(seen[i], i == 1 || i == 3 || i == 5, "token %d", i);
}

Test(ops_sample, a_seed_and_a_position_decide)
{
    float *logits = random_floats(VOCAB_MAX, 3);
    int changed_by_seed = 0, changed_by_position = 0;
    for (int32_t i = 0; i < 200; i++) {
        struct ss_sampling sampling = {
            .temperature = 1, .top_p = 0.95f, .seed = 5, .position = i, .slot = 1};
        int32_t token = choose(logits, VOCAB_MAX, sampling);
        sampling.slot = 7; /* no part of the draw */
        cr_assert_eq(choose(logits, VOCAB_MAX, sampling), token);
        sampling.seed = 6;
        changed_by_seed += choose(logits, VOCAB_MAX, sampling) != token;
        sampling.seed = 5;
        sampling.position = i + 1000;
        changed_by_position += choose(logits, VOCAB_MAX, sampling) != token;
    }
    cr_assert_gt(changed_by_seed, 190);
    cr_assert_gt(changed_by_position, 190);
    free(logits);
}

/* Logits cut over ranks, padded, beside another row: the same token as from one plain row. */
Test(ops_sample, parts_and_padding_are_the_same_vocabulary)
{
    enum { VOCAB = 101, PARTS = 4, PART = 26, ROWS = 2, ROW = 1 };
    float *plain = random_floats(VOCAB, 11), cut[PARTS * ROWS * PART];
    for (size_t i = 0; i < COUNT(cut); i++)
        cut[i] = 1e9f; /* padding and the other row would win */
    for (uint32_t id = 0; id < VOCAB; id++)
        cut[(id / PART * ROWS + ROW) * PART + id % PART] = plain[id];
    for (int32_t i = 0; i < 300; i++) {
        struct ss_sampling sampling = {.temperature = i ? 0.3f : 0,
                                       .top_p = i % 2 ? 0.9f : 1,
                                       .top_k = i % 3 * 10,
                                       .seed = 1,
                                       .position = i};
        const struct ss_cpu_logits view = {.data = cut,
                                           .count = ROWS,
                                           .parts = PARTS,
                                           .part_columns = PART,
                                           .vocab = VOCAB,
                                           .row = ROW};
        cr_assert_eq(ss_cpu_sample(&view, &sampling, heap), choose(plain, VOCAB, sampling));
    }
    free(plain);
}

Test(ops_sample, odd_logits_and_settings_are_survived)
{
    const float odd[] = {NAN, 1, -INFINITY, 2, NAN}, none[] = {NAN, -INFINITY};
    const float infinite[] = {0, INFINITY, 5, INFINITY};
    for (int32_t i = 0; i < 300; i++) {
        struct ss_sampling sampling = {.temperature = 1, .top_p = 1, .position = i};
        int32_t token = choose(odd, COUNT(odd), sampling);
        cr_assert(token == 1 || token == 3);
        cr_assert_eq(choose(none, COUNT(none), sampling), 0);
        cr_assert_eq(choose(infinite, COUNT(infinite), sampling), 1);
        sampling.temperature = 1e-30f;
        cr_assert_eq(choose(odd, COUNT(odd), sampling), 3);
        sampling.temperature = INFINITY;
        token = choose(odd, COUNT(odd), sampling);
        cr_assert(token == 1 || token == 3);
        sampling.temperature = 1;
        sampling.top_k = INT32_MAX;
        sampling.top_p = NAN;
        token = choose(odd, COUNT(odd), sampling);
        cr_assert(token == 1 || token == 3);
        sampling.temperature = NAN;
        cr_assert_eq(choose(odd, COUNT(odd), sampling), 3);
    }
}
