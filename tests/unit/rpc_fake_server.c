/* A swapserve without models, for tests of clients: rpc_fake_server [ENDPOINT].
 * Prints the endpoint it listens on; ends at shutdown, at the end of standard input, or by a
 * signal. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/rpc_fake_engine.h"

int main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : 0;
    struct fake_engine engine;
    struct ss_server_config config;
    fake_config(&config, endpoint ? &endpoint : 0);
    printf("%s\n", fake_engine_start(&engine, &config));
    fflush(stdout);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    while (!engine.shutdown)
        if (poll(&input, 1, 50) > 0 && read(STDIN_FILENO, &byte, 1) <= 0)
            break;
    fake_engine_stop(&engine);
    return 0;
}
