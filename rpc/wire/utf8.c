#include "rpc/wire/utf8.h"

#include <stdint.h>

/* The length of the character at AT, of which LEFT bytes exist; 0 if it is none. */
static size_t character_bytes(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left < length)
        return 0;
    /* Overlong forms, surrogates and what is over U+10FFFF show in the second byte. */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t ss_utf8_valid_bytes(const char *data, size_t size)
{
    size_t offset = 0;
    while (offset < size) {
        size_t length = character_bytes((const uint8_t *)data + offset, size - offset);
        if (length == 0)
            break;
        offset += length;
    }
    return offset;
}
