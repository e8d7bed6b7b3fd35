/* swapctl: a server's status, and requests to it, for people. */
#include <locale.h>
#include <stdio.h>
#include <time.h>

#include "rpc/ctl/ctl.h"

/* load, drop, drain and shutdown: one answer without content. */
static enum ctl_exit command(const struct ctl_options *options, struct swapclient *client)
{
    const char *done = "";
    struct timespec start, end;
    int error = SWAPCLIENT_OK;
    clock_gettime(CLOCK_MONOTONIC, &start);
    switch (options->command) {
    case CTL_LOAD:
        error = swapclient_load(client, options->model, ctl_timeout_ms(options, 600));
        done = "loaded";
        break;
    case CTL_DROP:
        error = swapclient_drop(client, options->model, ctl_timeout_ms(options, 10));
        done = "dropped";
        break;
    case CTL_DRAIN:
        error = swapclient_drain(client, ctl_timeout_ms(options, 10));
        done = "draining: it takes no new requests and ends when the accepted ones are answered";
        break;
    default:
        error = swapclient_shutdown(client, ctl_timeout_ms(options, 10));
        done = "ending";
        break;
    }
    if (error)
        return ctl_fail(options, error);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    if (options->json)
        printf("{\"ok\": true, \"seconds\": %.6f}\n", seconds);
    else if (options->model)
        printf("%s: %s (%.3f s)\n", options->model, done, seconds);
    else
        printf("%s: %s\n", options->connection.endpoint, done);
    return CTL_OK;
}

static enum ctl_exit run(const struct ctl_options *options, struct swapclient *client)
{
    switch (options->command) {
    case CTL_STATUS:
        return ctl_status(options, client);
    case CTL_MODELS:
        return ctl_models(options, client);
    case CTL_SUBMIT:
        return ctl_submit(options, client);
    default:
        return command(options, client);
    }
}

int main(int argc, char **argv)
{
    struct ctl_options options;
    struct swapclient *client;
    /* Only to learn whether the terminal takes UTF-8: numbers are read and written with points. */
    setlocale(LC_CTYPE, "");
    ctl_options_parse(&options, argc, argv);
    int error = swapclient_open(&client, &options.connection);
    enum ctl_exit status;
    if (error) {
        status = ctl_fail(&options, error);
    } else {
        status = run(&options, client);
        swapclient_close(client);
    }
    ctl_options_free(&options);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "swapctl: writing to standard output failed\n");
        return CTL_REFUSED;
    }
    return status;
}
