/* Quantities and text, as people read them. */
#ifndef SS_RPC_CTL_TEXT_H
#define SS_RPC_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct short_text {
    char text[128];
};

struct short_text text_bytes(uint64_t bytes);      /* "1.5 GiB" */
struct short_text text_count(uint64_t count);      /* "12,345" */
struct short_text text_duration(uint64_t time_ns); /* "1.25 s", "3 h 07 min" */
/* A bar of WIDTH cells filled to SHARE (0 .. 1): "[####------]", or block characters if UTF8. */
struct short_text text_bar(double share, int width, bool utf8);

/* Writes generated text; on a terminal without the control characters, which could do more there
 * than look odd. */
void text_write(FILE *stream, const char *text, size_t bytes, bool terminal);

#endif
