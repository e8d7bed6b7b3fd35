/* Sums of parts against sums in double precision, rounded by their values and not by their bits. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pipeline/comm/host/sum.h"
#include "tests/contract/link_suite.h"

struct format {
    enum ss_dtype dtype;
    int fraction_bits, exponent_min, exponent_bits;
    double overflow; /* from here on it is infinite */
};

static const struct format formats[] = {
    {SS_F16, 10, -14, 5, 65520.0},
    {SS_BF16, 7, -126, 8, 0x1.ffp127},
};

static double value_of(const struct format *format, uint16_t bits)
{
    int exponent = bits >> format->fraction_bits & ((1 << format->exponent_bits) - 1);
    int fraction = bits & ((1 << format->fraction_bits) - 1);
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == (1 << format->exponent_bits) - 1)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, format->exponent_min - format->fraction_bits);
    return sign * ldexp(fraction + (1 << format->fraction_bits),
                        exponent - 1 + format->exponent_min - format->fraction_bits);
}

static double round_to(const struct format *format, double value)
{
    if (value == 0 || !isfinite(value))
        return value;
    int exponent = ilogb(value) < format->exponent_min ? format->exponent_min : ilogb(value);
    double place = ldexp(1.0, exponent - format->fraction_bits);
    double rounded = nearbyint(value / place) * place;
    return fabs(rounded) >= format->overflow ? copysign((double)INFINITY, value) : rounded;
}

static void check_sum(const struct format *format, uint16_t a, uint16_t b)
{
    uint16_t parts[2] = {a, b};
    uint16_t out;
    ss_sum_in_order(&out, parts, 2, 1, format->dtype);
    /* The sum in fp32 comes first, as the contract says. */
    float sum = (float)value_of(format, a) + (float)value_of(format, b);
    double expected = round_to(format, (double)sum);
    double found = value_of(format, out);
    if (isnan(expected))
        CHECK(isnan(found), "%s: %04x + %04x", ss_dtype_name(format->dtype), a, b);
    else
        CHECK(found == expected && !signbit(found) == !signbit(expected), "%s: %04x + %04x = %04x",
              ss_dtype_name(format->dtype), a, b, out);
}

static void test_format(const struct format *format)
{
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t in = (uint16_t)bits;
        uint16_t out;
        ss_sum_in_order(&out, &in, 1, 1, format->dtype);
        CHECK(out == in || isnan(value_of(format, in)), "%s: %04x alone became %04x",
              ss_dtype_name(format->dtype), in, out);
        check_sum(format, in, in);
        check_sum(format, in, 0x3c01);
        check_sum(format, in, (uint16_t)(bits * 40503u + 7u));
        check_sum(format, in, (uint16_t)(in ^ 0x0001));
    }
}

static void test_f32(void)
{
    static const float parts[3][2] = {{1e8f, 1.0f}, {1.0f, 2.0f}, {-1e8f, 3.0f}};
    float out[2];
    ss_sum_in_order(out, parts, 3, 2, SS_F32);
    CHECK(out[0] == 0.0f && out[1] == 6.0f, "in order: %a %a", (double)out[0], (double)out[1]);
    float zero = -0.0f;
    ss_sum_in_order(out, &zero, 1, 1, SS_F32);
    CHECK(signbit(out[0]), "one part is left as it is");
}

int main(void)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        test_format(&formats[i]);
    test_f32();
    puts("sums: ok");
    return 0;
}
