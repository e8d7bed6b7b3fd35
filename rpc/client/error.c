#include <stdio.h>

#include "rpc/client/client.h"

static _Thread_local char latest[512];

int client_fail(int error, const char *format, ...)
{
    /* The arguments may point into the message itself. */
    char text[sizeof latest];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(latest, text, sizeof latest);
    return error;
}

const char *swapclient_message(void)
{
    return latest;
}

static const struct {
    enum ss_error_code code;
    const char *sentence;
} server_errors[] = {
    {SS_ERROR_BAD_REQUEST, "the request is malformed"},
    {SS_ERROR_UNSUPPORTED_VERSION, "the server speaks another version of the protocol"},
    {SS_ERROR_UNSUPPORTED, "the model or the server cannot do this"},
    {SS_ERROR_UNKNOWN_MODEL, "the server has no such model"},
    {SS_ERROR_TOO_LONG, "the request is too long"},
    {SS_ERROR_OVERLOADED, "the server has too much to do"},
    {SS_ERROR_DEADLINE_EXCEEDED, "no answer within the deadline"},
    {SS_ERROR_DRAINING, "the server takes no new requests: it is draining"},
    {SS_ERROR_CANCELLED, "the request was cancelled"},
    {SS_ERROR_BUSY, "the model is in use"},
    {SS_ERROR_INTERNAL, "the server failed"},
};

#define SERVER_ERRORS ((int)(sizeof server_errors / sizeof server_errors[0]))

_Static_assert(sizeof server_errors / sizeof server_errors[0] == SS_ERROR_CODES,
               "every code of the protocol has an error of the client");

int client_error_of(enum ss_error_code code)
{
    for (int i = 0; i < SERVER_ERRORS; i++)
        if (server_errors[i].code == code)
            return SWAPCLIENT_E_BAD_REQUEST + i;
    return SWAPCLIENT_E_INTERNAL;
}

static const struct {
    const char *name;
    const char *sentence;
} client_errors[] = {
    [SWAPCLIENT_OK] = {"ok", "no error"},
    [SWAPCLIENT_E_INVALID] = {"invalid", "an argument is wrong"},
    [SWAPCLIENT_E_NO_MEMORY] = {"no_memory", "out of memory, threads or descriptors"},
    [SWAPCLIENT_E_TIMEOUT] = {"timeout", "the time given has passed"},
    [SWAPCLIENT_E_UNREACHABLE] = {"unreachable", "no server answers there"},
    [SWAPCLIENT_E_CONNECTION_LOST] = {"connection_lost", "the connection was lost"},
    [SWAPCLIENT_E_CLOSED] = {"closed", "the client was closed"},
    [SWAPCLIENT_E_PROTOCOL] = {"protocol", "the server's answer cannot be understood"},
    [SWAPCLIENT_E_TOO_MANY] = {"too_many", "too many requests are in flight"},
};

const char *swapclient_strerror(int error)
{
    if (error >= SWAPCLIENT_OK && error <= SWAPCLIENT_E_TOO_MANY)
        return client_errors[error].sentence;
    int index = error - SWAPCLIENT_E_BAD_REQUEST;
    return index >= 0 && index < SERVER_ERRORS ? server_errors[index].sentence : "unknown error";
}

const char *swapclient_error_name(int error)
{
    if (error >= SWAPCLIENT_OK && error <= SWAPCLIENT_E_TOO_MANY)
        return client_errors[error].name;
    int index = error - SWAPCLIENT_E_BAD_REQUEST;
    return index >= 0 && index < SERVER_ERRORS ? ss_error_code_name(server_errors[index].code)
                                               : "unknown";
}
