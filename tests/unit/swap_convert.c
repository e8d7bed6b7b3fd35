/* Conversions between weight types, against the definitions and over all halves. */
#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/base/random.h"
#include "swap/convert.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The value of a half by the definition of its format: no shortcut of the code under test. */
static double value_of(uint16_t half, int exponent_bits, int mantissa_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = half >> mantissa_bits & ((1 << exponent_bits) - 1);
    int mantissa = half & ((1 << mantissa_bits) - 1);
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return mantissa ? NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static const struct {
    enum ss_dtype dtype;
    int exponent_bits, mantissa_bits;
} halves[] = {{SS_F16, 5, 10}, {SS_BF16, 8, 7}};

Test(convert, every_half_widens_exactly_and_comes_back)
{
    static uint16_t in[65536], back[65536];
    static float wide[65536];
    for (int k = 0; k < 2; k++) {
        for (unsigned i = 0; i < 65536; i++)
            in[i] = (uint16_t)i;
        ss_convert(wide, SS_F32, in, halves[k].dtype, 65536);
        ss_convert(back, halves[k].dtype, wide, SS_F32, 65536);
        for (unsigned i = 0; i < 65536; i++) {
            double value = value_of((uint16_t)i, halves[k].exponent_bits, halves[k].mantissa_bits);
            if (isnan(value)) {
                cr_assert(isnan(wide[i]) && isnan(value_of(back[i], halves[k].exponent_bits,
                                                           halves[k].mantissa_bits)));
                continue;
            }
            cr_assert_eq((double)wide[i], value, "%s %04x", ss_dtype_name(halves[k].dtype), i);
            cr_assert_eq(back[i], i, "%s %04x", ss_dtype_name(halves[k].dtype), i);
        }
    }
}

/* Between each two neighbours: below, at and above the middle. */
Test(convert, narrowing_rounds_to_nearest_even)
{
    for (int k = 0; k < 2; k++) {
        int e = halves[k].exponent_bits, m = halves[k].mantissa_bits;
        uint16_t last = (uint16_t)(((1 << e) - 1) << m) - 1;
        for (uint16_t low = 0; low < last; low++) {
            double middle = (value_of(low, e, m) + value_of((uint16_t)(low + 1), e, m)) / 2;
            float probes[3] = {nextafterf((float)middle, 0), (float)middle,
                               nextafterf((float)middle, INFINITY)};
            uint16_t got[3];
            if ((double)probes[1] != middle) /* between F32's own smallest numbers */
                continue;
            ss_convert(got, halves[k].dtype, probes, SS_F32, 3);
            cr_assert_eq(got[0], low);
            cr_assert_eq(got[1], low + (low & 1));
            cr_assert_eq(got[2], low + 1);
        }
    }
}

Test(convert, overflow_is_infinite_and_signs_stay)
{
    const float in[] = {65519.9f, 65520.0f,   -65520.0f,  FLT_MAX,    -INFINITY,
                        -0.0f,    0x1.0p-25f, 0x1.8p-25f, -0x1.0p-26f};
    const uint16_t f16[] = {0x7bff, 0x7c00, 0xfc00, 0x7c00, 0xfc00, 0x8000, 0, 1, 0x8000};
    uint16_t got[9];
    ss_convert(got, SS_F16, in, SS_F32, 9);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(got[i], f16[i], "%g: %04x", (double)in[i], got[i]);
    ss_convert(got, SS_BF16, in, SS_F32, 9);
    cr_assert_eq(got[3], 0x7f80);
    cr_assert_eq(got[4], 0xff80);
}

/* The wide instructions and the code for the rest must agree to the bit, NaNs included. */
Test(convert, one_by_one_gives_the_same_bits)
{
    enum { COUNT = 1 << 16 };
    static uint32_t in[COUNT];
    static uint16_t many[COUNT], single;
    static float wide[COUNT], one;
    for (unsigned i = 0; i < COUNT; i++)
        in[i] = (uint32_t)ss_random_u64(8, i);
    for (int k = 0; k < 2; k++) {
        ss_convert(many, halves[k].dtype, in, SS_F32, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
            ss_convert(&single, halves[k].dtype, &in[i], SS_F32, 1);
            cr_assert_eq(single, many[i], "%08x: %04x %04x", in[i], single, many[i]);
        }
        for (unsigned i = 0; i < COUNT; i++)
            many[i] = (uint16_t)i;
        ss_convert(wide, SS_F32, many, halves[k].dtype, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
            ss_convert(&one, SS_F32, &many[i], halves[k].dtype, 1);
            cr_assert_eq(bits_of(one), bits_of(wide[i]), "%04x", i);
        }
    }
}

Test(convert, halves_convert_through_f32)
{
    enum { COUNT = 3000 };
    static uint16_t in[COUNT], direct[COUNT], twice[COUNT];
    static float wide[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        in[i] = (uint16_t)ss_random_u64(9, i);
    for (int k = 0; k < 2; k++) {
        enum ss_dtype from = halves[k].dtype, to = halves[1 - k].dtype;
        ss_convert(direct, to, in, from, COUNT);
        ss_convert(wide, SS_F32, in, from, COUNT);
        ss_convert(twice, to, wide, SS_F32, COUNT);
        cr_assert_arr_eq(direct, twice, sizeof direct);
        ss_convert(direct, from, in, from, COUNT);
        cr_assert_arr_eq(direct, in, sizeof direct);
    }
}
