#include <criterion/criterion.h>
#include <string.h>

#include "engine/config/units.h"

static uint64_t parse(enum ss_quantity quantity, const char *text)
{
    uint64_t value = 0;
    enum ss_status status = ss_units_parse(quantity, text, &value);

    cr_assert_eq(status, SS_OK, "%s: %s", text, ss_status_message());
    return value;
}

static void refuse(enum ss_quantity quantity, const char *text, const char *part)
{
    uint64_t value = 77;
    enum ss_status status = ss_units_parse(quantity, text, &value);

    cr_assert_eq(status, SS_INVALID, "%s gave %llu", text, (unsigned long long)value);
    cr_assert_eq(value, 77);
    cr_assert_not_null(strstr(ss_status_message(), part), "%s: %s", text, ss_status_message());
}

Test(config_units, sizes)
{
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "0"), 0);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "1B"), 1);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "512MiB"), 512ull << 20);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "512 MiB"), 512ull << 20);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "2GB"), 2000000000ull);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "1.5KiB"), 1536);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "1e3KB"), 1000000);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, ".5TiB"), 1ull << 39);
    cr_assert_eq(parse(SS_QUANTITY_SIZE, "18446744073709551615B"), UINT64_MAX);
}

Test(config_units, rates_and_times)
{
    cr_assert_eq(parse(SS_QUANTITY_RATE, "10GB/s"), 10000000000ull);
    cr_assert_eq(parse(SS_QUANTITY_RATE, "55.6GB/s"), 55600000000ull);
    cr_assert_eq(parse(SS_QUANTITY_FLOPS, "700TFLOP/s"), 700000000000000ull);
    cr_assert_eq(parse(SS_QUANTITY_TIME, "250ms"), 250000000ull);
    cr_assert_eq(parse(SS_QUANTITY_TIME, "0.5us"), 500);
    cr_assert_eq(parse(SS_QUANTITY_TIME, "2min"), 120000000000ull);
}

Test(config_units, refused)
{
    refuse(SS_QUANTITY_SIZE, "512", "has no unit");
    refuse(SS_QUANTITY_SIZE, "", "expected a size");
    refuse(SS_QUANTITY_SIZE, "MiB", "expected a size");
    refuse(SS_QUANTITY_SIZE, "-1MiB", "expected a size");
    refuse(SS_QUANTITY_SIZE, "+1MiB", "expected a size");
    refuse(SS_QUANTITY_SIZE, "infB", "expected a size");
    refuse(SS_QUANTITY_SIZE, "nanB", "expected a size");
    refuse(SS_QUANTITY_SIZE, "0x10B", "unit is unknown");
    refuse(SS_QUANTITY_SIZE, "1mib", "written MiB");
    refuse(SS_QUANTITY_SIZE, "1MiB/s", "unit is unknown");
    refuse(SS_QUANTITY_SIZE, "1MiB ", "unit is unknown");
    refuse(SS_QUANTITY_SIZE, "1.2.3MiB", "unit is unknown");
    refuse(SS_QUANTITY_SIZE, "18446744073709551616B", "too large");
    refuse(SS_QUANTITY_SIZE, "1e400TiB", "too large");
    refuse(SS_QUANTITY_SIZE, "0.1B", "rounds to zero");
    refuse(SS_QUANTITY_SIZE, "5e-9B", "rounds to zero");
    refuse(SS_QUANTITY_RATE, "10GB", "unit is unknown");
    refuse(SS_QUANTITY_TIME, "5 parsecs", "unit is unknown");
    refuse(SS_QUANTITY_TIME, "5MS", "written ms");
}

Test(config_units, format_is_the_inverse)
{
    static const uint64_t values[] = {
        0, 1, 999, 1000, 1024, 1536, 1000000, 1ull << 20, 2ull << 20, 1025, 1ull << 40, UINT64_MAX};
    char text[32];

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (int quantity = 0; quantity < SS_QUANTITIES; quantity++)
            cr_assert_eq(parse(quantity, ss_units_format(quantity, values[i], text, sizeof text)),
                         values[i], "%s", text);
    cr_assert_str_eq(ss_units_format(SS_QUANTITY_SIZE, 2ull << 20, text, sizeof text), "2MiB");
    cr_assert_str_eq(ss_units_format(SS_QUANTITY_SIZE, 1536, text, sizeof text), "1536B");
    cr_assert_str_eq(ss_units_format(SS_QUANTITY_TIME, 250000000, text, sizeof text), "250ms");
    cr_assert_str_eq(ss_units_format(SS_QUANTITY_RATE, 10000000000, text, sizeof text), "10GB/s");
}
