/* What was wrong with a frame, in the form that an error answer has. */
#ifndef SS_RPC_WIRE_WIRE_ERROR_H
#define SS_RPC_WIRE_WIRE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "rpc/request.h"

struct ss_wire_error {
    enum ss_error_code code;
    char field[48];    /* "" if it is the frame as a whole */
    char message[256]; /* what was found, and what would be right */
    bool has_id;       /* the frame's id could be read */
    uint64_t id;
};

/* Fills CODE, FIELD (null: none) and the message, leaves the id; returns SS_INVALID. */
enum ss_status ss_wire_fail(struct ss_wire_error *error, enum ss_error_code code, const char *field,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
