/* swapctl's inside: what its files share. One thread; everything prints to stdout, errors go to
 * stderr as "swapctl: ...". */
#ifndef SS_RPC_CTL_CTL_H
#define SS_RPC_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/swapclient.h"

/* The program's exit status. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1, /* the server said no, or failed */
    CTL_USAGE = 2,
    CTL_UNREACHABLE = 3, /* no server, or the connection was lost */
    CTL_TIMEOUT = 4,
    CTL_INTERRUPTED = 130, /* by Ctrl-C */
};

enum ctl_command {
    CTL_STATUS,
    CTL_MODELS,
    CTL_SUBMIT,
    CTL_LOAD,
    CTL_DROP,
    CTL_DRAIN,
    CTL_SHUTDOWN,
    CTL_COMMANDS
};

struct ctl_options {
    enum ctl_command command;
    struct swapclient_options connection;
    double timeout_s; /* 0: none; negative: the command's default */
    bool json;
    double watch_s; /* 0: once */
    const char *model;
    struct swapclient_submit submit;
    char *text; /* what submit.prompt points to, if it was read from stdin */
    uint32_t *tokens;
    const char *stop[16];
    uint32_t stop_tokens[64];
};

/* options.c: parses the command line, or prints what is wrong with it and ends the program. */
void ctl_options_parse(struct ctl_options *options, int argc, char **argv);
void ctl_options_free(struct ctl_options *options);
/* Milliseconds for the library from --timeout, or DEFAULT_S if it was not given. */
int ctl_timeout_ms(const struct ctl_options *options, double default_s);

/* failure.c: prints swapclient_message() for ERROR, with advice, and returns the exit status for
 * it. */
enum ctl_exit ctl_fail(const struct ctl_options *options, int error);

/* submit.c */
enum ctl_exit ctl_submit(const struct ctl_options *options, struct swapclient *client);

/* status.c */
enum ctl_exit ctl_status(const struct ctl_options *options, struct swapclient *client);
enum ctl_exit ctl_models(const struct ctl_options *options, struct swapclient *client);

#endif
