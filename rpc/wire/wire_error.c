#include "rpc/wire/wire_error.h"

#include <stdarg.h>
#include <stdio.h>

enum ss_status ss_wire_fail(struct ss_wire_error *error, enum ss_error_code code, const char *field,
                            const char *format, ...)
{
    error->code = code;
    snprintf(error->field, sizeof error->field, "%s", field ? field : "");
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return SS_INVALID;
}
