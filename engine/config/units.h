/* Quantities as people write them: 512MiB, 10GB/s, 700TFLOP/s, 250ms.
 *
 * A number (digits, maybe a fraction and an exponent), maybe spaces, and a unit; the unit's case
 * counts. KB, MB, ... are powers of 1000, KiB, MiB, ... of 1024. Zero needs no unit, every other
 * number does. Results are rounded to the nearest whole byte, byte per second, operation per second
 * or nanosecond. */
#ifndef SS_CONFIG_UNITS_H
#define SS_CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

enum ss_quantity {
    SS_QUANTITY_SIZE,  /* bytes: B KB MB GB TB KiB MiB GiB TiB */
    SS_QUANTITY_RATE,  /* bytes per second: the same with /s */
    SS_QUANTITY_FLOPS, /* operations per second: FLOP/s KFLOP/s ... PFLOP/s */
    SS_QUANTITY_TIME,  /* nanoseconds: ns us ms s min h */
    SS_QUANTITIES
};

/* SS_INVALID with "found ..., expected ..." where TEXT is no number, has no unit or an unknown one,
 * is negative, is over UINT64_MAX, or is so small that it would be rounded to zero. */
SS_MUST_CHECK enum ss_status ss_units_parse(enum ss_quantity quantity, const char *text,
                                            uint64_t *out);

/* VALUE with the largest unit that needs no fraction: 2097152 is "2MiB", 250000000 ns "250ms".
 * BYTES of OUT: 32 are always enough. Returns OUT. */
const char *ss_units_format(enum ss_quantity quantity, uint64_t value, char *out, size_t bytes);

/* "a size such as 512MiB", "a rate such as 10GB/s", ...: for messages. Static storage. */
const char *ss_units_example(enum ss_quantity quantity);

#endif
