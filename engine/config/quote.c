#include "engine/config/quote.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"

/* Bytes of the character at TEXT, by its first byte; never past the end of the string. */
static size_t character_bytes(const char *text)
{
    unsigned char lead = (unsigned char)*text;
    size_t want = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    return strnlen(text, want);
}

const char *ss_quote(const char *text, char *out, size_t bytes)
{
    size_t used = 1;

    SS_ASSERT(bytes >= 8);
    out[0] = '"';
    while (*text != '\0') {
        unsigned char c = (unsigned char)*text;
        size_t take = character_bytes(text), need = c < 0x20 || c == 0x7f ? 4 : take;

        if (used + need + 5 > bytes) { /* what may still follow: three dots, a quote, the end */
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (c < 0x20 || c == 0x7f)
            snprintf(out + used, 5, "\\x%02x", c);
        else
            memcpy(out + used, text, take);
        used += need;
        text += take;
    }
    out[used] = '"';
    out[used + 1] = '\0';
    return out;
}
