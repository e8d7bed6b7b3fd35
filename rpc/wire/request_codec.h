/* Requests to and from msgpack; the one codec of server and client. */
#ifndef SS_RPC_WIRE_REQUEST_CODEC_H
#define SS_RPC_WIRE_REQUEST_CODEC_H

#include <stddef.h>

#include "rpc/request.h"
#include "rpc/wire/reader.h"
#include "rpc/wire/writer.h"

#define SS_REQUEST_DEPTH_MAX 4

/* Decodes BYTES[SIZE] into *OUT, which borrows from BYTES and FRAME until FRAME is opened again or
 * closed. SS_INVALID, with ERROR in the form of an error answer, for whatever is wrong in form;
 * unknown keys are ignored. ERROR has the frame's id wherever that could be found. */
SS_MUST_CHECK enum ss_status ss_request_decode(struct ss_frame *frame, const void *bytes,
                                               size_t size, size_t bytes_max,
                                               struct ss_request *out, struct ss_wire_error *error);

/* A submit with every field at its default. */
void ss_submit_default(struct ss_submit *submit);

/* Appends the frame of REQUEST; WRITER keeps the failure. Judges nothing: the server does. */
void ss_request_encode(struct ss_writer *writer, const struct ss_request *request);

#endif
