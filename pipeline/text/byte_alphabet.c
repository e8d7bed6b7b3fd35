#include "pipeline/text/byte_alphabet.h"

#include <string.h>

#include "pipeline/text/utf8.h"

/* The bytes that Latin-1 does not print: 0..0x20, 0x7F..0xA0 and 0xAD, in order from U+0100. */
#define FIRST_RUN  0x21
#define SECOND_RUN 0x22

uint32_t ss_byte_alphabet_char(uint8_t byte)
{
    if (byte < FIRST_RUN)
        return 0x100u + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return 0x100u + FIRST_RUN + (byte - 0x7Fu);
    if (byte == 0xAD)
        return 0x100u + FIRST_RUN + SECOND_RUN;
    return byte;
}

int ss_byte_alphabet_byte(uint32_t character)
{
    if (character >= 0x100) {
        uint32_t place = character - 0x100;
        if (place < FIRST_RUN)
            return (int)place;
        if (place < FIRST_RUN + SECOND_RUN)
            return (int)(place - FIRST_RUN + 0x7F);
        return place == FIRST_RUN + SECOND_RUN ? 0xAD : -1;
    }
    return ss_byte_alphabet_char((uint8_t)character) == character ? (int)character : -1;
}

size_t ss_byte_alphabet_spell(const uint8_t *in, size_t bytes, uint8_t *out)
{
    size_t written = 0;
    for (size_t i = 0; i < bytes; i++)
        written += ss_utf8_encode(ss_byte_alphabet_char(in[i]), out + written);
    return written;
}

size_t ss_byte_alphabet_read(const uint8_t *text, size_t bytes, uint8_t *out)
{
    size_t written = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        int byte = ss_byte_alphabet_byte(ss_utf8_decode(text + at, &length));
        if (byte < 0) {
            memcpy(out, text, bytes);
            return bytes;
        }
        out[written++] = (uint8_t)byte;
    }
    return written;
}
