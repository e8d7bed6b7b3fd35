#include "engine/config/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/config/quote.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; where a decimal and a binary unit both fit, the larger value wins. */
static const struct unit size_units[] = {
    {"TiB", 1ull << 40}, {"TB", 1000000000000ull},
    {"GiB", 1ull << 30}, {"GB", 1000000000ull},
    {"MiB", 1ull << 20}, {"MB", 1000000ull},
    {"KiB", 1ull << 10}, {"KB", 1000ull},
    {"B", 1ull},         {NULL, 0},
};
static const struct unit rate_units[] = {
    {"TiB/s", 1ull << 40}, {"TB/s", 1000000000000ull},
    {"GiB/s", 1ull << 30}, {"GB/s", 1000000000ull},
    {"MiB/s", 1ull << 20}, {"MB/s", 1000000ull},
    {"KiB/s", 1ull << 10}, {"KB/s", 1000ull},
    {"B/s", 1ull},         {NULL, 0},
};
static const struct unit flops_units[] = {
    {"PFLOP/s", 1000000000000000ull},
    {"TFLOP/s", 1000000000000ull},
    {"GFLOP/s", 1000000000ull},
    {"MFLOP/s", 1000000ull},
    {"KFLOP/s", 1000ull},
    {"FLOP/s", 1ull},
    {NULL, 0},
};
static const struct unit time_units[] = {
    {"h", 3600000000000ull},
    {"min", 60000000000ull},
    {"s", 1000000000ull},
    {"ms", 1000000ull},
    {"us", 1000ull},
    {"ns", 1ull},
    {NULL, 0},
};

static const struct {
    const struct unit *units;
    const char *example, *names;
} quantities[SS_QUANTITIES] = {
    [SS_QUANTITY_SIZE] = {size_units, "a size such as 512MiB",
                          "B, KB, MB, GB, TB, KiB, MiB, GiB or TiB"},
    [SS_QUANTITY_RATE] = {rate_units, "a rate such as 10GB/s",
                          "B/s, KB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s or TiB/s"},
    [SS_QUANTITY_FLOPS] = {flops_units, "a rate such as 700TFLOP/s",
                           "FLOP/s, KFLOP/s, MFLOP/s, GFLOP/s, TFLOP/s or PFLOP/s"},
    [SS_QUANTITY_TIME] = {time_units, "a time such as 250ms", "ns, us, ms, s, min or h"},
};

const char *ss_units_example(enum ss_quantity quantity)
{
    return quantities[quantity].example;
}

/* The bytes of TEXT that a number takes; 0 if it does not start with one. strtod() alone would take
 * signs, "inf" and hexadecimal digits too. */
static size_t number_bytes(const char *text)
{
    size_t i = 0, digits;

    while (isdigit((unsigned char)text[i]))
        i++;
    digits = i;
    if (text[i] == '.') {
        i++;
        while (isdigit((unsigned char)text[i])) {
            i++;
            digits++;
        }
    }
    if (digits == 0)
        return 0;
    if (text[i] == 'e' || text[i] == 'E') {
        size_t j = i + 1;
        if (text[j] == '+' || text[j] == '-')
            j++;
        if (isdigit((unsigned char)text[j])) {
            while (isdigit((unsigned char)text[j]))
                j++;
            i = j;
        }
    }
    return i;
}

static enum ss_status unknown_unit(enum ss_quantity quantity, const char *text, const char *unit)
{
    char found[SS_QUOTE_BYTES];

    ss_quote(text, found, sizeof found);
    if (*unit == '\0')
        return ss_fail(SS_INVALID, "found %s, which has no unit, expected %s (units: %s)", found,
                       quantities[quantity].example, quantities[quantity].names);
    for (const struct unit *u = quantities[quantity].units; u->name != NULL; u++)
        if (strcasecmp(u->name, unit) == 0)
            return ss_fail(SS_INVALID, "found %s, expected the unit written %s", found, u->name);
    return ss_fail(SS_INVALID, "found %s, whose unit is unknown, expected %s (units: %s)", found,
                   quantities[quantity].example, quantities[quantity].names);
}

enum ss_status ss_units_parse(enum ss_quantity quantity, const char *text, uint64_t *out)
{
    char found[SS_QUOTE_BYTES];
    size_t length = number_bytes(text);
    const char *unit = text + length;
    uint64_t factor = 0;
    long double value;

    ss_quote(text, found, sizeof found);
    if (length == 0)
        return ss_fail(SS_INVALID, "found %s, expected %s", found, quantities[quantity].example);
    value = strtold(text, NULL);
    unit += strspn(unit, " ");
    for (const struct unit *u = quantities[quantity].units; u->name != NULL; u++)
        if (strcmp(u->name, unit) == 0)
            factor = u->factor;
    if (factor == 0 && !(*unit == '\0' && value == 0))
        return unknown_unit(quantity, text, unit);
    value = roundl(value * (long double)factor);
    /* 2^64 is exact in a long double and in a double; UINT64_MAX is not exact in a double. */
    if (!(value < 0x1p64L))
        return ss_fail(SS_INVALID, "found %s, which is too large, expected %s", found,
                       quantities[quantity].example);
    if (value == 0 && strpbrk(text, "123456789") != NULL &&
        strpbrk(text, "123456789") < text + strcspn(text, "eE"))
        return ss_fail(SS_INVALID, "found %s, which rounds to zero, expected 0 or %s", found,
                       quantities[quantity].example);
    *out = (uint64_t)value;
    return SS_OK;
}

const char *ss_units_format(enum ss_quantity quantity, uint64_t value, char *out, size_t bytes)
{
    const struct unit *u = quantities[quantity].units;

    while (u->factor > 1 && (value < u->factor || value % u->factor != 0))
        u++;
    if (value == 0)
        snprintf(out, bytes, "0");
    else
        snprintf(out, bytes, "%" PRIu64 "%s", value / u->factor, u->name);
    return out;
}
