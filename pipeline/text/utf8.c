#include "pipeline/text/utf8.h"

/* How many bytes follow LEAD, and what the first of them may be; -1 where LEAD begins nothing. */
static int follow(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80)
        return 0;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 1;
    if (lead >= 0xE0 && lead <= 0xEF) {
        *low = lead == 0xE0 ? 0xA0 : 0x80;  /* overlong */
        *high = lead == 0xED ? 0x9F : 0xBF; /* surrogates */
        return 2;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *low = lead == 0xF0 ? 0x90 : 0x80;  /* overlong */
        *high = lead == 0xF4 ? 0x8F : 0xBF; /* over U+10FFFF */
        return 3;
    }
    return -1;
}

enum ss_utf8_kind ss_utf8_scan(const uint8_t *text, size_t bytes, size_t *length)
{
    uint8_t low, high;
    int more = follow(text[0], &low, &high);
    *length = 1;
    if (more < 0)
        return SS_UTF8_BROKEN;
    for (int i = 1; i <= more; i++) {
        if ((size_t)i == bytes)
            return SS_UTF8_PARTIAL;
        if (text[i] < low || text[i] > high)
            return SS_UTF8_BROKEN;
        *length = (size_t)i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return SS_UTF8_WHOLE;
}

size_t ss_utf8_whole_bytes(const uint8_t *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = 1;
        if (text[at] >= 0x80 && ss_utf8_scan(text + at, bytes - at, &length) != SS_UTF8_WHOLE)
            break;
        at += length;
    }
    return at;
}

uint32_t ss_utf8_decode(const uint8_t *text, size_t *length)
{
    uint32_t lead = text[0];
    if (lead < 0x80) {
        *length = 1;
        return lead;
    }
    if (lead < 0xE0) {
        *length = 2;
        return (lead & 0x1F) << 6 | (text[1] & 0x3Fu);
    }
    if (lead < 0xF0) {
        *length = 3;
        return (lead & 0x0F) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
    }
    *length = 4;
    return (lead & 0x07) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 |
           (text[3] & 0x3Fu);
}

uint32_t ss_utf8_decode_back(const uint8_t *text, size_t end, size_t *length)
{
    size_t start = end - 1;
    while (start > 0 && (text[start] & 0xC0) == 0x80)
        start--;
    return ss_utf8_decode(text + start, length);
}

size_t ss_utf8_encode(uint32_t character, uint8_t *out)
{
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (uint8_t)(0xC0 | character >> 6);
        out[1] = (uint8_t)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (uint8_t)(0xE0 | character >> 12);
        out[1] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | character >> 18);
    out[1] = (uint8_t)(0x80 | (character >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (character & 0x3F));
    return 4;
}
