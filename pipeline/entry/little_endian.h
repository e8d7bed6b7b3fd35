/* Bytes of a message, written and read one field at a time, little-endian on every machine.
 *
 * A writer goes on counting past the end of its buffer, so that one pass tells the bytes needed. A
 * reader that ran out stays failed and gives zeros, so that a list of fields is read straight
 * through and checked once; counts are checked before anything is read by them. Private to the
 * codec. */
#ifndef SS_ENTRY_LITTLE_ENDIAN_H
#define SS_ENTRY_LITTLE_ENDIAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ss_message_writer {
    uint8_t *bytes;
    size_t bytes_max, used; /* used > bytes_max: it did not fit */
};

static inline void ss_put(struct ss_message_writer *writer, uint64_t value, size_t width)
{
    if (writer->used + width <= writer->bytes_max)
        for (size_t i = 0; i < width; i++)
            writer->bytes[writer->used + i] = (uint8_t)(value >> (8 * i));
    writer->used += width;
}

static inline void ss_put_bytes(struct ss_message_writer *writer, const void *from, size_t count)
{
    if (count > 0 && writer->used + count <= writer->bytes_max)
        memcpy(writer->bytes + writer->used, from, count);
    writer->used += count;
}

static inline void ss_put_float(struct ss_message_writer *writer, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    ss_put(writer, bits, 4);
}

struct ss_message_reader {
    const uint8_t *bytes;
    size_t left;
    bool failed;
};

static inline uint64_t ss_get(struct ss_message_reader *reader, size_t width)
{
    if (reader->left < width) {
        reader->failed = true;
        reader->left = 0;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)reader->bytes[i] << (8 * i);
    reader->bytes += width;
    reader->left -= width;
    return value;
}

static inline float ss_get_float(struct ss_message_reader *reader)
{
    uint32_t bits = (uint32_t)ss_get(reader, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A count of elements that take WIDTH bytes each at least; 0 and failed where they cannot all
 * follow. */
static inline uint32_t ss_get_count(struct ss_message_reader *reader, size_t width)
{
    uint64_t count = ss_get(reader, 4);
    if (count > reader->left / width) {
        reader->failed = true;
        return 0;
    }
    return (uint32_t)count;
}

#endif
