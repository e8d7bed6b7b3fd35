/* What went wrong, what may help, and how the program ends then. */
#include <stdio.h>

#include "rpc/ctl/ctl.h"
#include "rpc/ctl/json.h"

enum ctl_exit ctl_fail(const struct ctl_options *options, int error)
{
    if (options->json) {
        struct json json = json_open(stdout);
        json_object_begin(&json, 0);
        json_object_begin(&json, "error");
        json_string(&json, "code", swapclient_error_name(error));
        json_string(&json, "message", swapclient_message());
        json_object_end(&json);
        json_object_end(&json);
        json_close(&json);
    }
    fprintf(stderr, "swapctl: %s: %s\n", swapclient_strerror(error), swapclient_message());
    switch (error) {
    case SWAPCLIENT_E_UNREACHABLE:
        fprintf(stderr,
                "  Is a server running at %s? One is started with\n"
                "      mpirun -np 4 swapserve --config configs/quickstart.yaml\n"
                "  Another place is named with --endpoint or SWAPSERVE_ENDPOINT.\n",
                options->connection.endpoint);
        return CTL_UNREACHABLE;
    case SWAPCLIENT_E_CONNECTION_LOST:
        return CTL_UNREACHABLE;
    case SWAPCLIENT_E_TIMEOUT:
        return CTL_TIMEOUT;
    case SWAPCLIENT_E_INVALID:
        return CTL_USAGE;
    case SWAPCLIENT_E_UNKNOWN_MODEL:
        fprintf(stderr, "  swapctl models lists what this server has.\n");
        return CTL_REFUSED;
    default:
        return CTL_REFUSED;
    }
}
