/* Answers to and from msgpack; the one codec of server and client. */
#ifndef SS_RPC_WIRE_REPLY_CODEC_H
#define SS_RPC_WIRE_REPLY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/reply.h"
#include "rpc/report.h"
#include "rpc/wire/reader.h"
#include "rpc/wire/writer.h"

#define SS_REPLY_DEPTH_MAX 6
#define SS_REPLY_ITEMS_MAX 4194304

enum ss_reply_kind {
    SS_REPLY_TOKENS, /* the only one that is not the last */
    SS_REPLY_DONE,
    SS_REPLY_ERROR,
    SS_REPLY_OK,
    SS_REPLY_STATUS,
    SS_REPLY_MODELS,
    SS_REPLY_PROBE, /* asks nothing: to be ignored */
    SS_REPLY_KINDS
};

/* The word on the wire. */
const char *ss_reply_kind_name(enum ss_reply_kind kind);

struct ss_reply_error {
    enum ss_error_code code;
    const char *field;   /* or null; terminated */
    const char *message; /* terminated */
};

struct ss_reply {
    enum ss_reply_kind kind;
    bool has_id; /* false: to no request that could be named */
    uint64_t id;
    uint32_t seq;
    bool fin;
    union {
        struct ss_piece piece;          /* TOKENS */
        struct ss_finish finish;        /* DONE */
        struct ss_reply_error error;    /* ERROR */
        struct ss_server_status status; /* STATUS */
        struct {
            const struct ss_model_info *list;
            size_t count;
        } models; /* MODELS */
        struct {
            bool of_cancel;
            bool found; /* if of_cancel: the target was live */
        } ok;           /* OK */
    };
};

/* Appends the frame of REPLY; WRITER keeps the failure. `fin` follows from the kind. */
void ss_reply_encode(struct ss_writer *writer, const struct ss_reply *reply);

/* Puts SEQ into an encoded reply, which has room for it at a fixed place: answers are encoded by
 * the threads that give them, and numbered by the one that sends them. */
void ss_reply_set_seq(void *bytes, size_t size, uint32_t seq);

/* Decodes BYTES[SIZE] into *OUT, which borrows from BYTES and FRAME until FRAME is opened again or
 * closed. SS_INVALID with ERROR filled. SS_UNSUPPORTED: well-formed, of a kind unknown here (from a
 * newer server); only kind, id, seq and fin are of use, and kind is SS_REPLY_KINDS. An error code
 * unknown here is read as SS_ERROR_INTERNAL. */
SS_MUST_CHECK enum ss_status ss_reply_decode(struct ss_frame *frame, const void *bytes, size_t size,
                                             size_t bytes_max, struct ss_reply *out,
                                             struct ss_wire_error *error);

#endif
