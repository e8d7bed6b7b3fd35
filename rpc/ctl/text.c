#include "rpc/ctl/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct short_text text_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    struct short_text out;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out.text, sizeof out.text, "%.*f %s", digits, value, units[unit]);
    return out;
}

struct short_text text_count(uint64_t count)
{
    struct short_text out;
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = out.text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return out;
}

struct short_text text_duration(uint64_t time_ns)
{
    struct short_text out;
    double seconds = (double)time_ns / 1e9;
    uint64_t whole = time_ns / 1000000000;
    if (seconds < 0.9995)
        snprintf(out.text, sizeof out.text, "%.3g ms", seconds * 1e3);
    else if (seconds < 60)
        snprintf(out.text, sizeof out.text, "%.3g s", seconds);
    else if (whole < 3600)
        snprintf(out.text, sizeof out.text, "%" PRIu64 " min %02" PRIu64 " s", whole / 60,
                 whole % 60);
    else if (whole < 86400)
        snprintf(out.text, sizeof out.text, "%" PRIu64 " h %02" PRIu64 " min", whole / 3600,
                 whole / 60 % 60);
    else
        snprintf(out.text, sizeof out.text, "%" PRIu64 " d %02" PRIu64 " h", whole / 86400,
                 whole / 3600 % 24);
    return out;
}

struct short_text text_bar(double share, int width, bool utf8)
{
    struct short_text out = {{0}};
    int filled = (int)floor(share * width + 0.5);
    char *to = out.text;
    *to++ = utf8 ? ' ' : '[';
    /* Something is never shown as nothing, and not all never as all. */
    if (filled == 0 && share > 0)
        filled = 1;
    if (filled >= width)
        filled = share < 1 ? width - 1 : width;
    for (int i = 0; i < width; i++) {
        const char *cell = utf8 ? (i < filled ? "\u2588" : "\u2591") : (i < filled ? "#" : "-");
        size_t bytes = strlen(cell);
        memcpy(to, cell, bytes);
        to += bytes;
    }
    *to++ = utf8 ? ' ' : ']';
    *to = 0;
    return out;
}

void text_write(FILE *stream, const char *text, size_t bytes, bool terminal)
{
    if (!terminal) {
        fwrite(text, 1, bytes, stream);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
        /* U+0080 .. U+009F, the second set of control characters, is C2 80 .. C2 9F. */
        if (byte == 0xc2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xa0) {
            control = true;
            i++;
        }
        fputc(control ? '?' : byte, stream);
    }
}
