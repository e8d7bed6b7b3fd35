/* Quantiles: exact while few, within a thousandth when many. */
#include <criterion/criterion.h>
#include <math.h>

#include "engine/base/random.h"
#include "engine/swapsim/histogram.h"

static void fill(struct ss_histogram *histogram, uint64_t count, uint64_t step)
{
    /* 1, 2, ..., COUNT times STEP, in another order: 7919 is prime. */
    for (uint64_t i = 0; i < count; i++)
        cr_assert_eq(ss_histogram_add(histogram, (i * 7919 % count + 1) * step), SS_OK);
}

Test(swapsim_histogram, few_are_exact)
{
    struct ss_histogram histogram = {0};
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 0.5), 0);
    cr_assert_eq(ss_histogram_mean_ns(&histogram), 0);
    fill(&histogram, 1000, 1000003);
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 0.5), 500 * 1000003);
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 0.99), 990 * 1000003);
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 0.999), 999 * 1000003);
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 1), 1000 * 1000003);
    cr_assert_eq(ss_histogram_quantile_ns(&histogram, 0), 1000003);
    cr_assert_float_eq(ss_histogram_mean_ns(&histogram), 500.5 * 1000003, 1e-3);
    ss_histogram_release(&histogram);
}

Test(swapsim_histogram, many_are_within_a_thousandth)
{
    struct ss_histogram histogram = {0};
    uint64_t count = 3 * SS_EXACT_MAX + 1, step = 12345;
    fill(&histogram, count, step);
    cr_assert_eq(histogram.count, count);
    for (double share = 0.01; share < 1; share += 0.01) {
        double right = ceil(share * (double)count) * (double)step;
        double found = (double)ss_histogram_quantile_ns(&histogram, share);
        cr_assert_float_eq(found / right, 1, 0.001, "share %g: found %g, right %g", share, found,
                           right);
    }
    cr_assert_float_eq(ss_histogram_mean_ns(&histogram), (double)(count + 1) / 2 * (double)step, 1);
    cr_assert_leq(ss_histogram_quantile_ns(&histogram, 1), count * step);
    ss_histogram_release(&histogram);
}

Test(swapsim_histogram, all_magnitudes)
{
    for (int bits = 0; bits < 64; bits++) {
        struct ss_histogram histogram = {0};
        uint64_t value = (1ull << bits) + (ss_random_u64(1, (uint64_t)bits) & ((1ull << bits) - 1));
        for (uint64_t i = 0; i < SS_EXACT_MAX + 10; i++)
            cr_assert_eq(ss_histogram_add(&histogram, value), SS_OK);
        double found = (double)ss_histogram_quantile_ns(&histogram, 0.5);
        cr_assert_float_eq(found / (double)value, 1, 0.001, "2^%d", bits);
        ss_histogram_release(&histogram);
    }
}
