/* Results of fallible calls.
 *
 * A function that can fail returns enum ss_status; on failure it leaves its out-parameters alone
 * and sets this thread's message, which names the thing, where it is, what was found and what would
 * be right. Callers pass a status up unchanged or wrap the message with ss_status_context().
 * Messages are per thread, at most SS_MESSAGE_BYTES long, and valid until the next failure there.
 */
#ifndef SS_BASE_STATUS_H
#define SS_BASE_STATUS_H

enum ss_status {
    SS_OK = 0,
    SS_INVALID,     /* bad input: a config, a checkpoint, a request, a message from a peer */
    SS_UNSUPPORTED, /* well-formed, but asks for what is not built or not implemented */
    SS_NOT_FOUND,
    SS_NO_MEMORY, /* host memory, device memory or a reserved table is exhausted */
    SS_FULL,      /* a bounded queue is full; try again later */
    SS_EMPTY,     /* nothing to take; not an error */
    SS_IO,        /* a file, socket or device call failed */
    SS_TIMEOUT,
    SS_CANCELLED,
    SS_PEER_LOST,
    SS_INTERNAL, /* our own logic broke a promise that could be reported instead of asserted */
};

#define SS_MESSAGE_BYTES 1024
#define SS_MUST_CHECK    __attribute__((warn_unused_result))

/* The status's name for logs and the wire: "invalid", "no_memory", ... Static storage. */
const char *ss_status_name(enum ss_status status);

/* Sets this thread's message and returns STATUS, so that a failure is one line:
 *     return ss_fail(SS_INVALID, "%s: tensor %s: ...", path, name); */
enum ss_status ss_fail(enum ss_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Like ss_fail(), with ": " and strerror(error) appended. */
enum ss_status ss_fail_errno(enum ss_status status, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " in front of this thread's message and returns STATUS. */
enum ss_status ss_status_context(enum ss_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* This thread's latest message; "" if nothing failed here yet. */
const char *ss_status_message(void);

#endif
