#include "rpc/wire/scan.h"

#include <string.h>

#include "engine/base/assert.h"

/* One header, read: so many bytes of payload follow it, then so many items. */
struct header {
    size_t header_bytes;
    uint64_t payload_bytes;
    uint64_t items;
    bool container;
};

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* How many bytes of length follow the type byte 0xc0 .. 0xdf, what is fixed after them, and what
 * the length counts (https://github.com/msgpack/msgpack/blob/master/spec.md). */
static const struct {
    uint8_t length_bytes;
    uint8_t fixed_bytes;
    uint8_t items_per_count; /* 0: the length counts bytes */
} kinds[32] = {
    [0xc4 - 0xc0] = {1, 0, 0}, [0xc5 - 0xc0] = {2, 0, 0},  [0xc6 - 0xc0] = {4, 0, 0}, /* bin */
    [0xc7 - 0xc0] = {1, 1, 0}, [0xc8 - 0xc0] = {2, 1, 0},  [0xc9 - 0xc0] = {4, 1, 0}, /* ext */
    [0xca - 0xc0] = {0, 4, 0}, [0xcb - 0xc0] = {0, 8, 0},                             /* float */
    [0xcc - 0xc0] = {0, 1, 0}, [0xcd - 0xc0] = {0, 2, 0},                             /* uint */
    [0xce - 0xc0] = {0, 4, 0}, [0xcf - 0xc0] = {0, 8, 0},                             /* uint */
    [0xd0 - 0xc0] = {0, 1, 0}, [0xd1 - 0xc0] = {0, 2, 0},                             /* int */
    [0xd2 - 0xc0] = {0, 4, 0}, [0xd3 - 0xc0] = {0, 8, 0},                             /* int */
    [0xd4 - 0xc0] = {0, 2, 0}, [0xd5 - 0xc0] = {0, 3, 0},  [0xd6 - 0xc0] = {0, 5, 0}, /* fixext */
    [0xd7 - 0xc0] = {0, 9, 0}, [0xd8 - 0xc0] = {0, 17, 0},                            /* fixext */
    [0xd9 - 0xc0] = {1, 0, 0}, [0xda - 0xc0] = {2, 0, 0},  [0xdb - 0xc0] = {4, 0, 0}, /* str */
    [0xdc - 0xc0] = {2, 0, 1}, [0xdd - 0xc0] = {4, 0, 1},                             /* array */
    [0xde - 0xc0] = {2, 0, 2}, [0xdf - 0xc0] = {4, 0, 2},                             /* map */
};

static bool read_header(const uint8_t *at, size_t left, struct header *out)
{
    uint8_t type = at[0];
    *out = (struct header){.header_bytes = 1};
    if (type < 0x80 || type >= 0xe0)
        return true;
    if (type < 0xa0) {
        out->container = true;
        out->items = (uint64_t)(type & 0x0f) * (type < 0x90 ? 2 : 1);
        return true;
    }
    if (type < 0xc0) {
        out->payload_bytes = type & 0x1f;
        return true;
    }
    size_t length_bytes = kinds[type - 0xc0].length_bytes;
    if (left < 1 + length_bytes)
        return false;
    uint64_t length = big_endian(at + 1, length_bytes);
    uint64_t per_count = kinds[type - 0xc0].items_per_count;
    out->header_bytes += length_bytes;
    out->payload_bytes = kinds[type - 0xc0].fixed_bytes + (per_count ? 0 : length);
    out->items = per_count * length;
    out->container = per_count > 0;
    return true;
}

static enum ss_status check_header(const struct header *header, size_t offset, size_t left,
                                   struct ss_wire_error *error)
{
    if (header->payload_bytes > left)
        return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                            "byte %zu: a value of %llu bytes, but only %zu are left", offset,
                            (unsigned long long)header->payload_bytes, left);
    /* The smallest item is one byte long. */
    if (header->items > left)
        return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                            "byte %zu: a container of %llu items, but only %zu bytes are left",
                            offset, (unsigned long long)header->items, left);
    return SS_OK;
}

enum ss_status ss_wire_scan(const void *bytes, size_t size, const struct ss_scan_limits *limits,
                            struct ss_wire_error *error)
{
    SS_ASSERT(limits->depth_max <= SS_SCAN_DEPTH_MAX);
    const uint8_t *data = bytes;
    uint64_t pending[SS_SCAN_DEPTH_MAX + 1] = {1}; /* items still to come, per open container */
    uint32_t depth = 0;
    uint64_t items = 0;
    size_t offset = 0;
    if (size > limits->bytes_max)
        return ss_wire_fail(error, SS_ERROR_TOO_LONG, 0, "a frame of %zu bytes, at most %zu", size,
                            limits->bytes_max);
    for (;;) {
        while (depth > 0 && pending[depth] == 0)
            depth--;
        if (pending[depth] == 0)
            break;
        pending[depth]--;
        if (depth >= limits->depth_max)
            return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                                "byte %zu: nested deeper than %u levels", offset,
                                limits->depth_max);
        if (++items > limits->items_max)
            return ss_wire_fail(error, SS_ERROR_TOO_LONG, 0, "byte %zu: more than %u items", offset,
                                limits->items_max);
        struct header header;
        if (offset == size || !read_header(data + offset, size - offset, &header))
            return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                                "the frame ends in the middle of a value, at byte %zu", size);
        if (data[offset] == 0xc1)
            return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                                "byte %zu: 0xc1 is not a msgpack type", offset);
        size_t left = size - offset - header.header_bytes;
        enum ss_status status = check_header(&header, offset, left, error);
        if (status)
            return status;
        offset += header.header_bytes + (size_t)header.payload_bytes;
        if (header.container)
            pending[++depth] = header.items;
    }
    if (offset != size)
        return ss_wire_fail(error, SS_ERROR_BAD_REQUEST, 0,
                            "%zu bytes follow the end of the value at byte %zu", size - offset,
                            offset);
    return SS_OK;
}

/* The offset after the value at OFFSET; SIZE or more if it does not end before. */
static size_t skip(const uint8_t *data, size_t size, size_t offset)
{
    uint64_t pending = 1;
    while (pending > 0 && offset < size) {
        struct header header;
        if (!read_header(data + offset, size - offset, &header) ||
            header.payload_bytes > size - offset || header.items > size - offset)
            return size;
        offset += header.header_bytes + (size_t)header.payload_bytes;
        pending += header.items - 1;
    }
    return pending > 0 ? size : offset;
}

/* Whether the string "id", in whichever of its forms, is at AT. */
static bool is_id_key(const uint8_t *at, size_t left)
{
    struct header header;
    bool string = (at[0] >= 0xa0 && at[0] < 0xc0) || (at[0] >= 0xd9 && at[0] <= 0xdb);
    return string && read_header(at, left, &header) && header.payload_bytes == 2 &&
           left >= header.header_bytes + 2 && memcmp(at + header.header_bytes, "id", 2) == 0;
}

/* The integer at AT, if it is one and not negative; senders may use the signed forms for it. */
static bool read_unsigned(const uint8_t *at, size_t left, uint64_t *value)
{
    bool is_signed = at[0] >= 0xd0 && at[0] <= 0xd3;
    if (at[0] < 0x80) {
        *value = at[0];
        return true;
    }
    if (!is_signed && (at[0] < 0xcc || at[0] > 0xcf))
        return false;
    size_t length = (size_t)1 << (at[0] & 3);
    if (left < 1 + length || (is_signed && at[1] >= 0x80))
        return false;
    *value = big_endian(at + 1, length);
    return true;
}

bool ss_wire_scan_id(const void *bytes, size_t size, uint64_t *id)
{
    const uint8_t *data = bytes;
    struct header header;
    bool is_map =
        size > 0 && ((data[0] >= 0x80 && data[0] < 0x90) || data[0] == 0xde || data[0] == 0xdf);
    if (!is_map || !read_header(data, size, &header))
        return false;
    size_t offset = header.header_bytes;
    for (uint64_t pair = 0; pair < header.items / 2 && offset < size; pair++) {
        bool found = is_id_key(data + offset, size - offset);
        offset = skip(data, size, offset);
        if (found && offset < size)
            return read_unsigned(data + offset, size - offset, id);
        offset = skip(data, size, offset);
    }
    return false;
}
