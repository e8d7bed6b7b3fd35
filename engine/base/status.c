#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[SS_MESSAGE_BYTES];

const char *ss_status_name(enum ss_status status)
{
    switch (status) {
    case SS_OK:
        return "ok";
    case SS_INVALID:
        return "invalid";
    case SS_UNSUPPORTED:
        return "unsupported";
    case SS_NOT_FOUND:
        return "not_found";
    case SS_NO_MEMORY:
        return "no_memory";
    case SS_FULL:
        return "full";
    case SS_EMPTY:
        return "empty";
    case SS_IO:
        return "io";
    case SS_TIMEOUT:
        return "timeout";
    case SS_CANCELLED:
        return "cancelled";
    case SS_PEER_LOST:
        return "peer_lost";
    case SS_INTERNAL:
        return "internal";
    }
    return "unknown";
}

enum ss_status ss_fail(enum ss_status status, const char *format, ...)
{
    /* The arguments may point into the message itself: format beside it first. */
    char text[SS_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof text);
    return status;
}

enum ss_status ss_fail_errno(enum ss_status status, int error, const char *format, ...)
{
    char text[SS_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ss_fail(status, "%s: %s", text, strerror(error));
}

enum ss_status ss_status_context(enum ss_status status, const char *format, ...)
{
    char text[SS_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ss_fail(status, "%s: %s", text, message);
}

const char *ss_status_message(void)
{
    return message;
}
