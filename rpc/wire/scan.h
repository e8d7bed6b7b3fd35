/* A look at the headers of a msgpack frame before any of it is unpacked.
 *
 * msgpack-c reserves memory for as many items as a header announces: five bytes can ask for 8 GB,
 * and there is no knob against it. After a scan, an unpacked frame costs at most items_max objects
 * (24 bytes each) and references its own bytes. */
#ifndef SS_RPC_WIRE_SCAN_H
#define SS_RPC_WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/wire/wire_error.h"

/* A lone number has depth 1, a map of numbers depth 2. */
#define SS_SCAN_DEPTH_MAX 16

struct ss_scan_limits {
    size_t bytes_max;
    uint32_t depth_max; /* at most SS_SCAN_DEPTH_MAX */
    uint32_t items_max; /* values and keys, containers included */
};

/* SS_OK if BYTES is exactly one well-formed msgpack value within LIMITS: every announced length
 * fits in the bytes that are left, and nothing follows. Else SS_INVALID with ERROR (bad_request or
 * too_long) naming the offset. Reads every header once; allocates nothing. */
SS_MUST_CHECK enum ss_status ss_wire_scan(const void *bytes, size_t size,
                                          const struct ss_scan_limits *limits,
                                          struct ss_wire_error *error);

/* Looks for the unsigned integer under the key "id" of the outermost map, as far as BYTES can be
 * walked: so that the answer to a frame that is too long or broken further on can still name its
 * request. True if *ID was set. Allocates nothing. */
bool ss_wire_scan_id(const void *bytes, size_t size, uint64_t *id);

#endif
