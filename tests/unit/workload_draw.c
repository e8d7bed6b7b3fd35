/* Draws and gaps: their moments, and that they are what other programs would draw. */
#include <criterion/criterion.h>

#include "engine/workload/draw.h"

#define DRAWS 200000

/* Mean and coefficient of variation of the gaps of a process. */
static void measure(double rate, double cv, double *mean, double *realised)
{
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double gap = ss_draw_gap(ss_draw_event(7, SS_DRAW_GAP, i), rate, cv);
        cr_assert(gap >= 0 && isfinite(gap));
        sum += gap;
        squares += gap * gap;
    }
    *mean = sum / DRAWS;
    *realised = sqrt(squares / DRAWS - *mean * *mean) / *mean;
}

/* Tolerances are four standard errors. That of a gamma's CV grows with its fourth moment. */
Test(workload_draw, gamma_gaps)
{
    static const struct {
        double cv, mean_error, cv_error;
    } cases[] = {{0.25, 0.0023, 0.002}, {1, 0.009, 0.013}, {4, 0.036, 0.2}};
    for (size_t i = 0; i < 3; i++) {
        double mean, cv;
        measure(10, cases[i].cv, &mean, &cv);
        cr_assert_float_eq(mean * 10, 1, cases[i].mean_error, "cv %g: mean %g", cases[i].cv, mean);
        cr_assert_float_eq(cv, cases[i].cv, cases[i].cv_error, "cv %g: found %g", cases[i].cv, cv);
    }
}

Test(workload_draw, even_gaps)
{
    cr_assert_eq(ss_draw_gap(ss_draw_event(1, SS_DRAW_GAP, 3), 4, 0), 0.25);
}

Test(workload_draw, normal_and_exponential)
{
    double sum = 0, squares = 0, gaps = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = ss_draw_normal(ss_draw_event(9, SS_DRAW_PROMPT, i), 0);
        sum += x;
        squares += x * x;
        gaps += ss_draw_exponential(ss_draw_event(9, SS_DRAW_GAP, i));
    }
    cr_assert_float_eq(sum / DRAWS, 0, 0.009);
    cr_assert_float_eq(squares / DRAWS, 1, 0.013);
    cr_assert_float_eq(gaps / DRAWS, 1, 0.009);
}

/* The numbers of draw.h, worked out by another program from its text: the generators of other
 * languages are held against the same ones. */
Test(workload_draw, fixed_numbers)
{
    uint64_t process = ss_draw_process(1, 2);
    cr_assert_eq(process, ss_random_u64(1, 2));
    cr_assert_eq(ss_draw_event(process, SS_DRAW_OUTPUT, 5), ss_random_u64(process, 42));
    cr_assert_eq(ss_draw_process(1, 0), 10451216379200822465ull);
    cr_assert_float_eq(ss_draw_gap(ss_draw_event(ss_draw_process(1, 0), SS_DRAW_GAP, 0), 1, 4),
                       1.245568382114424e-07, 1e-15);
    cr_assert_float_eq(ss_draw_gap(ss_draw_event(ss_draw_process(1, 0), SS_DRAW_GAP, 1), 1, 0.25),
                       1.0731820529475222, 1e-15);
    cr_assert_float_eq(ss_draw_normal(ss_draw_event(ss_draw_process(1, 0), SS_DRAW_PROMPT, 0), 0),
                       -1.3896276830399956, 1e-15);
}
